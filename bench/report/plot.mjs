// Draws cost over the size of the heap as SVG: a panel an operation, a line a column, both axes logarithmic.

const GIB_PER_CHUNK = 1 / 256;
const SIZES_GIB = [0.25, 1, 4, 16, 64, 256, 1024];
const COLOURS = { BigInt: "#9467bd", ts: "#1f77b4", wasm: "#e6550d", "native C": "#555555" };

const PANEL = { width: 230, height: 220, left: 70, top: 34, gap: 30, bottom: 44 };
const LEGEND_WIDTH = 100;

const escapeXml = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const text = (x, y, anchor, content, kind = "label") =>
  `<text class="${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
const line = (x1, y1, x2, y2, colour) => `<path d="M${x1} ${y1}L${x2} ${y2}" stroke="${colour}"/>`;

/** A function from [least, most] to [from, to], logarithmic, to a tenth of a pixel. */
function logScale(least, most, from, to) {
  const perDecade = (to - from) / Math.log10(most / least);
  return (value) => Number((from + Math.log10(value / least) * perDecade).toFixed(1));
}

/** The powers of ten that hold all values. */
function decades(values) {
  const least = Math.floor(Math.log10(Math.min(...values)));
  const most = Math.ceil(Math.log10(Math.max(...values)));
  return Array.from({ length: most - least + 1 }, (_, i) => 10 ** (least + i));
}

/** A power of ten in ns, in the unit that suits it. */
function tickText(ns) {
  const units = ["ns", "µs", "ms", "s"];
  const unit = Math.min(Math.floor(Math.round(Math.log10(ns)) / 3), units.length - 1);
  return `${Math.round(ns / 1000 ** unit)} ${units[unit]}`;
}

/** Grid, ticks and title of a panel whose left edge is at `left`; only the first says what the grid lines stand for. */
function frame(title, left, first, x, y, ticks) {
  const right = left + PANEL.width;
  const bottom = PANEL.top + PANEL.height;
  const parts = [text(left + PANEL.width / 2, PANEL.top - 12, "middle", title, "title")];
  for (const tick of ticks) {
    parts.push(line(left, y(tick), right, y(tick), "#dddddd"));
    if (first) parts.push(text(left - 8, y(tick) + 4, "end", tickText(tick)));
  }
  for (const gib of SIZES_GIB) {
    parts.push(line(left + x(gib), bottom, left + x(gib), bottom + 4, "#888888"));
    parts.push(text(left + x(gib), bottom + 18, "middle", String(gib)));
  }
  parts.push(text(left + PANEL.width / 2, bottom + 36, "middle", "heap, GiB"));
  return parts;
}

/** The line of a column: its points, joined. */
function curve(points, colour, at) {
  const places = points.map(at);
  const path = `<path d="M${places.map((place) => place.join(" ")).join("L")}" stroke="${colour}" stroke-width="2"/>`;
  return [path, ...places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`)];
}

/** What the dots' colours mean, from `x` on. */
const legend = (columns, x) =>
  columns.flatMap((column, i) => {
    const y = PANEL.top + 14 + i * 22;
    return [
      `<circle cx="${x}" cy="${y - 4}" r="5" fill="${COLOURS[column]}"/>`,
      text(x + 12, y, "start", column),
    ];
  });

/** The SVG of the rows that have a size in chunks; undefined when there are none. */
export function plot(rows, columns) {
  const sized = rows.filter(({ chunks }) => chunks);
  if (!sized.length) return undefined;
  const ticks = decades(sized.flatMap(({ cells }) => Object.values(cells).map(({ median }) => median)));
  const x = logScale(SIZES_GIB[0], SIZES_GIB.at(-1), 10, PANEL.width - 10);
  const y = logScale(ticks[0], ticks.at(-1), PANEL.top + PANEL.height, PANEL.top);
  const operations = [...new Set(sized.map(({ short }) => short))];
  const leftOf = (panel) => PANEL.left + panel * (PANEL.width + PANEL.gap);
  const parts = operations.flatMap((operation, panel) => [
    ...frame(operation, leftOf(panel), panel === 0, x, y, ticks),
    ...columns.flatMap((column) => {
      const points = sized.filter(({ short, cells }) => short === operation && cells[column]);
      const place = ({ chunks, cells }) => [
        leftOf(panel) + x(chunks * GIB_PER_CHUNK),
        y(cells[column].median),
      ];
      return curve(points, COLOURS[column], place);
    }),
  ]);
  const end = leftOf(operations.length);
  return svg([...parts, ...legend(columns, end)], end + LEGEND_WIDTH);
}

function svg(parts, width) {
  const height = PANEL.top + PANEL.height + PANEL.bottom;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<style>text { font: 12px sans-serif; fill: #222222 } .title { font-weight: bold } path { fill: none }</style>
<rect width="100%" height="100%" fill="white"/>
${parts.join("\n")}
</svg>
`;
}
