// Compares a run with an earlier one. The code of the peers stays the same. So if their times changed, the machine got
// faster or slower, and all other times are corrected for that. Cells that still changed by more than the noise are
// listed. Compares the least time of each cell, since other work on the machine can only add to a time.
import { middle } from "../middle.mjs";

const UNCHANGED = ["BigInt", "peer", "native C"];
/** Two runs of the same code may differ by this much, even if the rounds of each agree. */
const ALWAYS_NOISE = 0.15;
/** A cell's noise is taken to be this many times the difference between its rounds. */
const DRIFTS = 2;

/** Returns all cells that both runs have, as { id, column, before, after }. */
function pairs(earlier, later) {
  const before = new Map(earlier.rows.map((row) => [row.id, row]));
  return later.rows.flatMap(({ id, unit, cells }) =>
    unit !== "ns"
      ? []
      : Object.entries(cells)
          .map(([column, after]) => ({ id, column, before: before.get(id)?.cells[column], after }))
          .filter((pair) => pair.before),
  );
}

/**
 * Compares two runs, as `--json` writes them. Returns `machine`, how many times as long the machine took in the later
 * run, and `changes`, the cells that changed by more than the noise, worst first: `{ id, column, ratio, noise }`. A
 * ratio above 1 is worse.
 */
export function compare(earlier, later) {
  const all = pairs(earlier, later);
  const ofPeers = all.filter(({ column }) => UNCHANGED.includes(column));
  const machine = ofPeers.length ? middle(ofPeers.map(({ before, after }) => after.min / before.min)) : 1;
  const changes = all
    .filter(({ column }) => !UNCHANGED.includes(column))
    .map(({ id, column, before, after }) => ({
      id,
      column,
      ratio: after.min / before.min / machine,
      noise: ALWAYS_NOISE + DRIFTS * (before.drift + after.drift),
    }))
    .filter(({ ratio, noise }) => ratio > 1 + noise || ratio < 1 / (1 + noise));
  return { machine, compared: all.length, changes: changes.sort((a, b) => b.ratio - a.ratio) };
}

/** Returns the comparison as lines of text. */
export function compareText({ machine, compared, changes }) {
  const line = ({ id, column, ratio, noise }) => {
    const verdict = ratio > 1 ? "WORSE " : "better";
    return `  ${verdict} ${ratio.toFixed(2)}×  ${column.padEnd(5)} ${id}  (noise ${Math.round(noise * 100)}%)`;
  };
  const worse = changes.filter(({ ratio }) => ratio > 1).length;
  return [
    `Compared ${compared} cells. Judged by the peers, the machine took ${machine.toFixed(2)}× as long as before.`,
    `${worse} got worse by more than the noise, and ${changes.length - worse} got better.`,
    ...changes.map(line),
  ].join("\n");
}
