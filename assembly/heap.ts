// The heap: taking and giving back runs of pages, growing, and the counters that go with them. Callers hold the lock and
// have made room in the region for what a call appends to it.

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
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RELEASED,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
  HEADER_START,
  NODE_MAX,
  NODE_SHAPE,
  NODE_START,
  NO_CHUNK,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RANGE_OWNED,
} from "../src/layout";
import { clearRange, popcntRange, setRange } from "./bits";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate";
import { find } from "./find";
import { owned } from "./record";
import { setSummary } from "./summary";
import { dataOf, descend, firstFree, growLeaf, leafOf, mappedLeafOf, resummarize, updateAbove } from "./tree";
import { clearCandidate, markCandidate } from "./walk";

/** Adds to a count in the header. */
function count(heap: usize, pages: u32, counter: usize): void {
  store<u32>(heap + counter, load<u32>(heap + counter) + pages);
}

/** Adds to a total in the header. */
function total(heap: usize, amount: f64, counter: usize): void {
  store<f64>(heap + counter, load<f64>(heap + counter) + amount);
}

/** Accounts for pages that come into use, `scavenged` of which had been released. */
export function countTaken(heap: usize, npages: u32, scavenged: u32): void {
  const inUse = load<u32>(heap, HEADER_IN_USE) + npages;
  store<u32>(heap, inUse, HEADER_IN_USE);
  if (inUse > load<u32>(heap, HEADER_PEAK_IN_USE)) store<u32>(heap, inUse, HEADER_PEAK_IN_USE);
  if (!scavenged) return;
  const released = load<u32>(heap, HEADER_RELEASED) - scavenged;
  store<u32>(heap, released, HEADER_RELEASED);
  const retained = load<u32>(heap, HEADER_CHUNKS) * CHUNK_PAGES - released;
  if (retained > load<u32>(heap, HEADER_PEAK_RETAINED)) store<u32>(heap, retained, HEADER_PEAK_RETAINED);
}

/** Lowers searchAddr to a page that is free now. */
export function lowerSearch(heap: usize, chunk: u32, index: u32): void {
  const searchChunk = load<u32>(heap, HEADER_SEARCH_CHUNK);
  if (chunk > searchChunk || (chunk == searchChunk && index >= load<u32>(heap, HEADER_SEARCH_INDEX))) return;
  setSearch(heap, chunk, index);
}

