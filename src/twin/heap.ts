// The heap: taking and giving back runs of pages, growing, and scavenging. Callers hold the lock and have made room in the
// region for what a call appends to it.

import {
  BITMAP_BYTES,
  CACHE_PAGES,
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
  HEADER_RELEASED,
  HEADER_SCAV_END,
  HEADER_SCAV_GENERATION,
  HEADER_SCAV_STRICT,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
  HEADER_START,
  JOURNAL_CLAIM,
  JOURNAL_CLEAR,
  JOURNAL_MAP,
  JOURNAL_SCAVENGE,
  JOURNAL_UNCLAIM,
  NO_CHUNK,
  NODE_SHAPE,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RANGE_OWNED,
  SUM_FREE,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { apply } from "./apply.ts";
import { popcnt, popcntRange } from "./bits.ts";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate.ts";
import { count, countReleased, countTaken, lowerSearch, setSearch, total } from "./fields.ts";
import { find } from "./find.ts";
import { close, open, openFree, openWhole, write } from "./journal.ts";
import { owned } from "./record.ts";
import { maxOf, setChunkSummary } from "./summary.ts";
import {
  countScavenged,
  dataOf,
  descend,
  firstFree,
  growLeaf,
  leafOf,
  mappedLeafOf,
  sumOf,
  updateAbove,
} from "./tree.ts";
import { isMarked } from "./walk.ts";

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
    if (leaf && maxOf(sumOf(memory, leaf, chunk)) >= npages) {
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

/** `findFree` for the facade. */
export function findFreePage(memory: Memory, heap: number, npages: number): number {
  open(memory, heap);
  const page = findFree(memory, heap, npages);
  close(memory, heap);
  return page;
}

/** Takes pages that are free. */
function take(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  countTaken(memory, heap, npages, scavenged);
  memory.i32[(heap + HEADER_LAST_SCAVENGED) >>> 2] = scavenged;
  total(memory, heap, 1, HEADER_ALLOCS);
  write(memory, heap, JOURNAL_CLAIM, chunk, index, npages);
  apply(memory, heap, leaf);
}

/** The leaf of the first chunk of the range that was looked at last; 0 when it is a hole. */
let firstLeaf = 0;

/** Whether all pages of the range are mapped and, as wanted, all in use or all free: one of the RANGE_ answers. */
export function inspect(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): number {
  let answer = RANGE_DONE;
  firstLeaf = 0;
  for (let left = npages; left; chunk++) {
    const n = Math.min(left, CHUNK_PAGES - index);
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    firstLeaf ||= leaf;
    // A summary says by itself that a chunk is all in use, or all free.
    const whole = sumOf(memory, leaf, chunk) === (inUse ? 0 : SUM_FREE);
    if (!whole && popcntRange(memory, dataOf(leaf, chunk), index, n) !== (inUse ? n : 0))
      answer = RANGE_MISMATCH;
    left -= n;
    index = 0;
  }
  return answer;
}

/** Address-ordered first fit: the first page of the run, as a page number, or -1 when no run of npages is free. */
export function alloc(memory: Memory, heap: number, npages: number): number {
  open(memory, heap);
  const page = findFree(memory, heap, npages);
  if (page < 0) {
    close(memory, heap);
    return -1;
  }
  const chunk = Math.floor(page / CHUNK_PAGES);
  take(memory, heap, leafOf(memory, heap, chunk), chunk, page % CHUNK_PAGES, npages);
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
  open(memory, heap);
  take(memory, heap, firstLeaf, chunk, index, npages);
  return RANGE_DONE;
}

/** Gives back exactly these pages. One of the RANGE_ answers. */
export function free(memory: Memory, heap: number, chunk: number, index: number, npages: number): number {
  const answer = inspect(memory, heap, chunk, index, npages, true);
  if (answer !== RANGE_DONE) return answer;
  if (owned(memory, heap, chunk, index, npages)) return RANGE_OWNED;
  openFree(memory, heap);
  lowerSearch(memory, heap, chunk, index);
  count(memory, heap, -npages, HEADER_IN_USE);
  total(memory, heap, 1, HEADER_FREES);
  write(memory, heap, JOURNAL_UNCLAIM, chunk, index, npages);
  apply(memory, heap, firstLeaf);
  return RANGE_DONE;
}

/**
 * Marks as scavenged the pages of a range that are free and unscavenged, and moves scavAddr. Returns how many those are.
 * Holes are passed over.
 */
export function scavengeRange(
  memory: Memory,
  heap: number,
  first: number,
  from: number,
  npages: number,
  scavEnd: number,
): number {
  let index = from;
  let unscavenged = 0;
  let runs = 0;
  let chunk = first;
  for (let left = npages; left; chunk++) {
    const n = Math.min(left, CHUNK_PAGES - index);
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (chunk === first) firstLeaf = leaf;
    const found = leaf ? countUnscavenged(memory, dataOf(leaf, chunk), index, n) : 0;
    if (found) runs++;
    unscavenged += found;
    left -= n;
    index = 0;
  }
  if (!unscavenged) return 0;
  openWhole(memory, heap);
  countReleased(memory, heap, unscavenged, runs);
  memory.f64[(heap + HEADER_SCAV_END) >>> 3] = scavEnd;
  write(memory, heap, JOURNAL_SCAVENGE, first, from, npages);
  apply(memory, heap, firstLeaf);
  return unscavenged;
}

/**
 * Where a first look begins: the page, as a page number, below which pages count. It may lie above scavAddr: all pages of
 * scavAddr's word count, unless a hook has declined some of them. 0 when nothing is left below scavAddr.
 */
export function scavengeTop({ i32, f64 }: Memory, heap: number): number {
  const end = f64[(heap + HEADER_SCAV_END) >>> 3];
  if (end <= i32[(heap + HEADER_START) >>> 2] * CHUNK_PAGES) return 0;
  return i32[(heap + HEADER_SCAV_STRICT) >>> 2] ? end : Math.ceil(end / CACHE_PAGES) * CACHE_PAGES;
}

/** Releases what a first look finds, and moves scavAddr just below it. Returns pages; 0 if none, and nothing changes. */
export function release(memory: Memory, heap: number, maxPages: number): number {
  const last = scavengeTop(memory, heap) - 1;
  if (last < 0) return 0;
  const chunk = Math.floor(last / CHUNK_PAGES);
  const hit = look(memory, heap, chunk, (last % CHUNK_PAGES) + 1, maxPages);
  if (!hit) return 0;
  const index = hit & 0xffff;
  return scavengeRange(memory, heap, chunk, index, hit >>> 16, chunk * CHUNK_PAGES + index);
}

/** Marks free and unscavenged pages as scavenged again, without counting that they were released. */
export function rescavenge(memory: Memory, heap: number, chunk: number, index: number, npages: number): void {
  openWhole(memory, heap);
  count(memory, heap, npages, HEADER_RELEASED);
  write(memory, heap, JOURNAL_SCAVENGE, chunk, index, npages);
  apply(memory, heap, mappedLeafOf(memory, heap, chunk));
}

/** How many pages of a range within a chunk are free and unscavenged. */
function countUnscavenged({ i32 }: Memory, data: number, first: number, npages: number): number {
  const end = first + npages;
  let unscavenged = 0;
  for (let index = first; index < end; ) {
    const word = (data >>> 2) + (index >>> 5);
    const n = Math.min(32 - (index & 31), end - index);
    unscavenged += popcnt(((-1 >>> (32 - n)) << index) & ~(i32[word] | i32[word + DATA_SCAVENGED / 4]));
    index += n;
  }
  return unscavenged;
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`: packed as findScavengeCandidate has it, 0 when there is none.
 * A hole has none, whatever its memory holds.
 */
export function look(memory: Memory, heap: number, chunk: number, ceiling: number, maxPages: number): number {
  const { i32 } = memory;
  const leaf = mappedLeafOf(memory, heap, chunk);
  if (!leaf || !isMarked(memory, leaf, chunk)) return 0;
  const minPages = i32[(heap + HEADER_MIN_PAGES) >>> 2];
  const hugePages = i32[(heap + HEADER_HUGE_PAGES) >>> 2];
  return findScavengeCandidate(memory, dataOf(leaf, chunk), ceiling, minPages, maxPages, hugePages);
}

/** Moves scavAddr below a chunk in which nothing was found, and says so if it has no candidate at all. */
export function pass(memory: Memory, heap: number, chunk: number, scavEnd: number): void {
  const minPages = memory.i32[(heap + HEADER_MIN_PAGES) >>> 2];
  const leaf = mappedLeafOf(memory, heap, chunk);
  const none =
    leaf && isMarked(memory, leaf, chunk) && !hasScavengeCandidate(memory, dataOf(leaf, chunk), minPages);
  openWhole(memory, heap);
  memory.f64[(heap + HEADER_SCAV_END) >>> 3] = scavEnd;
  if (!none) {
    close(memory, heap);
    return;
  }
  write(memory, heap, JOURNAL_CLEAR, chunk, 0, 0);
  apply(memory, heap, leaf);
}

/** Starts the scavenger again from the top of the heap: what was passed over counts again. */
export function reset(memory: Memory, heap: number): void {
  const { i32, f64 } = memory;
  openWhole(memory, heap);
  f64[(heap + HEADER_SCAV_END) >>> 3] = i32[(heap + HEADER_END) >>> 2] * CHUNK_PAGES;
  i32[(heap + HEADER_SCAV_STRICT) >>> 2] = 0;
  count(memory, heap, 1, HEADER_SCAV_GENERATION);
  close(memory, heap);
}

/** Adds the chunks [first, first + nchunks), which are holes: all free, and scavenged. */
export function map(memory: Memory, heap: number, first: number, nchunks: number): void {
  const { i32, u8 } = memory;
  openWhole(memory, heap);
  const end = first + nchunks;
  const empty = !i32[(heap + HEADER_CHUNKS) >>> 2];
  if (empty || first < i32[(heap + HEADER_START) >>> 2]) i32[(heap + HEADER_START) >>> 2] = first;
  if (empty || end > i32[(heap + HEADER_END) >>> 2]) i32[(heap + HEADER_END) >>> 2] = end;
  count(memory, heap, nchunks, HEADER_CHUNKS);
  count(memory, heap, nchunks * CHUNK_PAGES, HEADER_RELEASED);
  lowerSearch(memory, heap, first, 0);
  write(memory, heap, JOURNAL_MAP, first, 0, nchunks);
  for (let chunk = first; chunk < end; ) {
    const leaf = growLeaf(memory, heap, chunk);
    do {
      const slot = chunk & (FANOUT - 1);
      const scavenged = dataOf(leaf, chunk) + DATA_SCAVENGED;
      i32[(leaf + NODE_SHAPE) >>> 2] |= 1 << slot;
      u8.fill(0xff, scavenged, scavenged + BITMAP_BYTES);
      setChunkSummary(memory, leaf, slot, SUM_FREE);
      chunk++;
    } while (chunk < end && chunk & (FANOUT - 1));
    updateAbove(memory, heap, leaf);
  }
  close(memory, heap);
}
