// One column of the scoreboard, in a worker of its own: in one place with the others, the types of one engine would
// slow the calls of the next. Asked `{ id, settings }`, it answers with a cell.
import { allCases } from "./cases/index.mjs";
import { insideTwin, insideWasm } from "./inside/loops.mjs";
import { measure } from "./measure.mjs";

const ENTRIES = {
  BigInt: () => import("./peers/bigint/index.mjs"),
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
};

/** The columns that JavaScript has, in the order of the table. */
export const COLUMNS = Object.keys(ENTRIES);

/** What measures the cases of one column, by id. */
async function openColumn(name, environment) {
  const [column, cases] = await Promise.all([ENTRIES[name](environment), allCases(environment)]);
  const byId = new Map(cases.map((each) => [each.id, each]));
  // What a case has made is kept until the next case comes: making it takes longer than a round.
  let latest = {};
  return async (id, settings) => {
    const { create, value } = byId.get(id);
    if (value) {
      const number = await value(column, settings);
      return { min: number, median: number, p99: number };
    }
    if (latest.id !== id) {
      latest = {};
      latest = { id, task: create(column) };
    }
    return measure(latest.task, settings);
  };
}

/** What answers requests of one column. */
export function columnIn(name, environment) {
  const opened = openColumn(name, environment);
  return async ({ id, settings }) => (await opened)(id, settings);
}
