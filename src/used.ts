// The hook that runs when released pages are about to be used again, and undoing the allocation when it throws.

import type { Core, Place } from "./core.ts";
import {
  CHUNK_PAGES,
  DATA_BYTES,
  DATA_SCAVENGED,
  FANOUT,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  KIND_REUSING,
  LEAF_DATA,
} from "./layout.ts";

/** Pages [offset, offset + npages) of a range. */
export interface Run {
  readonly offset: number;
  readonly npages: number;
}

/** Runs `sys.used` over pages that have been allocated; nobody can free them meanwhile. When it throws, runs `undo`. */
export function runUsed(core: Core, place: Place, npages: number, undo: () => void): void {
  const { engine } = core;
  let ref = 0;
  try {
    core.locked(() => {
      core.makeRoomForRecord();
      ref = engine.newRecord(core.at, KIND_REUSING, core.owner, place.chunk, place.index, npages);
    });
    core.sys.used?.(core.address(place.chunk, place.index), npages * core.pageSize);
  } catch (error) {
    core.locked(() => {
      if (ref) engine.dropRecord(core.at, ref);
      undo();
    });
    throw error;
  }
  core.locked(() => engine.dropRecord(core.at, ref));
}

/** The scavenged pages of a range that is part of the heap, as runs within chunks. The lock is held. */
export function scavengedRuns(core: Core, { chunk, index }: Place, npages: number): Run[] {
  const runs: Run[] = [];
  for (let offset = 0; offset < npages; chunk++, index = 0) {
    const n = Math.min(npages - offset, CHUNK_PAGES - index);
    const bits = scavengedBits(core, chunk);
    const count = core.engine.popcntRange(bits, index, n);
    if (count === n) runs.push({ offset, npages: n });
    else if (count) runs.push(...runsOf((i) => core.engine.popcntRange(bits, index + i, 1) === 1, n, offset));
    offset += n;
  }
  return runs;
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
  const { engine } = core;
  const scavenges = core.getF64(HEADER_SCAVENGES);
  const scavengedTotal = core.getF64(HEADER_SCAVENGED_TOTAL);
  engine.unclaim(core.at, chunk, index, npages);
  for (const run of runs) {
    const page = index + run.offset;
    engine.scavengeRange(core.at, chunk + Math.floor(page / CHUNK_PAGES), page % CHUNK_PAGES, run.npages);
  }
  core.setF64(HEADER_SCAVENGES, scavenges);
  core.setF64(HEADER_SCAVENGED_TOTAL, scavengedTotal);
}

/** Address of a chunk's scavenged bitmap. */
function scavengedBits(core: Core, chunk: number): number {
  const leaf = core.engine.mappedLeafOf(core.at, chunk) >>> 0;
  return leaf + LEAF_DATA + (chunk % FANOUT) * DATA_BYTES + DATA_SCAVENGED;
}
