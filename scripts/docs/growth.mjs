// How costs grow: the rows of the benchmark that are there for many sizes, as series, and a table of their growth.
import { PROPORTIONAL } from "../../bench/cases/growth.mjs";
import { medianText } from "../../bench/report/table.mjs";
import { table } from "./markdown.mjs";

export const GROUP = "cost over size";
/** The columns whose growth is told, as the peers are not what is measured. */
const ENGINES = ["ts", "wasm"];
/** A row is flat if it grows no more than this over its range. */
const FLAT = 1.3;

/**
 * Returns the rows of the group by name, as `{ name, what, isProportional, points }`. `what` is what the sizes count. A
 * point is `{ size, cells }`.
 */
export function seriesOf({ rows }) {
  const series = new Map();
  for (const { id, cells } of rows) {
    const [group, name, input] = id.split(" | ");
    if (group !== GROUP) continue;
    const [, size, what] = /^([\d,]+) ([^,]+)/.exec(input);
    const one = series.get(name) ?? { name, isProportional: PROPORTIONAL.includes(name), points: [] };
    series.set(name, one);
    // The first may be in the singular.
    one.what = what;
    one.points.push({ size: Number(size.replaceAll(",", "")), cells });
  }
  return [...series.values()];
}

/**
 * Returns how much a row grows in a column: how many times the least median the largest is or, of a row in proportion,
 * what one more of what is counted adds. Undefined if the column does not have the row at two sizes.
 */
function growthOf({ points, isProportional }, column) {
  const has = points.filter(({ cells }) => cells[column]);
  if (has.length < 2) return undefined;
  const medians = has.map(({ cells }) => cells[column].median);
  if (!isProportional) return Math.max(...medians) / Math.min(...medians);
  return (medians.at(-1) - medians[0]) / (has.at(-1).size - has[0].size);
}

/** Returns the same as text. */
export function growthText(series, column) {
  const growth = growthOf(series, column);
  if (growth === undefined) return "–";
  if (!series.isProportional) return medianText({ median: growth }, { unit: "ratio" });
  return `${medianText({ median: growth }, { unit: "ns" })} per ${series.what.replace(/s$/, "")}`;
}

/** Returns a Markdown table of the growth of each row. What is not flat is bold. */
export function growthTable(scoreboard) {
  const cell = (series, column) => {
    const text = growthText(series, column);
    return !series.isProportional && growthOf(series, column) > FLAT ? `**${text}**` : text;
  };
  const count = (n) => n.toLocaleString("en");
  const lines = seriesOf(scoreboard).map((series) => {
    const range = `${count(series.points[0].size)} … ${count(series.points.at(-1).size)} ${series.what}`;
    return [series.name, range, ...ENGINES.map((column) => cell(series, column))];
  });
  const about =
    `The growth over each range: the largest median to the smallest, bold if that is more than ${FLAT}. For costs in ` +
    "proportion to the size, it is what one more adds.";
  return `${about}\n\n${table(["", "", ...ENGINES], lines)}`;
}
