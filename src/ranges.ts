// A heap as ranges of pages by chunk: reading such a description, filling a heap from it, and giving one of a heap.

import { integer, isInteger, refuse } from "./args.ts";
import type { Core } from "./core.ts";
import {
  CHUNK_PAGES,
  DATA_SCAVENGED,
  HEADER_ALLOCS,
  HEADER_CHUNKS,
  HEADER_FREES,
  HEADER_IN_USE,
  HEADER_LAST_SCAVENGED,
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RELEASED,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
} from "./layout.ts";
import { chunksOf } from "./tree-view.ts";

/** `[first, count]`: pages within a chunk. */
export type PageRange = readonly [first: number, count: number];
/** Page ranges by chunk index. A chunk that is named, even with no range, is part of the heap. */
export type ChunkRanges = Readonly<Record<number, readonly PageRange[]>>;

/** Checks ranges that a caller gives for chunks 0 to `most`; those of no pages are left out. Throws TypeError or RangeError. */
export function readRanges(
  name: string,
  given: ChunkRanges | undefined,
  most: number,
): Map<number, PageRange[]> {
  if (typeof given !== "object" || !given) refuse(name, given, "an object of ranges by chunk index");
  const ranges = new Map<number, PageRange[]>();
  for (const [key, list] of Object.entries(given)) {
    const chunk = Number(key);
    if (String(chunk) !== key || !isInteger(chunk, 0, most)) {
      refuse(`a key of ${name}`, key, `an integer from 0 to ${most}, in decimal digits`, "string");
    }
    const place = `${name}[${key}]`;
    if (!Array.isArray(list)) refuse(place, list, "an array of [first, count]");
    ranges.set(
      chunk,
      // Holes in the list are not passed over.
      Array.from(list, (range) => checkRange(place, range)),
    );
  }
  return ranges;
}

/** A copy of one range of the list at `place`. */
function checkRange(place: string, range: PageRange): PageRange {
  if (!Array.isArray(range) || range.length !== 2) refuse(place, range, "an array of [first, count]");
  const first = integer(`first in ${place}`, range[0], 0, CHUNK_PAGES - 1);
  return [first, integer(`count in ${place}`, range[1], 0, CHUNK_PAGES - first)];
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

/** Fills the chunks of a heap that has just been grown over them, and starts its counts. The lock is held. */
export function fill(
  core: Core,
  named: readonly number[],
  alloc: Map<number, PageRange[]>,
  scavenged: Map<number, PageRange[]>,
): void {
  const { engine } = core;
  for (const chunk of named) {
    // Ranges may overlap; pages are counted once.
    const inUse = new Uint8Array(CHUNK_PAGES);
    for (const [first, count] of alloc.get(chunk) ?? []) inUse.fill(1, first, first + count);
    engine.allocRange(core.at, chunk, 0, CHUNK_PAGES);
    for (const run of runsOf((i) => !inUse[i], CHUNK_PAGES)) engine.free(core.at, chunk, ...run);
    for (const run of scavenged.get(chunk) ?? []) engine.scavengeRange(core.at, chunk, ...run, 0);
  }
  for (const total of [HEADER_ALLOCS, HEADER_FREES, HEADER_SCAVENGES, HEADER_SCAVENGED_TOTAL])
    core.setF64(total, 0);
  core.set(HEADER_LAST_SCAVENGED, 0);
  core.set(HEADER_PEAK_IN_USE, core.get(HEADER_IN_USE));
  core.set(HEADER_PEAK_RETAINED, core.get(HEADER_CHUNKS) * CHUNK_PAGES - core.get(HEADER_RELEASED));
  engine.reset(core.at);
}

/** All chunks of a heap as ranges. The lock is held. */
export function describe(core: Core): {
  alloc: Record<number, PageRange[]>;
  scavenged: Record<number, PageRange[]>;
} {
  const alloc: Record<number, PageRange[]> = {};
  const scavenged: Record<number, PageRange[]> = {};
  for (const chunk of chunksOf(core)) {
    const data = core.dataOf(chunk);
    alloc[chunk] = bitRanges(core, data);
    scavenged[chunk] = bitRanges(core, data + DATA_SCAVENGED);
  }
  return { alloc, scavenged };
}

/** The runs of set bits of a bitmap. */
function bitRanges(core: Core, bits: number): PageRange[] {
  const { engine } = core;
  return runsOf((i) => engine.popcntRange(bits, i, 1) > 0, CHUNK_PAGES);
}

/** The mapped address ranges, ascending, neighbours merged. The lock is held. */
export function mappedRanges(core: Core): Array<readonly [base: number, limit: number]> {
  const ranges: Array<[number, number]> = [];
  for (const chunk of chunksOf(core)) {
    const base = chunk * core.chunkBytes;
    const last = ranges.at(-1);
    if (last?.[1] === base) last[1] += core.chunkBytes;
    else ranges.push([base, base + core.chunkBytes]);
  }
  return ranges;
}
