// The heap: taking and giving back runs of pages, growing, and scavenging. Callers hold the lock and have made room in the
// region for what a call appends to it.

import {
  BITMAP_BYTES,
  CACHE_PAGES,
  CHUNK_PAGES,
  CHUNK_SHIFT,
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
} from "../src/layout";
import { apply } from "./apply";
import { popcntRange } from "./bits";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate";
import { count, countReleased, countTaken, lowerSearch, setSearch, total } from "./fields";
import { find } from "./find";
import { close, open, openFree, openWhole, write } from "./journal";
import { owned } from "./record";
import { maxOf, setChunkSummary } from "./summary";
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
} from "./tree";
import { isMarked } from "./walk";

/**
 * The first page of the lowest run of npages free pages, as a page number; -1 when there is none. Raises searchAddr to
 * the first free page seen.
 */
export function findFree(heap: usize, npages: u32): i64 {
  const chunk = load<u32>(heap, HEADER_SEARCH_CHUNK);
  if (chunk == NO_CHUNK) return -1;
  const index = load<u32>(heap, HEADER_SEARCH_INDEX);
  if (<u32>CHUNK_PAGES - index >= npages) {
    const leaf = leafOf(heap, chunk);
    if (leaf && maxOf(sumOf(leaf, chunk)) >= npages) {
      const hit = find(dataOf(leaf, chunk), npages, index);
      store<u32>(heap, hit >> 16, HEADER_SEARCH_INDEX);
      return ((<i64>chunk) << CHUNK_SHIFT) | (hit & 0xffff);
    }
  }
  const page = descend(heap, npages);
  if (page < 0 && npages == 1) setSearch(heap, NO_CHUNK, 0);
  else if (firstFree > (((<i64>chunk) << CHUNK_SHIFT) | index))
    setSearch(heap, <u32>(firstFree >> CHUNK_SHIFT), <u32>firstFree & (CHUNK_PAGES - 1));
  return page;
}

/** `findFree` for the facade. */
export function findFreePage(heap: usize, npages: u32): f64 {
  open(heap);
  const page = findFree(heap, npages);
  close(heap);
  return <f64>page;
}

/** Takes pages that are free. */
function take(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  countTaken(heap, npages, scavenged);
  store<u32>(heap, scavenged, HEADER_LAST_SCAVENGED);
  total(heap, 1, HEADER_ALLOCS);
  write(heap, JOURNAL_CLAIM, chunk, index, npages);
  apply(heap, leaf);
}

/** The leaf of the first chunk of the range that was looked at last; 0 when it is a hole. */
let firstLeaf: usize = 0;

