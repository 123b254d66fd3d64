// The scoreboard as rows of text, for terminals and web pages alike.

const UNITS = [
  ["ns", 1],
  ["µs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
];

/** The unit that suits a time in ns: [name, ns]. */
const unitFor = (ns) => UNITS.findLast(([, size]) => ns >= size) ?? UNITS[0];

/** Three digits that mean something. */
const digits = (x) => (x >= 100 ? Math.round(x).toLocaleString("en") : x.toPrecision(x >= 1 ? 3 : 2));

/** The median of a cell: in events a second where that is asked for, else in the unit that suits it. */
export function medianText(cell, { unit, rate }) {
  if (!cell) return "–";
  if (unit === "bytes") return `${(cell.median / 2 ** 20).toFixed(1)} MiB`;
  if (unit === "ratio") return `${cell.median.toFixed(2)}×`;
  if (rate) return `${(1e3 / cell.median).toFixed(1)} ${rate}`;
  const [name, size] = unitFor(cell.median);
  return `${digits(cell.median / size)} ${name}`;
}

/** A cell: the median, and from the least to p99. */
export function cellText(cell, row) {
  const median = medianText(cell, row);
  if (!cell || row.unit !== "ns") return median;
  const [name, size] = unitFor(cell.median);
  const spread = `${digits(cell.min / size)} … ${digits(cell.p99 / size)}`;
  return row.rate ? `${median} (${spread} ${name})` : `${median} (${spread})`;
}

/**
 * The rows by group: [group, rows of text], the first two of each row being the name and the input, and the rest what
 * `cellText` makes of the cells.
 */
export function tables(rows, columns) {
  const groups = new Map();
  for (const row of rows) {
    const line = [row.name, row.input, ...columns.map((name) => cellText(row.cells[name], row))];
    if (groups.has(row.group)) groups.get(row.group).push(line);
    else groups.set(row.group, [line]);
  }
  return [...groups];
}
