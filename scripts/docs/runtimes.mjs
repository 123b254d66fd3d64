// The rows of the steady state in several runtimes, side by side.
import { medianText } from "../../bench/report/table.mjs";
import { table } from "./markdown.mjs";

const GROUP = "steady state";
const ENGINES = ["wasm", "ts"];

/** Returns the name of what a run was measured in, with two parts of its version. */
const runtimeOf = ({ header }) => header.runtime.split(".").slice(0, 2).join(".");

/** Returns the rows of the group in a run that the engines have, by name and input. */
function rowsOf({ rows }) {
  const found = new Map();
  for (const row of rows) {
    const [group, ...rest] = row.id.split(" | ");
    if (group === GROUP && ENGINES.some((engine) => row.cells[engine])) found.set(rest.join(" | "), row);
  }
  return found;
}

/** Returns which runtimes ran on which machine. */
function machines(runs) {
  const byMachine = new Map();
  for (const run of runs) {
    const { machine } = run.header;
    byMachine.set(machine, [...(byMachine.get(machine) ?? []), runtimeOf(run)]);
  }
  return [...byMachine].map(([machine, runtimes]) => `${runtimes.join(", ")}: ${machine}.`).join(" ");
}

/** Returns the medians of several runs as a Markdown table, after a line about their machines. */
export function runtimeTable(runs) {
  const byRun = runs.map(rowsOf);
  const ids = new Set(byRun.flatMap((rows) => [...rows.keys()]));
  const columns = runs.flatMap((run) => ENGINES.map((engine) => `${runtimeOf(run)}, ${engine}`));
  const cells = (id) =>
    byRun.flatMap((rows) => {
      const row = rows.get(id);
      return ENGINES.map((engine) => medianText(row?.cells[engine], row ?? {}));
    });
  const lines = Array.from(ids, (id) => [...id.split(" | "), ...cells(id)]);
  return `${machines(runs)}\n\n${table(["", "", ...columns], lines)}`;
}
