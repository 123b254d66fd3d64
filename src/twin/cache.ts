// Page caches: the free pages of one 64-page aligned block, taken from the heap at once and handed out without the lock.

import {
  CACHE_PAGES,
  CHUNK_PAGES,
  DATA_SCAVENGED,
  HEADER_ALLOCS,
  HEADER_FREES,
  HEADER_IN_USE,
  HEADER_RELEASED,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_NPAGES,
  RECORD_SCAV,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, popcnt, popcntRange } from "./bits.ts";
import { findBitRange64 } from "./find.ts";
import { countTaken, findFree, lowerSearch, setSearch } from "./heap.ts";
import { dropRecord } from "./record.ts";
import { dataOf, leafOf, mappedLeafOf, resummarize, updateAbove } from "./tree.ts";
import { markCandidate } from "./walk.ts";

/**
 * Gives an empty cache all free pages of the 64-page aligned block that holds the first free page. Returns whether there
 * was any.
 */
export function refill(memory: Memory, heap: number, ref: number): boolean {
  const { i32, f64 } = memory;
  const page = findFree(memory, heap, 1);
  if (page < 0) return false;
  const chunk = Math.floor(page / CHUNK_PAGES);
  const index = (page % CHUNK_PAGES) & -CACHE_PAGES;
  const leaf = leafOf(memory, heap, chunk);
  const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
  const record = heap + ref;
  let cached = 0;
  let scavenged = 0;
  for (let half = 0; half < 2; half++) {
    const cache = ~i32[word + half];
    const scav = i32[word + half + DATA_SCAVENGED / 4];
    i32[word + half] = -1;
    i32[word + half + DATA_SCAVENGED / 4] = 0;
    i32[((record + RECORD_CACHE) >>> 2) + half] = cache;
    i32[((record + RECORD_SCAV) >>> 2) + half] = scav;
    cached += popcnt(cache);
    scavenged += popcnt(scav);
  }
  i32[(record + RECORD_CHUNK) >>> 2] = chunk;
  i32[(record + RECORD_INDEX) >>> 2] = index;
  i32[(record + RECORD_NPAGES) >>> 2] = CACHE_PAGES;
  if (resummarize(memory, leaf, chunk)) updateAbove(memory, heap, leaf);
  setSearch(memory, heap, chunk, index + CACHE_PAGES - 1);
  countTaken(memory, heap, cached, scavenged);
  f64[(heap + HEADER_ALLOCS) >>> 3]++;
  return true;
}

/** First fit in a cache: the page's place in the block in bits 0-15, scavenged pages of the run in bits 16-31; or -1. */
export function cacheAlloc(memory: Memory, heap: number, ref: number, npages: number): number {
  const cache = heap + ref + RECORD_CACHE;
  const scav = heap + ref + RECORD_SCAV;
  const at = findBitRange64(memory.i32[cache >>> 2], memory.i32[(cache >>> 2) + 1], npages);
  if (at === CACHE_PAGES) return -1;
  const scavenged = popcntRange(memory, scav, at, npages);
  clearRange(memory, cache, at, npages);
  clearRange(memory, scav, at, npages);
  return at | (scavenged << 16);
}

/** Gives back what is left in a cache and drops its record. One of the RANGE_ answers. */
export function flush(memory: Memory, heap: number, ref: number): number {
  const { i32, f64 } = memory;
  const record = heap + ref;
  const cacheAt = (record + RECORD_CACHE) >>> 2;
  if (i32[cacheAt] | i32[cacheAt + 1]) {
    const chunk = i32[(record + RECORD_CHUNK) >>> 2];
    const index = i32[(record + RECORD_INDEX) >>> 2];
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
    if ((~i32[word] & i32[cacheAt]) | (~i32[word + 1] & i32[cacheAt + 1])) return RANGE_MISMATCH;
    let cached = 0;
    let scavenged = 0;
    for (let half = 0; half < 2; half++) {
      const cache = i32[cacheAt + half];
      const scav = i32[((record + RECORD_SCAV) >>> 2) + half] & cache;
      i32[word + half] &= ~cache;
      i32[word + half + DATA_SCAVENGED / 4] |= scav;
      cached += popcnt(cache);
      scavenged += popcnt(scav);
    }
    if (resummarize(memory, leaf, chunk)) updateAbove(memory, heap, leaf);
    if (cached !== scavenged) markCandidate(memory, heap, leaf, chunk);
    lowerSearch(memory, heap, chunk, index + findBitRange64(i32[cacheAt], i32[cacheAt + 1], 1));
    i32[(heap + HEADER_IN_USE) >>> 2] -= cached;
    i32[(heap + HEADER_RELEASED) >>> 2] += scavenged;
    f64[(heap + HEADER_FREES) >>> 3]++;
  }
  dropRecord(memory, heap, ref);
  return RANGE_DONE;
}
