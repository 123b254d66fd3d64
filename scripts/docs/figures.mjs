// The figures of the README and the tables of docs/benchmarks.md, from a replay and the recorded benchmark.
import { medianText } from "../../bench/report/table.mjs";
import { GROUP as GROWTH, growthTable } from "./growth.mjs";
import { table } from "./markdown.mjs";

const count = (n) => n.toLocaleString("en");

/** Returns the row of the scoreboard with that id. */
function rowOf({ rows }, id) {
  const found = rows.find((each) => each.id === id);
  if (!found) throw new Error(`The scoreboard has no row ${id}`);
  return found;
}

/** Returns what the benchmark ran on. */
export function machine({ header }) {
  return `Machine: ${header.machine}. ${header.runtime}. C compiler: ${header.cc}.`;
}

/** Returns the figures of the README, each with the command that shows it. */
export function headlines(report, scoreboard) {
  const replayed = rowOf(scoreboard, "replay, per event | replay, all of the call | go-compile-runtime");
  const pair = rowOf(
    scoreboard,
    "steady state | alloc + free, sustained | 1,024 chunks, a quarter free, npages 1",
  );
  const { wasm, ts, BigInt: port, "native C": native } = pair.cells;
  const median = (cell) => medianText(cell, pair);
  const millions = (cell) => (1e3 / cell.median).toFixed(1);
  const lines = [
    [
      `**${count(report.addressMatches)} of ${count(report.allocs)}**`,
      "allocations of a Go compile get the address that Go chose",
      "`npm start`",
    ],
    [
      `**${millions(replayed.cells.wasm)} million**`,
      `page events of that compile replayed in a second; ${millions(replayed.cells.ts)} million on \`palloc/ts\``,
      "`npm run bench -- --only go-compile`",
    ],
    [
      `**${median(wasm)}**`,
      "for an `alloc` and a `free` of one page in the steady state, in a heap of 4 GiB; " +
        `${median(ts)} on \`palloc/ts\`, ` +
        `${median(native)} for a plain port of Go's algorithms to C, ${median(port)} with BigInts`,
      '`npm run bench -- --only "free, sustained"`',
    ],
  ];
  return `${table(["", "", "command"], lines, 3)}\n\nThe last two are medians. ${machine(scoreboard)}`;
}

/**
 * Returns all rows of the scoreboard as Markdown, one table per group, and how much the costs over size grow. A table
 * has the columns that any of its rows has.
 */
export function benchmarkTables({ rows, columns }) {
  const groups = new Map();
  for (const each of rows) {
    const [group] = each.id.split(" | ");
    groups.set(group, [...(groups.get(group) ?? []), each]);
  }
  const tables = Array.from(groups, ([group, members]) => {
    const present = columns.filter((column) => members.some(({ cells }) => cells[column]));
    const lines = members.map((each) => {
      const [, name, input = ""] = each.id.split(" | ");
      return [name, input, ...present.map((column) => medianText(each.cells[column], each))];
    });
    const title = `### ${group[0].toUpperCase()}${group.slice(1)}`;
    const parts = [title, table(["", "", ...present], lines)];
    return (group === GROWTH ? [...parts, growthTable({ rows })] : parts).join("\n\n");
  });
  return tables.join("\n\n");
}
