// The results of a run as JSON, a row a line, so that two runs can be told apart in a diff.

/** Digits that say something: cells differ by some percent from run to run. */
const DIGITS = 4;

const rounded = (x) => Number(x.toPrecision(DIGITS));

/** What `compare` needs of a row, and its median and p99: times in ns, but for rows with another unit. */
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
