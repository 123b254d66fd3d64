// The hook that runs when released pages are about to be used again, and undoing the allocation when it throws.

import { type Core, type Place, placeOf } from "./core.ts";
import { CHUNK_PAGES, HEADER_END, HEADER_SCAVENGED_TOTAL, HEADER_SCAVENGES, KIND_REUSING } from "./layout.ts";

/** Pages [offset, offset + npages) of a range. */
export interface Run {
  readonly offset: number;
  readonly npages: number;
}

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
export function runsOf(isSet: (i: number) => boolean, n: number, offset = 0): Run[] {
  const runs: Run[] = [];
  for (let i = 0; i < n; i++) {
    if (!isSet(i)) continue;
    const first = i;
    while (i < n && isSet(i)) i++;
    runs.push({ offset: offset + first, npages: i - first });
  }
  return runs;
}

/** Makes pages in use free again, those of `runs` scavenged, as if they had never been taken. The lock is held. */
export function giveBack(core: Core, { chunk, index }: Place, npages: number, runs: readonly Run[]): void {
  const scavenges = core.getF64(HEADER_SCAVENGES);
  const scavengedTotal = core.getF64(HEADER_SCAVENGED_TOTAL);
  core.engine.unclaim(core.at, chunk, index, npages);
  for (const run of runs) scavengePages(core, placeOf(chunk * CHUNK_PAGES + index + run.offset), run.npages);
  core.setF64(HEADER_SCAVENGES, scavenges);
  core.setF64(HEADER_SCAVENGED_TOTAL, scavengedTotal);
}

/** Marks those pages as scavenged that are free and unscavenged. Returns how many those are. The lock is held. */
export function scavengePages(core: Core, { chunk, index }: Place, npages: number): number {
  const { engine, at } = core;
  let released = 0;
  const first = index;
  const end = Math.min(first + npages, (core.get(HEADER_END) - chunk) * CHUNK_PAGES);
  for (let page = first; page < end; page = (page | (CHUNK_PAGES - 1)) + 1) {
    const place = placeOf(page);
    const n = Math.min(end - page, CHUNK_PAGES - place.index);
    released += engine.scavengeRange(at, chunk + place.chunk, place.index, n);
  }
  return released;
}
