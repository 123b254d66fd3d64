// One column of the scoreboard. It runs in a worker of its own, because the types of one engine would slow down the
// calls of the next in the same place. On a request `{ id, settings }` it answers with a cell.
import { allCases } from "./cases/index.mjs";
import { insideTwin, insideWasm } from "./inside/loops.mjs";
import { measure } from "./measure.mjs";

const ENTRIES = {
  BigInt: async () => ({ ...(await import("./peers/bigint/index.mjs")), isSlow: true }),
  ts: async ({ importBuilt, importInside }) => ({
    ...(await importBuilt("ts.js")),
    sharing: await importBuilt("ts-shared.js"),
    inside: insideTwin(await importInside("twin.js")),
  }),
  wasm: async ({ importBuilt, loadInside }) => ({
    ...(await importBuilt("index.js")),
    sharing: await importBuilt("shared.js"),
    inside: await insideWasm(await loadInside("loops.wasm")),
  }),
  peer: () => import("./peers/index.mjs"),
};

/** The columns that are JavaScript, in the order of the table. */
export const COLUMNS = Object.keys(ENTRIES);

/** Returns a function that measures the cases of one column, by their id. */
async function openColumn(name, environment) {
  const [column, cases] = await Promise.all([ENTRIES[name](environment), allCases(environment)]);
  const byId = new Map(cases.map((each) => [each.id, each]));
  // The task of a case is kept until the next case: making it takes longer than a round.
  let latest = {};
  return async (id, settings) => {
    const { create, value } = byId.get(id);
    if (value) {
      const number = await value(column, settings);
      // A browser's clock may be too coarse to tell: then the case has no cell.
      return Number.isFinite(number) ? { min: number, median: number, p99: number } : undefined;
    }
    if (latest.id !== id) {
      latest = {};
      latest = { id, task: create(column) };
    }
    return measure(latest.task, settings);
  };
}

/** Returns the function that answers the requests to one column. */
export function columnIn(name, environment) {
  const opened = openColumn(name, environment);
  return async ({ id, settings }) => (await opened)(id, settings);
}
