// The heap: taking and giving back runs of pages, growing, and the counters that go with them. Callers hold the lock and
// have made room in the region for what a call appends to it.

import {
  BITMAP_BYTES,
  CHUNK_PAGES,
  DATA_SCAVENGED,
  FANOUT,
  HEADER_ALLOCS,
  HEADER_CHUNKS,
  HEADER_END,
  HEADER_FREES,
  HEADER_HUGE_PAGES,
  HEADER_IN_USE,
  HEADER_LAST_SCAVENGED,
  HEADER_MIN_PAGES,
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RELEASED,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
  HEADER_START,
  NO_CHUNK,
  NODE_MAX,
  NODE_SHAPE,
  NODE_START,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RANGE_OWNED,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, popcnt, popcntRange, setRange } from "./bits.ts";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate.ts";
import { find } from "./find.ts";
import { owned } from "./record.ts";
import { setSummary } from "./summary.ts";
import {
  dataOf,
  descend,
  firstFree,
  growLeaf,
  leafOf,
  mappedLeafOf,
  resummarize,
  updateAbove,
} from "./tree.ts";
import { clearCandidate, markCandidate } from "./walk.ts";

/** Adds to a count in the header. */
function count({ i32 }: Memory, heap: number, pages: number, counter: number): void {
  i32[(heap + counter) >>> 2] += pages;
}

/** Adds to a total in the header. */
function total({ f64 }: Memory, heap: number, amount: number, counter: number): void {
  f64[(heap + counter) >>> 3] += amount;
}

/** Accounts for pages that come into use, `scavenged` of which had been released. */
export function countTaken({ i32 }: Memory, heap: number, npages: number, scavenged: number): void {
  const inUse = i32[(heap + HEADER_IN_USE) >>> 2] + npages;
  i32[(heap + HEADER_IN_USE) >>> 2] = inUse;
  if (inUse > i32[(heap + HEADER_PEAK_IN_USE) >>> 2]) i32[(heap + HEADER_PEAK_IN_USE) >>> 2] = inUse;
  if (!scavenged) return;
  const released = i32[(heap + HEADER_RELEASED) >>> 2] - scavenged;
  i32[(heap + HEADER_RELEASED) >>> 2] = released;
  const retained = i32[(heap + HEADER_CHUNKS) >>> 2] * CHUNK_PAGES - released;
  if (retained > i32[(heap + HEADER_PEAK_RETAINED) >>> 2]) {
    i32[(heap + HEADER_PEAK_RETAINED) >>> 2] = retained;
  }
}

