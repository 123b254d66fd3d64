// The scoreboard on a terminal.
import Table from "cli-table3";
import { tables } from "./table.mjs";

/** Prints the rows, a table a group. */
export function printTables(rows, columns, print = console.log) {
  for (const [group, lines] of tables(rows, columns)) {
    const table = new Table({ head: [group, "", ...columns], style: { head: ["bold"], compact: true } });
    table.push(...lines);
    print(table.toString());
  }
}
