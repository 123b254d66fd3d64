// The heap: taking and giving back runs of pages, growing, and scavenging. Callers hold the lock and have made room in the
// region for what a call appends to it.

import {
  BITMAP_BYTES,
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
  JOURNAL_COUNTS,
  JOURNAL_FIELDS,
  JOURNAL_MAP,
  JOURNAL_OP,
  JOURNAL_SCAVENGE,
  JOURNAL_UNCLAIM,
  NODE_MAX,
  NODE_SHAPE,
  NODE_START,
  NO_CHUNK,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RANGE_OWNED,
} from "../src/layout";
import { apply } from "./apply";
import { popcntRange } from "./bits";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate";
import { count, countReleased, countTaken, lowerSearch, setSearch, total } from "./fields";
import { find } from "./find";
import { close, open, openWhole, write } from "./journal";
import { owned } from "./record";
import { setSummary } from "./summary";
import { countScavenged, dataOf, descend, firstFree, growLeaf, leafOf, mappedLeafOf, updateAbove } from "./tree";

/**
 * The first page of the lowest run of npages free pages, as a page number; -1 when there is none. Raises searchAddr to
 * the first free page seen.
 */
export function findFree(heap: usize, head: usize, npages: u32): i64 {
  const chunk = load<u32>(head, HEADER_SEARCH_CHUNK);
  if (chunk == NO_CHUNK) return -1;
  const index = load<u32>(head, HEADER_SEARCH_INDEX);
  if (<u32>CHUNK_PAGES - index >= npages) {
    const leaf = leafOf(heap, chunk);
    if (leaf && load<u32>(leaf + ((chunk & (FANOUT - 1)) << 2), NODE_MAX) >= npages) {
      const hit = find(dataOf(leaf, chunk), npages, index);
      store<u32>(head, hit >> 16, HEADER_SEARCH_INDEX);
      return ((<i64>chunk) << CHUNK_SHIFT) | (hit & 0xffff);
    }
  }
  const page = descend(heap, npages);
  if (page < 0 && npages == 1) setSearch(head, NO_CHUNK, 0);
  else if (firstFree > (((<i64>chunk) << CHUNK_SHIFT) | index))
    setSearch(head, <u32>(firstFree >> CHUNK_SHIFT), <u32>firstFree & (CHUNK_PAGES - 1));
  return page;
}

/** Writes and carries out an entry that changes only counts. */
function settleCounts(heap: usize): void {
  write(heap, JOURNAL_COUNTS, 0, 0, 0);
  apply(heap, 0);
}

/** `findFree` for the facade. */
export function findFreePage(heap: usize, npages: u32): f64 {
  const page = findFree(heap, open(heap), npages);
  settleCounts(heap);
  return <f64>page;
}

/** Takes pages that are free. */
function take(heap: usize, head: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  countTaken(head, npages, scavenged);
  store<u32>(head, scavenged, HEADER_LAST_SCAVENGED);
  total(head, 1, HEADER_ALLOCS);
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
    const part = leaf + ((chunk & (FANOUT - 1)) << 2);
    const whole = inUse ? !load<u32>(part, NODE_MAX) : load<u32>(part, NODE_START) == CHUNK_PAGES;
    if (!whole && popcntRange(dataOf(leaf, chunk), index, n) != (inUse ? n : 0)) answer = RANGE_MISMATCH;
    left -= n;
    index = 0;
  }
  return answer;
}

/** Address-ordered first fit: the first page of the run, as a page number, or -1 when no run of npages is free. */
export function alloc(heap: usize, npages: u32): f64 {
  const head = open(heap);
  const page = findFree(heap, head, npages);
  if (page < 0) {
    settleCounts(heap);
    return -1;
  }
  const chunk = <u32>(page >> CHUNK_SHIFT);
  take(heap, head, leafOf(heap, chunk), chunk, <u32>page & (CHUNK_PAGES - 1), npages);
  return <f64>page;
}