/** Moves searchAddr. */
export function setSearch(heap: usize, chunk: u32, index: u32): void {
  store<u32>(heap, chunk, HEADER_SEARCH_CHUNK);
  store<u32>(heap, index, HEADER_SEARCH_INDEX);
}

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
    if (leaf && load<u32>(leaf + ((chunk & (FANOUT - 1)) << 2), NODE_MAX) >= npages) {
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

/** `findFree` for JavaScript. */
export function findFreePage(heap: usize, npages: u32): f64 {
  return <f64>findFree(heap, npages);
}

/** Marks free pages as in use. Returns how many of them had been scavenged. */
export function claim(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const scavenged = mark(heap, chunk, index, npages, true);
  countTaken(heap, npages, scavenged);
  return scavenged;
}

/** Marks pages in use as free and unscavenged. */
export function unclaim(heap: usize, chunk: u32, index: u32, npages: u32): void {
  lowerSearch(heap, chunk, index);
  count(heap, -npages, HEADER_IN_USE);
  mark(heap, chunk, index, npages, false);
}

/** Sets or clears the bits of a range, and keeps what is derived from them. Returns how many had been scavenged. */
function mark(heap: usize, chunk: u32, index: u32, npages: u32, inUse: bool): u32 {
  let scavenged: u32 = 0;
  let changed = false;
  for (let left = npages; left; chunk++) {
    const n = min(left, CHUNK_PAGES - index);
    const leaf = leafOf(heap, chunk);
    const data = dataOf(leaf, chunk);
    if (inUse) {
      const was = popcntRange(data + DATA_SCAVENGED, index, n);
      if (was) clearRange(data + DATA_SCAVENGED, index, n);
      setRange(data, index, n);
      scavenged += was;
    } else {
      clearRange(data, index, n);
      markCandidate(heap, leaf, chunk);
    }
    if (resummarize(leaf, chunk)) changed = true;
    left -= n;
    index = 0;
    if (changed && (!left || (chunk & (FANOUT - 1)) == FANOUT - 1)) {
      updateAbove(heap, leaf);
      changed = false;
    }
  }
  return scavenged;
}

/** Whether all pages of the range are mapped and, as wanted, all in use or all free: one of the RANGE_ answers. */
export function inspect(heap: usize, chunk: u32, index: u32, npages: u32, inUse: bool): u32 {
  let answer: u32 = RANGE_DONE;
  for (let left = npages; left; chunk++) {
    const n = min(left, CHUNK_PAGES - index);
    const leaf = mappedLeafOf(heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
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
  const page = findFree(heap, npages);
  if (page < 0) return -1;
  const scavenged = claim(heap, <u32>(page >> CHUNK_SHIFT), <u32>page & (CHUNK_PAGES - 1), npages);
  store<u32>(heap, scavenged, HEADER_LAST_SCAVENGED);
  total(heap, 1, HEADER_ALLOCS);
  return <f64>page;
}

/** Takes exactly these pages. One of the RANGE_ answers. */
export function allocRange(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const answer = inspect(heap, chunk, index, npages, false);
  if (answer != RANGE_DONE) return answer;
  store<u32>(heap, claim(heap, chunk, index, npages), HEADER_LAST_SCAVENGED);
  total(heap, 1, HEADER_ALLOCS);
  return RANGE_DONE;
}

/** Gives back exactly these pages. One of the RANGE_ answers. */
export function free(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const answer = inspect(heap, chunk, index, npages, true);
  if (answer != RANGE_DONE) return answer;
  if (owned(heap, chunk, index, npages)) return RANGE_OWNED;
  unclaim(heap, chunk, index, npages);
  total(heap, 1, HEADER_FREES);
  return RANGE_DONE;
}

/** Marks as scavenged the pages of a range within a chunk that are free and unscavenged. Returns how many those are. */
export function scavengeRange(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const leaf = mappedLeafOf(heap, chunk);
  if (!leaf) return 0;
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  let released: u32 = 0;
  while (index < end) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    const range = (~(<u64>0) >> (64 - n)) << index;
    const scavenged = load<u64>(word, DATA_SCAVENGED);
    const fresh = range & ~(load<u64>(word) | scavenged);
    store<u64>(word, scavenged | fresh, DATA_SCAVENGED);
    released += <u32>popcnt(fresh);
    index += n;
  }
  if (released) {
    count(heap, released, HEADER_RELEASED);
    total(heap, 1, HEADER_SCAVENGES);
    total(heap, released, HEADER_SCAVENGED_TOTAL);
  }
  return released;
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`: packed as findScavengeCandidate has it, 0 when there is none.
 * A hole has none, whatever its memory holds.
 */
export function look(heap: usize, chunk: u32, ceiling: u32, maxPages: u32): u32 {
  const leaf = mappedLeafOf(heap, chunk);
  if (!leaf) return 0;
  const minPages = load<u32>(heap, HEADER_MIN_PAGES);
  const data = dataOf(leaf, chunk);
  const hit = findScavengeCandidate(data, ceiling, minPages, maxPages, load<u32>(heap, HEADER_HUGE_PAGES));
  if (!hit && !hasScavengeCandidate(data, minPages)) clearCandidate(heap, leaf, chunk);
  return hit;
}

/** Adds the chunks [chunk, chunk + nchunks), which are holes: all free, and scavenged. */
export function map(heap: usize, chunk: u32, nchunks: u32): void {
  const end = chunk + nchunks;
  const empty = !load<u32>(heap, HEADER_CHUNKS);
  if (empty || chunk < load<u32>(heap, HEADER_START)) store<u32>(heap, chunk, HEADER_START);
  if (empty || end > load<u32>(heap, HEADER_END)) store<u32>(heap, end, HEADER_END);
  count(heap, nchunks, HEADER_CHUNKS);
  count(heap, nchunks * CHUNK_PAGES, HEADER_RELEASED);
  lowerSearch(heap, chunk, 0);
  while (chunk < end) {
    const leaf = growLeaf(heap, chunk);
    do {
      const slot = chunk & (FANOUT - 1);
      store<u32>(leaf, load<u32>(leaf, NODE_SHAPE) | (1 << slot), NODE_SHAPE);
      memory.fill(dataOf(leaf, chunk) + DATA_SCAVENGED, 0xff, BITMAP_BYTES);
      setSummary(leaf, slot, CHUNK_PAGES, CHUNK_PAGES, CHUNK_PAGES);
      chunk++;
    } while (chunk < end && chunk & (FANOUT - 1));
    updateAbove(heap, leaf);
  }
}
