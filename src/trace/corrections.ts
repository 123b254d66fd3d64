// Counts what a reader had to change, so that the events are ones that a heap can follow.

import type { TraceCorrections } from "./events.ts";

/** The names of the counts, in the order of the neutral form. */
export const CORRECTION_NAMES = [
  "impliedFrees",
  "impliedGrows",
  "skippedFrees",
  "skippedGrows",
  "skippedUnmaps",
  "movedAllocs",
] as const satisfies readonly (keyof TraceCorrections)[];

/** The counts of one block after the other. */
export class Corrections implements TraceCorrections {
  impliedFrees = 0;
  impliedGrows = 0;
  skippedFrees = 0;
  skippedGrows = 0;
  skippedUnmaps = 0;
  movedAllocs = 0;

  /** Returns what a block has to say of them, which is nothing if there were none. All are 0 afterwards. */
  take(): { corrections?: TraceCorrections } {
    const corrections = addCorrections([this]);
    for (const name of CORRECTION_NAMES) this[name] = 0;
    return corrections ? { corrections } : {};
  }
}

/** Adds up the corrections of blocks; undefined if there are none. */
export function addCorrections(
  parts: ReadonlyArray<TraceCorrections | undefined>,
): TraceCorrections | undefined {
  const sums = CORRECTION_NAMES.map((name) => parts.reduce((sum, part) => sum + (part?.[name] ?? 0), 0));
  if (sums.every((sum) => sum === 0)) return undefined;
  return Object.fromEntries(
    CORRECTION_NAMES.map((name, i) => [name, sums[i]]),
  ) as unknown as TraceCorrections;
}
