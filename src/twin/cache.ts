// Page caches: the free pages of one 64-page aligned block, taken from the heap at once and handed out without the lock.

import {
  CACHE_PAGES,
  CHUNK_PAGES,
  DATA_SCAVENGED,
  HEADER_ALLOCS,
  HEADER_FREES,
  HEADER_IN_USE,
  HEADER_RELEASED,
  JOURNAL_CACHE,
  JOURNAL_DROP,
  JOURNAL_FLUSH,
  JOURNAL_NEW,
  JOURNAL_REF,
  JOURNAL_REFILL,
  JOURNAL_SCAV,
  KIND_CACHE,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_SCAV,
  RECORD_TAKEN,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { apply } from "./apply.ts";
import { clearRange, popcnt, popcntRange } from "./bits.ts";
import { count, countTaken, lowerSearch, setSearch, total } from "./fields.ts";
import { findBitRange64 } from "./find.ts";
import { findFree } from "./heap.ts";
import { close, open, openWhole, write } from "./journal.ts";
import { planDrop, planRecord } from "./record.ts";
import { dataOf, leafOf, mappedLeafOf } from "./tree.ts";

/**
 * Gives an empty cache, made when `ref` is 0, all free pages of the 64-page aligned block that holds the first free page.
 * Returns its ref; 0, with no cache made, when there is no free page.
 */
export function refill(memory: Memory, heap: number, ref: number, owner: number): number {
  const { i32 } = memory;
  if (ref) open(memory, heap);
  else openWhole(memory, heap);
  const page = findFree(memory, heap, 1);
  if (page < 0) {
    close(memory, heap);
    return 0;
  }
  const chunk = Math.floor(page / CHUNK_PAGES);
  const index = (page % CHUNK_PAGES) & -CACHE_PAGES;
  const leaf = leafOf(memory, heap, chunk);
  const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
  let cached = 0;
  let scavenged = 0;
  for (let half = 0; half < 2; half++) {
    const cache = ~i32[word + half];
    const scav = i32[word + half + DATA_SCAVENGED / 4];
    i32[((heap + JOURNAL_CACHE) >>> 2) + half] = cache;
    i32[((heap + JOURNAL_SCAV) >>> 2) + half] = scav;
    cached += popcnt(cache);
    scavenged += popcnt(scav);
  }
  setSearch(memory, heap, chunk, index + CACHE_PAGES - 1);
  countTaken(memory, heap, cached, scavenged);
  total(memory, heap, 1, HEADER_ALLOCS);
  if (ref) i32[(heap + JOURNAL_REF) >>> 2] = ref;
  const filled = ref || planRecord(memory, heap, KIND_CACHE, owner);
  write(memory, heap, ref ? JOURNAL_REFILL : JOURNAL_REFILL | JOURNAL_NEW, chunk, index, CACHE_PAGES);
  apply(memory, heap, leaf);
  return filled;
}

/** First fit in a cache: the page's place in the block in bits 0-15, scavenged pages of the run in bits 16-31; or -1. */
export function cacheAlloc(memory: Memory, heap: number, ref: number, npages: number): number {
  const { i32 } = memory;
  const cache = heap + ref + RECORD_CACHE;
  const scav = heap + ref + RECORD_SCAV;
  const at = findBitRange64(i32[cache >>> 2], i32[(cache >>> 2) + 1], npages);
  if (at === CACHE_PAGES) return -1;
  const scavenged = popcntRange(memory, scav, at, npages);
  // One store takes the run, unless it crosses from one half to the other.
  const crosses = at < 32 && at + npages > 32;
  if (crosses) i32[(heap + ref + RECORD_TAKEN) >>> 2] = at | (npages << 8);
  clearRange(memory, cache, at, npages);
  if (crosses) i32[(heap + ref + RECORD_TAKEN) >>> 2] = 0;
  clearRange(memory, scav, at, npages);
  return at | (scavenged << 16);
}

/** Gives back what is left in a cache and drops its record. One of the RANGE_ answers. */
export function flush(memory: Memory, heap: number, ref: number): number {
  const { i32 } = memory;
  const record = heap + ref;
  const cacheAt = (record + RECORD_CACHE) >>> 2;
  const chunk = i32[(record + RECORD_CHUNK) >>> 2];
  const index = i32[(record + RECORD_INDEX) >>> 2];
  const isEmpty = !(i32[cacheAt] | i32[cacheAt + 1]);
  let op = JOURNAL_DROP;
  let leaf = 0;
  if (!isEmpty) {
    leaf = mappedLeafOf(memory, heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
    if ((~i32[word] & i32[cacheAt]) | (~i32[word + 1] & i32[cacheAt + 1])) return RANGE_MISMATCH;
  }
  openWhole(memory, heap);
  if (!isEmpty) {
    op |= JOURNAL_FLUSH;
    let cached = 0;
    let scavenged = 0;
    for (let half = 0; half < 2; half++) {
      const cache = i32[cacheAt + half];
      const scav = i32[((record + RECORD_SCAV) >>> 2) + half] & cache;
      i32[((heap + JOURNAL_CACHE) >>> 2) + half] = cache;
      i32[((heap + JOURNAL_SCAV) >>> 2) + half] = scav;
      cached += popcnt(cache);
      scavenged += popcnt(scav);
    }
    lowerSearch(memory, heap, chunk, index + findBitRange64(i32[cacheAt], i32[cacheAt + 1], 1));
    count(memory, heap, -cached, HEADER_IN_USE);
    count(memory, heap, scavenged, HEADER_RELEASED);
    total(memory, heap, 1, HEADER_FREES);
  }
  planDrop(memory, heap, ref);
  write(memory, heap, op, chunk, index, CACHE_PAGES);
  apply(memory, heap, leaf);
  return RANGE_DONE;
}
