// Draws how costs grow: a plot for each thing that is counted, both axes logarithmic, with a line per row. The picture
// has a background of its own, so that it can be read on a page of any colour.
import { medianText } from "../../bench/report/table.mjs";
import { growthText, seriesOf } from "./growth.mjs";

const WIDTH = 760;
/** The plots within the picture. Their legends are to the right. */
const LEFT = 68;
const RIGHT = 352;
const TOP = 60;
const LEAST_HEIGHT = 110;
/** From one legend to the next, and from a plot to the next. */
const LEGEND_STEP = 36;
const GAP = 60;
const COLOURS = [
  ["#2f6fd0", "#5b9bf0"],
  ["#d9730d", "#f0924a"],
  ["#1a8f5c", "#3fbf86"],
  ["#c23b52", "#ee6b80"],
  ["#8250c8", "#ac86ee"],
  ["#0e8a9c", "#3fbccd"],
  ["#9a6a00", "#d1a03a"],
  ["#b0439a", "#e07bcb"],
  ["#5f7d1a", "#98b84e"],
  ["#6e7781", "#a0a9b3"],
];

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #59636e }
.title { font-size: 13px; font-weight: 600; fill: #1f2328 }
.name { fill: #1f2328 }
.back { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0 }
.wasm { fill: none; stroke-width: 2 }
.ts { fill: none; stroke-width: 1; stroke-dasharray: 4 3 }
${COLOURS.map(([light], i) => `.line${i} { stroke: ${light} }`).join("\n")}
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .title, .name { fill: #f0f6fc }
  .back { fill: #0d1117; stroke: #3d444d }
  .grid { stroke: #3d444d }
${COLOURS.map(([, dark], i) => `  .line${i} { stroke: ${dark} }`).join("\n")}
}
`.trim();

const label = (x, y, text, rest = "") => `<text x="${x}" y="${y}"${rest}>${text}</text>`;

/** Returns the series by plot: costs in proportion to the size last, and all else by what is counted. */
function plotsOf(series) {
  const plots = new Map();
  for (const each of series) {
    const key = each.isProportional ? "in proportion to the size" : `over ${each.what}`;
    plots.set(key, [...(plots.get(key) ?? []), each]);
  }
  return [...plots].sort(([, [one]], [, [other]]) => one.isProportional - other.isProportional);
}

/** Returns the exponents of ten that the values lie between, two or more. */
function decades(values) {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Formats a power of ten: 1, 10, 100, 1 k. */
function sizeText(n) {
  const [unit, name] = n >= 1e6 ? [1e6, " M"] : n >= 1e3 ? [1e3, " k"] : [1, ""];
  return `${n / unit}${name}`;
}

/** Formats a time that is a power of ten. */
const timeText = (ns) => medianText({ median: ns }, { unit: "ns" }).replace(/(\.0+)? /, " ");

/** Returns a plot from `top` to `bottom`, with its legend. */
function drawPlot(title, series, top, bottom) {
  // Zero has no logarithm, so it is drawn at 1.
  const sizeOf = ({ size }) => Math.max(1, size);
  const points = series.flatMap((each) => each.points);
  const medians = points.flatMap(({ cells }) => [cells.ts, cells.wasm].filter(Boolean).map((c) => c.median));
  const [xs, ys] = [decades(points.map(sizeOf)), decades(medians)];
  const scale = (marks, from, to) => (value) =>
    from + ((Math.log10(value) - marks[0]) / (marks.at(-1) - marks[0])) * (to - from);
  const x = scale(xs, LEFT, RIGHT);
  const y = scale(ys, bottom, top);
  const line = (each, column) => {
    const has = each.points.filter(({ cells }) => cells[column]);
    const path = has.map(
      (point) => `${x(sizeOf(point)).toFixed(1)} ${y(point.cells[column].median).toFixed(1)}`,
    );
    return `<path class="${column} line${series.indexOf(each)}" d="M${path.join("L")}"/>`;
  };
  const drawn = series.map((each, i) => {
    const grown = ["wasm", "ts"].map((column) => `${column} ${growthText(each, column)}`).join(", ");
    const at = top + 4 + i * LEGEND_STEP;
    return [
      line(each, "ts"),
      line(each, "wasm"),
      `<path class="wasm line${i}" d="M${RIGHT + 20} ${at}h18"/>`,
      label(RIGHT + 46, at + 4, each.name, ' class="name"'),
      label(RIGHT + 46, at + 19, grown),
    ].join("");
  });
  return [
    label(LEFT, top - 10, title, ' class="title"'),
    ...ys.map((exponent) => {
      const at = y(10 ** exponent).toFixed(1);
      return (
        `<path class="grid" d="M${LEFT} ${at}H${RIGHT}"/>` +
        label(LEFT - 8, Number(at) + 4, timeText(10 ** exponent), ' text-anchor="end"')
      );
    }),
    ...xs.map((exponent) =>
      label(x(10 ** exponent).toFixed(1), bottom + 18, sizeText(10 ** exponent), ' text-anchor="middle"'),
    ),
    ...drawn,
  ].join("\n");
}

/** Returns the picture of the recorded benchmark, as an SVG. */
export function drawGrowth(scoreboard) {
  const parts = [];
  let top = TOP + 24;
  for (const [title, series] of plotsOf(seriesOf(scoreboard))) {
    const bottom = top + Math.max(LEAST_HEIGHT, series.length * LEGEND_STEP);
    parts.push(drawPlot(title, series, top, bottom));
    top = bottom + GAP;
  }
  const height = top - GAP + 34;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">What an operation costs over size</title>`,
    `<desc id="desc">A plot for each thing that is counted, both axes logarithmic, with a line for each row of the ` +
      `benchmark's group "cost over size": solid on WebAssembly, dashed on TypeScript. The legend says how much each ` +
      `grows over its range.</desc>`,
    `<style>\n${STYLE}\n</style>`,
    `<rect class="back" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>`,
    label(LEFT, 26, "What an operation costs over size", ' class="title"'),
    label(
      LEFT,
      44,
      "Medians. Solid: WebAssembly; dashed: TypeScript. How much each grows stands below its name.",
    ),
    ...parts,
    `</svg>`,
  ].join("\n")}\n`;
}
