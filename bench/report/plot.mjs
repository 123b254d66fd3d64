// Draws cost over the size of the heap as SVG.
import { parse, View } from "vega";
import { compile } from "vega-lite";

const GIB_PER_CHUNK = 1 / 256;

/** What vega-lite draws: one panel an operation, one line a column, both axes logarithmic. */
const specification = (values) => ({
  data: { values },
  background: "white",
  facet: {
    column: { field: "operation", type: "nominal", title: null, sort: null, header: { labelFontSize: 13 } },
  },
  spec: {
    width: 230,
    height: 220,
    mark: { type: "line", point: true },
    encoding: {
      x: {
        field: "gib",
        type: "quantitative",
        scale: { type: "log", base: 2 },
        axis: { title: "heap, GiB", values: [0.25, 1, 4, 16, 64, 256, 1024], grid: false },
      },
      y: {
        field: "ns",
        type: "quantitative",
        scale: { type: "log" },
        axis: {
          title: "time of one call",
          values: [100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
          labelExpr:
            "datum.value < 1e3 ? datum.value + ' ns' : datum.value < 1e6 ? datum.value / 1e3 + ' µs'" +
            " : datum.value < 1e9 ? datum.value / 1e6 + ' ms' : datum.value / 1e9 + ' s'",
        },
      },
      color: { field: "column", type: "nominal", title: null, sort: null },
    },
  },
  config: { font: "sans-serif", view: { stroke: "#ddd" } },
});

/** The SVG, of the rows that have a size in chunks; undefined when there are none. */
export async function plot(rows) {
  const values = rows
    .filter(({ chunks }) => chunks)
    .flatMap(({ short, chunks, cells }) =>
      Object.entries(cells).map(([column, { median }]) => ({
        operation: short,
        gib: chunks * GIB_PER_CHUNK,
        column,
        ns: median,
      })),
    );
  if (!values.length) return undefined;
  return new View(parse(compile(specification(values)).spec), { renderer: "none" }).toSVG();
}
