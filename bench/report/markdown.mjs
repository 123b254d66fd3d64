// The scoreboard as Markdown, medians only: for a README.
import { medianText, tables } from "./table.mjs";

const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

/** The header as a list, then a table a group. */
export function markdown({ header, columns, rows }) {
  const about = Object.entries(header).map(([key, value]) => `- ${key}: ${value}`);
  const parts = tables(rows, columns, medianText).map(([group, lines]) =>
    [
      line([group, "", ...columns]),
      line(["---", "---", ...columns.map(() => "--:")]),
      ...lines.map(line),
    ].join("\n"),
  );
  return `${[about.join("\n"), ...parts].join("\n\n")}\n`;
}
