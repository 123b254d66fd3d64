// The results of a run as JSON, one row per line, so that a diff of two runs can be read.

/** More digits would mean nothing: cells differ by some percent from run to run. */
const DIGITS = 4;

const rounded = (x) => Number(x.toPrecision(DIGITS));

/** Returns a row's line: what `compare` needs, and median and p99. Times are in ns; other rows name their unit. */
function line({ id, unit, cells }) {
  const short = Object.entries(cells).map(([column, { min, median, p99, drift }]) => [
    column,
    Object.fromEntries(
      Object.entries({ min, median, p99, drift })
        .filter(([, x]) => typeof x === "number")
        .map(([name, x]) => [name, rounded(x)]),
    ),
  ]);
  return JSON.stringify({ id, unit, cells: Object.fromEntries(short) });
}

export function resultsText({ header, columns, rows }) {
  return [
    "{",
    `"header": ${JSON.stringify(header, null, 1)},`,
    `"columns": ${JSON.stringify(columns)},`,
    '"rows": [',
    rows.map(line).join(",\n"),
    "]",
    "}",
  ].join("\n");
}
