// The hook that runs when released pages are about to be used again, and what it takes to undo the allocation.

import { type Core, type Place, placeOf } from "./core.ts";
import { CHUNK_PAGES, HEADER_END, HEADER_SCAV_END, HOLD_USED } from "./layout.ts";
import type { PageRange } from "./ranges.ts";

/** Pages that an engine scavenges in one call: it counts them in 32 bits. Only a heap that is mostly holes has more. */
const MOST_AT_ONCE = 2 ** 31;

/** Runs `sys.used` over pages that record `ref` holds, so that nobody can free them meanwhile. When it throws, runs `undo`. */
export function runUsed(core: Core, place: Place, npages: number, ref: number, undo: () => void): void {
  try {
    core.sys.used?.(core.address(place), npages * core.pageSize);
  } catch (error) {
    core.locked(undo, true);
    throw error;
  }
  core.locked(() => core.engine.endHold(core.at, ref, HOLD_USED), true);
}

/** The runs of n pages for which `isSet` holds, `offset` added to each. */
export function runsOf(isSet: (i: number) => boolean, n: number, offset = 0): PageRange[] {
  const runs: PageRange[] = [];
  for (let i = 0; i < n; i++) {
    if (!isSet(i)) continue;
    const first = i;
    while (i < n && isSet(i)) i++;
    runs.push([offset + first, i - first]);
  }
  return runs;
}

/** Ends a hold so that its pages are free, those of `runs` scavenged, as if they had never been taken. The lock is held. */
export function giveBack(
  core: Core,
  { chunk, index }: Place,
  ref: number,
  outcome: number,
  runs: readonly PageRange[],
): void {
  core.engine.endHold(core.at, ref, outcome);
  for (const [first, count] of runs) {
    const run = placeOf(chunk * CHUNK_PAGES + index + first);
    core.engine.rescavenge(core.at, run.chunk, run.index, count);
  }
}

/** Marks those pages as scavenged that are free and unscavenged. Returns how many those are. The lock is held. */
export function scavengePages(core: Core, { chunk, index }: Place, npages: number): number {
  const first = chunk * CHUNK_PAGES + index;
  const end = Math.min(first + npages, core.get(HEADER_END) * CHUNK_PAGES);
  let released = 0;
  for (let page = first; page < end; page += MOST_AT_ONCE) {
    const at = placeOf(page);
    const n = Math.min(end - page, MOST_AT_ONCE);
    released += core.engine.scavengeRange(core.at, at.chunk, at.index, n, core.getF64(HEADER_SCAV_END));
  }
  return released;
}
