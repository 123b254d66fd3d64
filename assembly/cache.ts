// Page caches: the free pages of one 64-page aligned block, taken from the heap at once and handed out without the lock.

import {
  CACHE_PAGES,
  CHUNK_PAGES,
  CHUNK_SHIFT,
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
} from "../src/layout";
import { apply } from "./apply";
import { count, countTaken, lowerSearch, setSearch, total } from "./fields";
import { findBitRange64 } from "./find";
import { findFree } from "./heap";
import { close, open, openWhole, write } from "./journal";
import { planDrop, planRecord } from "./record";
import { dataOf, leafOf, mappedLeafOf } from "./tree";

/**
 * Gives an empty cache, made when `ref` is 0, all free pages of the 64-page aligned block that holds the first free page.
 * Returns its ref; 0, with no cache made, when there is no free page.
 */
export function refill(heap: usize, ref: u32, owner: u32): u32 {
  if (ref) open(heap);
  else openWhole(heap);
  const page = findFree(heap, 1);
  if (page < 0) {
    close(heap);
    return 0;
  }
  const chunk = <u32>(page >> CHUNK_SHIFT);
  const index = <u32>page & (CHUNK_PAGES - CACHE_PAGES);
  const leaf = leafOf(heap, chunk);
  const word = dataOf(leaf, chunk) + (index >> 3);
  const cache = ~load<u64>(word);
  const scav = load<u64>(word, DATA_SCAVENGED);
  setSearch(heap, chunk, index + CACHE_PAGES - 1);
  countTaken(heap, <u32>popcnt(cache), <u32>popcnt(scav));
  total(heap, 1, HEADER_ALLOCS);
  store<u64>(heap, cache, JOURNAL_CACHE);
  store<u64>(heap, scav, JOURNAL_SCAV);
  if (ref) store<u32>(heap, ref, JOURNAL_REF);
  const filled = ref ? ref : planRecord(heap, KIND_CACHE, owner);
  write(heap, ref ? JOURNAL_REFILL : JOURNAL_REFILL | JOURNAL_NEW, chunk, index, CACHE_PAGES);
  apply(heap, leaf);
  return filled;
}

/** First fit in a cache: the page's place in the block in bits 0-15, scavenged pages of the run in bits 16-31; or -1. */
export function cacheAlloc(heap: usize, ref: u32, npages: u32): i32 {
  const record = heap + ref;
  const cache = load<u64>(record, RECORD_CACHE);
  const at = findBitRange64(cache, npages);
  if (at == 64) return -1;
  const run = (~(<u64>0) >> (64 - npages)) << at;
  const scav = load<u64>(record, RECORD_SCAV);
  // One store takes the run; what `scav` says of pages that are not the cache's does not count.
  store<u64>(record, cache & ~run, RECORD_CACHE);
  store<u64>(record, scav & ~run, RECORD_SCAV);
  return at | (<u32>popcnt(scav & run) << 16);
}

/** Gives back what is left in a cache and drops its record. One of the RANGE_ answers. */
export function flush(heap: usize, ref: u32): u32 {
  const record = heap + ref;
  const cache = load<u64>(record, RECORD_CACHE);
  const chunk = load<u32>(record, RECORD_CHUNK);
  const index = load<u32>(record, RECORD_INDEX);
  let op: u32 = JOURNAL_DROP;
  let leaf: usize = 0;
  if (cache) {
    leaf = mappedLeafOf(heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    if ((load<u64>(dataOf(leaf, chunk) + (index >> 3)) & cache) != cache) return RANGE_MISMATCH;
  }
  openWhole(heap);
  if (cache) {
    const scav = load<u64>(record, RECORD_SCAV) & cache;
    op |= JOURNAL_FLUSH;
    store<u64>(heap, cache, JOURNAL_CACHE);
    store<u64>(heap, scav, JOURNAL_SCAV);
    lowerSearch(heap, chunk, index + <u32>ctz(cache));
    count(heap, -(<u32>popcnt(cache)), HEADER_IN_USE);
    count(heap, <u32>popcnt(scav), HEADER_RELEASED);
    total(heap, 1, HEADER_FREES);
  }
  planDrop(heap, ref);
  write(heap, op, chunk, index, CACHE_PAGES);
  apply(heap, leaf);
  return RANGE_DONE;
}
