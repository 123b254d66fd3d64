// The scoreboard on a terminal.
import Table from "cli-table3";
import { tables } from "./table.mjs";

/** Prints the rows, one table per group. Uses colours only on a terminal. */
export function printTables(rows, columns, print = console.log) {
  for (const [group, lines] of tables(rows, columns)) {
    const colours =
      process.stdout.isTTY && !process.env.NO_COLOR ? { head: ["bold"] } : { head: [], border: [] };
    const table = new Table({ head: [group, "", ...columns], style: { ...colours, compact: true } });
    table.push(...lines);
    print(table.toString());
  }
}
