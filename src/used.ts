// The hook that runs when released pages are about to be used again, and what it takes to undo the allocation.

import { type Core, type Place, placeOf } from "./core.ts";
import { CHUNK_PAGES, HEADER_END, HEADER_SCAV_END, HOLD_USED } from "./layout.ts";
import type { PageRange } from "./ranges.ts";

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
    const place = placeOf(chunk * CHUNK_PAGES + index + first);
    eachChunk(place, count, (chunk, index, n) => core.engine.rescavenge(core.at, chunk, index, n));
  }
}

/** Marks those pages as scavenged that are free and unscavenged. Returns how many those are. The lock is held. */
export function scavengePages(core: Core, place: Place, npages: number): number {
  let released = 0;
  const most = core.get(HEADER_END) * CHUNK_PAGES - (place.chunk * CHUNK_PAGES + place.index);
  eachChunk(place, Math.min(npages, most), (chunk, index, n) => {
    released += core.engine.scavengeRange(core.at, chunk, index, n, core.getF64(HEADER_SCAV_END));
  });
  return released;
}

/** Cuts a range of pages, none if npages is not positive, at the borders of chunks. */
function eachChunk(
  { chunk, index }: Place,
  npages: number,
  visit: (chunk: number, index: number, npages: number) => void,
): void {
  let at = index;
  let next = chunk;
  for (let left = npages; left > 0; ) {
    const n = Math.min(left, CHUNK_PAGES - at);
    visit(next++, at, n);
    left -= n;
    at = 0;
  }
}