/** Takes exactly these pages. One of the RANGE_ answers. */
export function allocRange(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const answer = inspect(heap, chunk, index, npages, false);
  if (answer == RANGE_DONE) take(heap, open(heap), firstLeaf, chunk, index, npages);
  return answer;
}

/** Gives back exactly these pages. One of the RANGE_ answers. */
export function free(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const answer = inspect(heap, chunk, index, npages, true);
  if (answer != RANGE_DONE) return answer;
  if (owned(heap, chunk, index, npages)) return RANGE_OWNED;
  const head = open(heap);
  lowerSearch(head, chunk, index);
  count(head, -npages, HEADER_IN_USE);
  total(head, 1, HEADER_FREES);
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
  const head = openWhole(heap);
  countReleased(head, unscavenged, runs);
  store<f64>(head, scavEnd, HEADER_SCAV_END);
  write(heap, JOURNAL_SCAVENGE, first, from, npages);
  apply(heap, firstLeaf);
  return unscavenged;
}

/** Marks free and unscavenged pages as scavenged again, without counting that they were released. */
export function rescavenge(heap: usize, chunk: u32, index: u32, npages: u32): void {
  count(openWhole(heap), npages, HEADER_RELEASED);
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
  if (!leaf) return 0;
  const minPages = load<u32>(heap, HEADER_MIN_PAGES);
  return findScavengeCandidate(dataOf(leaf, chunk), ceiling, minPages, maxPages, load<u32>(heap, HEADER_HUGE_PAGES));
}

/** Moves scavAddr below a chunk in which nothing was found, and says so if it has no candidate at all. */
export function pass(heap: usize, chunk: u32, scavEnd: f64): void {
  const leaf = mappedLeafOf(heap, chunk);
  const none = leaf && !hasScavengeCandidate(dataOf(leaf, chunk), load<u32>(heap, HEADER_MIN_PAGES));
  store<f64>(openWhole(heap), scavEnd, HEADER_SCAV_END);
  write(heap, none ? JOURNAL_CLEAR : JOURNAL_FIELDS, chunk, 0, 0);
  apply(heap, leaf);
}

/** Starts the scavenger again from the top of the heap: what was passed over counts again. */
export function reset(heap: usize): void {
  const head = openWhole(heap);
  store<f64>(head, <f64>load<u32>(head, HEADER_END) * CHUNK_PAGES, HEADER_SCAV_END);
  store<u32>(head, 0, HEADER_SCAV_STRICT);
  count(head, 1, HEADER_SCAV_GENERATION);
  write(heap, JOURNAL_FIELDS, 0, 0, 0);
  apply(heap, 0);
}

/** Adds the chunks [first, first + nchunks), which are holes: all free, and scavenged. */
export function map(heap: usize, first: u32, nchunks: u32): void {
  const head = openWhole(heap);
  const end = first + nchunks;
  const empty = !load<u32>(head, HEADER_CHUNKS);
  if (empty || first < load<u32>(head, HEADER_START)) store<u32>(head, first, HEADER_START);
  if (empty || end > load<u32>(head, HEADER_END)) store<u32>(head, end, HEADER_END);
  count(head, nchunks, HEADER_CHUNKS);
  count(head, nchunks * CHUNK_PAGES, HEADER_RELEASED);
  lowerSearch(head, first, 0);
  write(heap, JOURNAL_MAP, first, 0, nchunks);
  for (let chunk = first; chunk < end; ) {
    const leaf = growLeaf(heap, head, chunk);
    do {
      const slot = chunk & (FANOUT - 1);
      store<u32>(leaf, load<u32>(leaf, NODE_SHAPE) | (1 << slot), NODE_SHAPE);
      memory.fill(dataOf(leaf, chunk) + DATA_SCAVENGED, 0xff, BITMAP_BYTES);
      setSummary(leaf, slot, CHUNK_PAGES, CHUNK_PAGES, CHUNK_PAGES);
      chunk++;
    } while (chunk < end && chunk & (FANOUT - 1));
    updateAbove(heap, leaf);
  }
  store<u32>(heap, JOURNAL_FIELDS, JOURNAL_OP);
  close(heap);
}
