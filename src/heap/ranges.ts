// Heaps as ranges of pages by chunk: reads such a description, fills a heap from it, and describes a heap.

import { integer, isInteger, refuse } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { type PageRange, runsOf } from "../engine/pages.ts";
import { chunksOf, mappedRuns } from "../store/tree.ts";
import type { Core } from "./core.ts";

/** Page ranges by chunk index. A chunk that is named is part of the heap, even without ranges. */
export type ChunkRanges = Readonly<Record<number, readonly PageRange[]>>;

/** The mapped address ranges `[base, limit)` of a heap, in bytes, ascending. */
export type MappedRanges = ReadonlyArray<readonly [base: number, limit: number]>;

/** Checks and copies address ranges, which must be ascending and not empty. Throws TypeError or RangeError. */
export function readMapped(name: string, given: MappedRanges): Array<[base: number, limit: number]> {
  let end = 0;
  return readPairs(name, given, "[base, limit]", (item, range) => {
    const base = integer(`base in ${item}`, range[0], end, Number.MAX_SAFE_INTEGER);
    end = integer(`limit in ${item}`, range[1], base + 1, Number.MAX_SAFE_INTEGER);
    return [base, end];
  });
}

/** Checks and copies page ranges of chunks 0 to `most`. Throws TypeError or RangeError. */
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
      refuse(`a key of ${name}`, key, `a decimal integer from 0 to ${most}`, "string");
    }
    const copy = readPairs(`${name}[${key}]`, list, "[first, count]", (item, range): PageRange => {
      const first = integer(`first in ${item}`, range[0], 0, layout.CHUNK_PAGES - 1);
      return [first, integer(`count in ${item}`, range[1], 0, layout.CHUNK_PAGES - first)];
    });
    ranges.set(chunk, copy);
  }
  return ranges;
}

type Pair = readonly [number, number];

/** Copies a list of pairs through `read`, which gets each with its name. Throws TypeError, or what `read` throws. */
function readPairs<T>(
  name: string,
  list: readonly Pair[],
  pair: string,
  read: (item: string, range: Pair) => T,
): T[] {
  if (!Array.isArray(list)) refuse(name, list, `an array of ${pair}`);
  // Array.from also visits holes in the list, which are then refused.
  return Array.from(list, (range, i) => {
    const item = `${name}[${i}]`;
    if (!Array.isArray(range) || range.length !== 2) refuse(item, range, pair);
    return read(item, range as unknown as Pair);
  });
}

/** Fills a heap whose mapped pages are all free, and resets its counts. Caller must hold the lock. */
export function fill(core: Core, alloc: Map<number, PageRange[]>, scavenged: Map<number, PageRange[]>): void {
  const { engine } = core;
  mustBeMapped(core, "state.alloc", alloc);
  mustBeMapped(core, "state.scavenged", scavenged);
  for (const chunk of chunksOf(core)) {
    // Ranges may overlap, so pages are marked before they are counted.
    const inUse = new Uint8Array(layout.CHUNK_PAGES);
    for (const [first, count] of alloc.get(chunk) ?? []) inUse.fill(1, first, first + count);
    for (const [first, count] of mappedRuns(core, core.dataOf(chunk))) {
      engine.allocRange(core.at, chunk, first, count);
      for (const run of runsOf((i) => !inUse[first + i], count, first)) engine.free(core.at, chunk, ...run);
    }
    for (const [first, count] of scavenged.get(chunk) ?? [])
      if (count) engine.scavengeRange(core.at, chunk, first, count, 0);
  }
  for (const total of [
    layout.HEADER_ALLOCS,
    layout.HEADER_FREES,
    layout.HEADER_SCAVENGES,
    layout.HEADER_SCAVENGED_TOTAL,
  ])
    core.setF64(total, 0);
  core.set(layout.HEADER_LAST_SCAVENGED, 0);
  core.set(layout.HEADER_PEAK_IN_USE, core.get(layout.HEADER_IN_USE));
  core.set(layout.HEADER_PEAK_RETAINED, core.get(layout.HEADER_PAGES) - core.get(layout.HEADER_RELEASED));
  core.setF64(layout.HEADER_SCAV_END, core.getF64(layout.HEADER_TOP));
}

/** Throws RangeError unless all pages of the ranges are mapped. The heap's pages must all be free. */
function mustBeMapped(core: Core, name: string, ranges: Map<number, PageRange[]>): void {
  for (const [chunk, list] of ranges) {
    if (!core.dataOf(chunk))
      refuse(`a key of ${name}`, chunk, "a chunk with a page in state.mapped", "number");
    for (const [first, count] of list) {
      if (count && core.engine.inspect(core.at, chunk, first, count, false))
        refuse(`${name}[${chunk}]`, `${first}, ${count}`, "pages in state.mapped", "string");
    }
  }
}

/** Describes a heap: its chunks as page ranges, and its mapped address ranges. Caller must hold the lock. */
export function describe(core: Core): {
  alloc: Record<number, PageRange[]>;
  scavenged: Record<number, PageRange[]>;
  mapped: Array<[base: number, limit: number]>;
} {
  const { engine } = core;
  const alloc: Record<number, PageRange[]> = {};
  const scavenged: Record<number, PageRange[]> = {};
  for (const chunk of chunksOf(core)) {
    const data = core.dataOf(chunk);
    // Only pages with one bit set: holes have both.
    const only = (bits: number, others: number) =>
      runsOf((i) => engine.popcntRange(bits, i, 1) > engine.popcntRange(others, i, 1), layout.CHUNK_PAGES);
    alloc[chunk] = only(data, data + layout.DATA_SCAVENGED);
    scavenged[chunk] = only(data + layout.DATA_SCAVENGED, data);
  }
  return { alloc, scavenged, mapped: mappedRanges(core) };
}

/** Returns the mapped address ranges in bytes, ascending, neighbours merged. Caller must hold the lock. */
export function mappedRanges(core: Core): Array<[base: number, limit: number]> {
  const ranges: Array<[number, number]> = [];
  for (const chunk of chunksOf(core)) {
    for (const [first, count] of mappedRuns(core, core.dataOf(chunk))) {
      const base = core.address({ chunk, index: first });
      const last = ranges.at(-1);
      if (last?.[1] === base) last[1] += count * core.pageSize;
      else ranges.push([base, base + count * core.pageSize]);
    }
  }
  return ranges;
}