/** Whether all pages of the range are mapped and, as wanted, all in use or all free: one of the RANGE_ answers. */
export function inspect(heap: usize, chunk: u32, index: u32, npages: u32, inUse: bool): u32 {
  let answer: u32 = RANGE_DONE;
  firstLeaf = 0;
  for (let left = npages; left; chunk++) {
    const n = min(left, CHUNK_PAGES - index);
    const leaf = mappedLeafOf(heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    if (!firstLeaf) firstLeaf = leaf;
    // A summary says by itself that a chunk is all in use, or all free.
    const whole = sumOf(leaf, chunk) == (inUse ? 0 : SUM_FREE);
    if (!whole && popcntRange(dataOf(leaf, chunk), index, n) != (inUse ? n : 0)) answer = RANGE_MISMATCH;
    left -= n;
    index = 0;
  }
  return answer;
}

/** Address-ordered first fit: the first page of the run, as a page number, or -1 when no run of npages is free. */
export function alloc(heap: usize, npages: u32): f64 {
  open(heap);
  const page = findFree(heap, npages);
  if (page < 0) {
    close(heap);
    return -1;
  }
  const chunk = <u32>(page >> CHUNK_SHIFT);
  take(heap, leafOf(heap, chunk), chunk, <u32>page & (CHUNK_PAGES - 1), npages);
  return <f64>page;
}

/** Takes exactly these pages. One of the RANGE_ answers. */
export function allocRange(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const answer = inspect(heap, chunk, index, npages, false);
  if (answer != RANGE_DONE) return answer;
  open(heap);
  take(heap, firstLeaf, chunk, index, npages);
  return RANGE_DONE;
}

/** Gives back exactly these pages. One of the RANGE_ answers. */
export function free(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const answer = inspect(heap, chunk, index, npages, true);
  if (answer != RANGE_DONE) return answer;
  if (owned(heap, chunk, index, npages)) return RANGE_OWNED;
  openFree(heap);
  lowerSearch(heap, chunk, index);
  count(heap, -npages, HEADER_IN_USE);
  total(heap, 1, HEADER_FREES);
  write(heap, JOURNAL_UNCLAIM, chunk, index, npages);
  apply(heap, firstLeaf);
  return RANGE_DONE;
}

/**
 * Marks as scavenged the pages of a range that are free and unscavenged, and moves scavAddr. Returns how many those are.
 * Holes are passed over.
 */
export function scavengeRange(heap: usize, first: u32, from: u32, npages: u32, scavEnd: f64): u32 {
  let index = from;
  let unscavenged: u32 = 0;
  let runs: u32 = 0;
  let chunk = first;
  for (let left = npages; left; chunk++) {
    const n = min(left, CHUNK_PAGES - index);
    const leaf = mappedLeafOf(heap, chunk);
    if (chunk == first) firstLeaf = leaf;
    const found = leaf ? countUnscavenged(dataOf(leaf, chunk), index, n) : 0;
    if (found) runs++;
    unscavenged += found;
    left -= n;
    index = 0;
  }
  if (!unscavenged) return 0;
  openWhole(heap);
  countReleased(heap, unscavenged, runs);
  store<f64>(heap, scavEnd, HEADER_SCAV_END);
  write(heap, JOURNAL_SCAVENGE, first, from, npages);
  apply(heap, firstLeaf);
  return unscavenged;
}

/**
 * Where a first look begins: the page, as a page number, below which pages count. It may lie above scavAddr: all pages of
 * scavAddr's word count, unless a hook has declined some of them. 0 when nothing is left below scavAddr.
 */
export function scavengeTop(heap: usize): f64 {
  const end = load<f64>(heap, HEADER_SCAV_END);
  if (end <= <f64>((<i64>load<u32>(heap, HEADER_START)) << CHUNK_SHIFT)) return 0;
  return load<u32>(heap, HEADER_SCAV_STRICT) ? end : <f64>((<i64>end + (CACHE_PAGES - 1)) & -CACHE_PAGES);
}

/** Releases what a first look finds, and moves scavAddr just below it. Returns pages; 0 if none, and nothing changes. */
export function release(heap: usize, maxPages: u32): u32 {
  const last = <i64>scavengeTop(heap) - 1;
  if (last < 0) return 0;
  const chunk = <u32>(last >> CHUNK_SHIFT);
  const hit = look(heap, chunk, (<u32>last & (CHUNK_PAGES - 1)) + 1, maxPages);
  if (!hit) return 0;
  const index = hit & 0xffff;
  return scavengeRange(heap, chunk, index, hit >> 16, <f64>(((<i64>chunk) << CHUNK_SHIFT) + index));
}

/** Marks free and unscavenged pages as scavenged again, without counting that they were released. */
export function rescavenge(heap: usize, chunk: u32, index: u32, npages: u32): void {
  openWhole(heap);
  count(heap, npages, HEADER_RELEASED);
  write(heap, JOURNAL_SCAVENGE, chunk, index, npages);
  apply(heap, mappedLeafOf(heap, chunk));
}

/** How many pages of a range within a chunk are free and unscavenged. */
function countUnscavenged(data: usize, index: u32, npages: u32): u32 {
  const end = index + npages;
  let unscavenged: u32 = 0;
  while (index < end) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    const range = (~(<u64>0) >> (64 - n)) << index;
    unscavenged += <u32>popcnt(range & ~(load<u64>(word) | load<u64>(word, DATA_SCAVENGED)));
    index += n;
  }
  return unscavenged;
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`: packed as findScavengeCandidate has it, 0 when there is none.
 * A hole has none, whatever its memory holds.
 */
export function look(heap: usize, chunk: u32, ceiling: u32, maxPages: u32): u32 {
  const leaf = mappedLeafOf(heap, chunk);
  if (!leaf || !isMarked(leaf, chunk)) return 0;
  const minPages = load<u32>(heap, HEADER_MIN_PAGES);
  return findScavengeCandidate(dataOf(leaf, chunk), ceiling, minPages, maxPages, load<u32>(heap, HEADER_HUGE_PAGES));
}

/** Moves scavAddr below a chunk in which nothing was found, and says so if it has no candidate at all. */
export function pass(heap: usize, chunk: u32, scavEnd: f64): void {
  const minPages = load<u32>(heap, HEADER_MIN_PAGES);
  const leaf = mappedLeafOf(heap, chunk);
  const none = leaf && isMarked(leaf, chunk) && !hasScavengeCandidate(dataOf(leaf, chunk), minPages);
  openWhole(heap);
  store<f64>(heap, scavEnd, HEADER_SCAV_END);
  if (!none) {
    close(heap);
    return;
  }
  write(heap, JOURNAL_CLEAR, chunk, 0, 0);
  apply(heap, leaf);
}

/** Starts the scavenger again from the top of the heap: what was passed over counts again. */
export function reset(heap: usize): void {
  openWhole(heap);
  store<f64>(heap, <f64>load<u32>(heap, HEADER_END) * CHUNK_PAGES, HEADER_SCAV_END);
  store<u32>(heap, 0, HEADER_SCAV_STRICT);
  count(heap, 1, HEADER_SCAV_GENERATION);
  close(heap);
}

/** Adds the chunks [first, first + nchunks), which are holes: all free, and scavenged. */
export function map(heap: usize, first: u32, nchunks: u32): void {
  openWhole(heap);
  const end = first + nchunks;
  const empty = !load<u32>(heap, HEADER_CHUNKS);
  if (empty || first < load<u32>(heap, HEADER_START)) store<u32>(heap, first, HEADER_START);
  if (empty || end > load<u32>(heap, HEADER_END)) store<u32>(heap, end, HEADER_END);
  count(heap, nchunks, HEADER_CHUNKS);
  count(heap, nchunks * CHUNK_PAGES, HEADER_RELEASED);
  lowerSearch(heap, first, 0);
  write(heap, JOURNAL_MAP, first, 0, nchunks);
  for (let chunk = first; chunk < end; ) {
    const leaf = growLeaf(heap, chunk);
    do {
      const slot = chunk & (FANOUT - 1);
      store<u32>(leaf, load<u32>(leaf, NODE_SHAPE) | (1 << slot), NODE_SHAPE);
      memory.fill(dataOf(leaf, chunk) + DATA_SCAVENGED, 0xff, BITMAP_BYTES);
      setChunkSummary(leaf, slot, SUM_FREE);
      chunk++;
    } while (chunk < end && chunk & (FANOUT - 1));
    updateAbove(heap, leaf);
  }
  close(heap);
}
