// The scoreboard as rows of text, for terminals and web pages alike.

const significant = (x) => (x >= 100 ? Math.round(x).toLocaleString("en") : x.toPrecision(x >= 1 ? 3 : 2));

/** A time in ns in the unit that suits it. */
export function duration(ns) {
  if (ns < 10_000) return `${significant(ns)} ns`;
  if (ns < 10_000_000) return `${significant(ns / 1e3)} µs`;
  return `${significant(ns / 1e6)} ms`;
}

const bytes = (n) => `${(n / 2 ** 20).toFixed(1)} MiB`;

/** A cell: the median, what it is in events a second where that is asked for, and from the least to p99. */
export function cellText(cell, { unit, rate }) {
  if (!cell) return "–";
  if (unit === "bytes") return bytes(cell.median);
  const median = rate ? `${(1e3 / cell.median).toFixed(1)} ${rate}` : duration(cell.median);
  return `${median} (${duration(cell.min)} … ${duration(cell.p99)})`;
}

/** The rows by group: [group, rows of text], the first two of each row being the name and the input. */
export function tables(rows, columns) {
  const groups = new Map();
  for (const row of rows) {
    const line = [row.name, row.input, ...columns.map((name) => cellText(row.cells[name], row))];
    if (groups.has(row.group)) groups.get(row.group).push(line);
    else groups.set(row.group, [line]);
  }
  return [...groups];
}
