// The hook that runs when released pages are about to be used again, and what it takes to undo the allocation.

import { type Core, type Place, placeOf } from "./core.ts";
import { CHUNK_PAGES, HOLD_USED } from "./layout.ts";
import type { PageRange } from "./ranges.ts";

/** Runs `sys.used` over pages that record `ref` holds, so that nobody can free them meanwhile. When it throws, runs `undo`. */
export function runUsed(core: Core, place: Place, npages: number, ref: number, undo: () => void): void {
  try {
    core.sys.used?.(core.address(place), npages * core.pageSize);
  } catch (error) {
    core.lock.finish(undo);
    throw error;
  }
  // Without the lock the call throws, so that nobody gets the pages.
  core.lock.finish(() => core.endHold(ref, HOLD_USED), undo);
}

/** Ends a hold so that its pages are free, those of `runs` scavenged, as if they had never been taken. The lock is held. */
export function giveBack(
  core: Core,
  { chunk, index }: Place,
  ref: number,
  outcome: number,
  runs: readonly PageRange[],
): void {
  if (!core.endHold(ref, outcome)) return;
  for (const [first, count] of runs) {
    const run = placeOf(chunk * CHUNK_PAGES + index + first);
    core.engine.rescavenge(core.at, run.chunk, run.index, count);
  }
}
