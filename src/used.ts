// The hook that runs when released pages are about to be used again, and undoing the allocation when it throws.

import { type Core, type Place, placeOf } from "./core.ts";
import { CHUNK_PAGES, HEADER_END, HEADER_SCAVENGED_TOTAL, HEADER_SCAVENGES, KIND_REUSING } from "./layout.ts";
import type { PageRange } from "./ranges.ts";

/** Runs `sys.used` over pages that have been allocated; nobody can free them meanwhile. When it throws, runs `undo`. */
export function runUsed(core: Core, place: Place, npages: number, undo: () => void): void {
  let done = () => {};
  try {
    const ref = core.locked(() => core.newRecord(KIND_REUSING, place, npages));
    done = () => core.engine.dropRecord(core.at, ref);
    core.sys.used?.(core.address(place), npages * core.pageSize);
  } catch (error) {
    core.locked(() => {
      done();
      undo();
    });
    throw error;
  }
  core.locked(done);
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

/** Makes pages in use free again, those of `runs` scavenged, as if they had never been taken. The lock is held. */
export function giveBack(
  core: Core,
  { chunk, index }: Place,
  npages: number,
  runs: readonly PageRange[],
): void {
  const scavenges = core.getF64(HEADER_SCAVENGES);
  const scavengedTotal = core.getF64(HEADER_SCAVENGED_TOTAL);
  core.engine.unclaim(core.at, chunk, index, npages);
  for (const [first, count] of runs) scavengePages(core, placeOf(chunk * CHUNK_PAGES + index + first), count);
  core.setF64(HEADER_SCAVENGES, scavenges);
  core.setF64(HEADER_SCAVENGED_TOTAL, scavengedTotal);
}

/** Marks those pages as scavenged that are free and unscavenged. Returns how many those are. The lock is held. */
export function scavengePages(core: Core, { chunk, index }: Place, npages: number): number {
  let released = 0;
  const end = core.get(HEADER_END);
  for (let left = npages; left > 0 && chunk < end; chunk++) {
    const n = Math.min(left, CHUNK_PAGES - index);
    released += core.engine.scavengeRange(core.at, chunk, index, n);
    left -= n;
    index = 0;
  }
  return released;
}
