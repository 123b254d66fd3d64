// Compares a run with an earlier one. The peers' code stays as it is, so what they gained or lost between the runs is
// the machine, and taken off; what then got worse by more than the noise is marked. What is compared is the least of
// each cell: other work on the machine can only add to it.
import { middle } from "../middle.mjs";

const PEERS = ["BigInt", "native C"];
/** Two runs of the same code differ by this much even where each is steady in itself. */
const ALWAYS_NOISE = 0.15;
/** A cell is thought to be off by less than this many times the difference between its own rounds. */
const DRIFTS = 2;

/** All cells that both runs have, as { id, column, before, after }. */
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
 * Compares two runs as `--json` writes them. Returns `machine`, how many times slower the machine was in the later run;
 * and `changes`, the cells that changed by more than the noise, worst first: `{ id, column, ratio, noise }`, ratio
 * above 1 being worse.
 */
export function compare(earlier, later) {
  const all = pairs(earlier, later);
  const ofPeers = all.filter(({ column }) => PEERS.includes(column));
  const machine = ofPeers.length ? middle(ofPeers.map(({ before, after }) => after.min / before.min)) : 1;
  const changes = all
    .filter(({ column }) => !PEERS.includes(column))
    .map(({ id, column, before, after }) => ({
      id,
      column,
      ratio: after.min / before.min / machine,
      noise: ALWAYS_NOISE + DRIFTS * (before.drift + after.drift),
    }))
    .filter(({ ratio, noise }) => ratio > 1 + noise || ratio < 1 / (1 + noise));
  return { machine, compared: all.length, changes: changes.sort((a, b) => b.ratio - a.ratio) };
}

/** The comparison as lines of text. */
export function compareText({ machine, compared, changes }) {
  const line = ({ id, column, ratio, noise }) => {
    const verdict = ratio > 1 ? "WORSE " : "better";
    return `  ${verdict} ${ratio.toFixed(2)}×  ${column.padEnd(5)} ${id}  (noise ${Math.round(noise * 100)}%)`;
  };
  const worse = changes.filter(({ ratio }) => ratio > 1).length;
  return [
    `Compared ${compared} cells; by the peers, the machine took ${machine.toFixed(2)}× as long as in the earlier run.`,
    `${worse} got worse by more than the noise, ${changes.length - worse} better.`,
    ...changes.map(line),
  ].join("\n");
}
