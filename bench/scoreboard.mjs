// Runs each case on all columns before the next case, so that a noisy minute of the machine hits all columns alike.
// Runs it in several rounds, so that a noisy second spoils only one. Checks that all columns computed the same.

/** How long each round warms up and measures a cell, and the least number of timed runs. */
export const SETTINGS = {
  normal: { rounds: 3, warmupMs: 100, budgetMs: 150, leastSamples: 3 },
  quick: { rounds: 1, warmupMs: 0, budgetMs: 5, leastSamples: 2 },
};

/**
 * Measures `cases` on `columns`. A column is `{ name, has(case), measure(case, settings) }`. Calls onRow(row) when a
 * row is done. Returns the rows: `{ id, group, name, input, unit, rate, cells }`, with the cells by column. Throws when
 * columns compute different results for a case.
 */
export async function runScoreboard(columns, cases, settings, onRow = (_row) => {}) {
  const rows = [];
  for (const each of cases) {
    const { id, group, name, input, unit = "ns", rate } = each;
    const row = { id, group, name, input, unit, rate, cells: {} };
    for (let round = 0; round < (each.value ? 1 : settings.rounds); round++) {
      for (const column of columns) {
        if (!column.has(each)) continue;
        const cell = await column.measure(each, settings);
        if (cell) row.cells[column.name] = better(row.cells[column.name], cell);
      }
    }
    agree(row);
    rows.push(row);
    onRow(row);
  }
  return rows;
}

/** Returns the round with the lower median. `drift` is how far apart the rounds were. */
function better(earlier, later) {
  if (!earlier) return { ...later, drift: 0 };
  const drift = Math.max(earlier.drift, Math.abs(Math.log(later.min / earlier.min)));
  return { ...(later.median < earlier.median ? later : earlier), drift };
}

/** Throws when the columns of a row have computed different results. */
function agree({ id, cells }) {
  const checks = Object.entries(cells).filter(([, cell]) => cell.check !== undefined);
  if (new Set(checks.map(([, cell]) => cell.check)).size <= 1) return;
  throw new Error(`${id}: ${checks.map(([name, cell]) => `${name} gives ${cell.check}`).join(", ")}`);
}

/** Returns a column that measures in a worker. `ask` sends the worker a request. */
export function workerColumn(name, ask) {
  return {
    name,
    has: ({ columns }) => columns.includes(name),
    measure: ({ id }, settings) => ask({ id, settings }),
  };
}
