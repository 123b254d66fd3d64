// The scoreboard as rows of text, for terminals and web pages alike.

const UNITS = [
  ["ns", 1],
  ["µs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
];

/** Returns the unit that suits a time in ns, as [name, ns]. */
const unitFor = (ns) => UNITS.findLast(([, size]) => ns >= size) ?? UNITS[0];

/** Formats a number with about three significant digits. */
const digits = (x) => (x >= 100 ? Math.round(x).toLocaleString("en") : x.toPrecision(x >= 1 ? 3 : 2));

/** Returns the median of a cell: as a rate if the row asks for that, else in the unit that suits it. */
export function medianText(cell, { unit, rate }) {
  if (!cell) return "–";
  if (unit === "bytes") return `${(cell.median / 2 ** 20).toFixed(1)} MiB`;
  if (unit === "ratio") return `${cell.median.toFixed(2)}×`;
  if (rate) return `${(1e3 / cell.median).toFixed(1)} ${rate}`;
  const [name, size] = unitFor(cell.median);
  return `${digits(cell.median / size)} ${name}`;
}

/** Returns a cell's text: the median, and the range from the least to p99. */
export function cellText(cell, row) {
  const median = medianText(cell, row);
  if (!cell || row.unit !== "ns") return median;
  const [name, size] = unitFor(cell.median);
  const spread = `${digits(cell.min / size)} … ${digits(cell.p99 / size)}`;
  return row.rate ? `${median} (${spread} ${name})` : `${median} (${spread})`;
}

/**
 * Returns the rows by group, as [group, rows of text]. A row of text has the name, the input, and then the text of each
 * cell.
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