/** Lowers searchAddr to a page that is free now. */
export function lowerSearch(memory: Memory, heap: number, chunk: number, index: number): void {
  const { i32 } = memory;
  const searchChunk = i32[(heap + HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk > searchChunk || (chunk === searchChunk && index >= i32[(heap + HEADER_SEARCH_INDEX) >>> 2]))
    return;
  setSearch(memory, heap, chunk, index);
}

/** Moves searchAddr. */
export function setSearch({ i32 }: Memory, heap: number, chunk: number, index: number): void {
  i32[(heap + HEADER_SEARCH_CHUNK) >>> 2] = chunk;
  i32[(heap + HEADER_SEARCH_INDEX) >>> 2] = index;
}

/**
 * The first page of the lowest run of npages free pages, as a page number; -1 when there is none. Raises searchAddr to
 * the first free page seen.
 */
export function findFree(memory: Memory, heap: number, npages: number): number {
  const { i32 } = memory;
  const chunk = i32[(heap + HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk === NO_CHUNK) return -1;
  const index = i32[(heap + HEADER_SEARCH_INDEX) >>> 2];
  if (CHUNK_PAGES - index >= npages) {
    const leaf = leafOf(memory, heap, chunk);
    if (leaf && i32[((leaf + NODE_MAX) >>> 2) + (chunk & (FANOUT - 1))] >= npages) {
      const hit = find(memory, dataOf(leaf, chunk), npages, index);
      i32[(heap + HEADER_SEARCH_INDEX) >>> 2] = hit >>> 16;
      return chunk * CHUNK_PAGES + (hit & 0xffff);
    }
  }
  const page = descend(memory, heap, npages);
  if (page < 0 && npages === 1) setSearch(memory, heap, NO_CHUNK, 0);
  else if (firstFree > chunk * CHUNK_PAGES + index) {
    setSearch(memory, heap, Math.floor(firstFree / CHUNK_PAGES), firstFree % CHUNK_PAGES);
  }
  return page;
}

/** Marks free pages as in use. Returns how many of them had been scavenged. */
export function claim(memory: Memory, heap: number, chunk: number, index: number, npages: number): number {
  const scavenged = mark(memory, heap, chunk, index, npages, true);
  countTaken(memory, heap, npages, scavenged);
  return scavenged;
}

/** Marks pages in use as free and unscavenged. */
export function unclaim(memory: Memory, heap: number, chunk: number, index: number, npages: number): void {
  lowerSearch(memory, heap, chunk, index);
  count(memory, heap, -npages, HEADER_IN_USE);
  mark(memory, heap, chunk, index, npages, false);
}

/** Sets or clears the bits of a range, and keeps what is derived from them. Returns how many had been scavenged. */
function mark(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): number {
  let scavenged = 0;
  let changed = false;
  for (let left = npages; left; chunk++) {
    const n = Math.min(left, CHUNK_PAGES - index);
    const leaf = leafOf(memory, heap, chunk);
    const data = dataOf(leaf, chunk);
    if (inUse) {
      const was = popcntRange(memory, data + DATA_SCAVENGED, index, n);
      if (was) clearRange(memory, data + DATA_SCAVENGED, index, n);
      setRange(memory, data, index, n);
      scavenged += was;
    } else {
      clearRange(memory, data, index, n);
      markCandidate(memory, heap, leaf, chunk);
    }
    if (resummarize(memory, leaf, chunk)) changed = true;
    left -= n;
    index = 0;
    if (changed && (!left || (chunk & (FANOUT - 1)) === FANOUT - 1)) {
      updateAbove(memory, heap, leaf);
      changed = false;
    }
  }
  return scavenged;
}

/** Whether all pages of the range are mapped and, as wanted, all in use or all free: one of the RANGE_ answers. */
export function inspect(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): number {
  const { i32 } = memory;
  let answer = RANGE_DONE;
  for (let left = npages; left; chunk++) {
    const n = Math.min(left, CHUNK_PAGES - index);
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    const part = (leaf >>> 2) + (chunk & (FANOUT - 1));
    const whole = inUse ? !i32[part + NODE_MAX / 4] : i32[part + NODE_START / 4] === CHUNK_PAGES;
    if (!whole && popcntRange(memory, dataOf(leaf, chunk), index, n) !== (inUse ? n : 0))
      answer = RANGE_MISMATCH;
    left -= n;
    index = 0;
  }
  return answer;
}

/** Address-ordered first fit: the first page of the run, as a page number, or -1 when no run of npages is free. */
export function alloc(memory: Memory, heap: number, npages: number): number {
  const page = findFree(memory, heap, npages);
  if (page < 0) return -1;
  const scavenged = claim(memory, heap, Math.floor(page / CHUNK_PAGES), page % CHUNK_PAGES, npages);
  memory.i32[(heap + HEADER_LAST_SCAVENGED) >>> 2] = scavenged;
  total(memory, heap, 1, HEADER_ALLOCS);
  return page;
}

/** Takes exactly these pages. One of the RANGE_ answers. */
export function allocRange(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  const answer = inspect(memory, heap, chunk, index, npages, false);
  if (answer !== RANGE_DONE) return answer;
  memory.i32[(heap + HEADER_LAST_SCAVENGED) >>> 2] = claim(memory, heap, chunk, index, npages);
  total(memory, heap, 1, HEADER_ALLOCS);
  return RANGE_DONE;
}

/** Gives back exactly these pages. One of the RANGE_ answers. */
export function free(memory: Memory, heap: number, chunk: number, index: number, npages: number): number {
  const answer = inspect(memory, heap, chunk, index, npages, true);
  if (answer !== RANGE_DONE) return answer;
  if (owned(memory, heap, chunk, index, npages)) return RANGE_OWNED;
  unclaim(memory, heap, chunk, index, npages);
  total(memory, heap, 1, HEADER_FREES);
  return RANGE_DONE;
}

/** Marks as scavenged the pages of a range within a chunk that are free and unscavenged. Returns how many those are. */
export function scavengeRange(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  const { i32 } = memory;
  const leaf = mappedLeafOf(memory, heap, chunk);
  if (!leaf) return 0;
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  let released = 0;
  while (index < end) {
    const word = (data >>> 2) + (index >>> 5);
    const n = Math.min(32 - (index & 31), end - index);
    const range = (-1 >>> (32 - n)) << index;
    const scavenged = i32[word + DATA_SCAVENGED / 4];
    const fresh = range & ~(i32[word] | scavenged);
    i32[word + DATA_SCAVENGED / 4] = scavenged | fresh;
    released += popcnt(fresh);
    index += n;
  }
  if (released) {
    count(memory, heap, released, HEADER_RELEASED);
    total(memory, heap, 1, HEADER_SCAVENGES);
    total(memory, heap, released, HEADER_SCAVENGED_TOTAL);
  }
  return released;
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`: packed as findScavengeCandidate has it, 0 when there is none.
 * A hole has none, whatever its memory holds.
 */
export function look(memory: Memory, heap: number, chunk: number, ceiling: number, maxPages: number): number {
  const { i32 } = memory;
  const leaf = mappedLeafOf(memory, heap, chunk);
  if (!leaf) return 0;
  const minPages = i32[(heap + HEADER_MIN_PAGES) >>> 2];
  const data = dataOf(leaf, chunk);
  const hugePages = i32[(heap + HEADER_HUGE_PAGES) >>> 2];
  const hit = findScavengeCandidate(memory, data, ceiling, minPages, maxPages, hugePages);
  if (!hit && !hasScavengeCandidate(memory, data, minPages)) clearCandidate(memory, heap, leaf, chunk);
  return hit;
}

/** Adds the chunks [chunk, chunk + nchunks), which are holes: all free, and scavenged. */
export function map(memory: Memory, heap: number, chunk: number, nchunks: number): void {
  const { i32, u8 } = memory;
  const end = chunk + nchunks;
  const empty = !i32[(heap + HEADER_CHUNKS) >>> 2];
  if (empty || chunk < i32[(heap + HEADER_START) >>> 2]) i32[(heap + HEADER_START) >>> 2] = chunk;
  if (empty || end > i32[(heap + HEADER_END) >>> 2]) i32[(heap + HEADER_END) >>> 2] = end;
  count(memory, heap, nchunks, HEADER_CHUNKS);
  count(memory, heap, nchunks * CHUNK_PAGES, HEADER_RELEASED);
  lowerSearch(memory, heap, chunk, 0);
  while (chunk < end) {
    const leaf = growLeaf(memory, heap, chunk);
    do {
      const slot = chunk & (FANOUT - 1);
      const scavenged = dataOf(leaf, chunk) + DATA_SCAVENGED;
      i32[(leaf + NODE_SHAPE) >>> 2] |= 1 << slot;
      u8.fill(0xff, scavenged, scavenged + BITMAP_BYTES);
      setSummary(memory, leaf, slot, CHUNK_PAGES, CHUNK_PAGES, CHUNK_PAGES);
      chunk++;
    } while (chunk < end && chunk & (FANOUT - 1));
    updateAbove(memory, heap, leaf);
  }
}
