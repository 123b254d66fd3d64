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
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_NPAGES,
  RECORD_SCAV,
} from "../src/layout";
import { findBitRange64 } from "./find";
import { countTaken, findFree, lowerSearch, setSearch } from "./heap";
import { dropRecord } from "./record";
import { dataOf, leafOf, mappedLeafOf, resummarize, updateAbove } from "./tree";
import { markCandidate } from "./walk";

/**
 * Gives an empty cache all free pages of the 64-page aligned block that holds the first free page. Returns whether there
 * was any.
 */
export function refill(heap: usize, ref: u32): bool {
  const page = findFree(heap, 1);
  if (page < 0) return false;
  const chunk = <u32>(page >> CHUNK_SHIFT);
  const index = <u32>page & (CHUNK_PAGES - CACHE_PAGES);
  const leaf = leafOf(heap, chunk);
  const word = dataOf(leaf, chunk) + (index >> 3);
  const cache = ~load<u64>(word);
  const scav = load<u64>(word, DATA_SCAVENGED);
  store<u64>(word, ~(<u64>0));
  store<u64>(word, 0, DATA_SCAVENGED);
  if (resummarize(leaf, chunk)) updateAbove(heap, leaf);
  setSearch(heap, chunk, index + CACHE_PAGES - 1);
  countTaken(heap, <u32>popcnt(cache), <u32>popcnt(scav));
  store<f64>(heap, load<f64>(heap, HEADER_ALLOCS) + 1, HEADER_ALLOCS);
  const record = heap + ref;
  store<u32>(record, chunk, RECORD_CHUNK);
  store<u32>(record, index, RECORD_INDEX);
  store<u32>(record, CACHE_PAGES, RECORD_NPAGES);
  store<u64>(record, cache, RECORD_CACHE);
  store<u64>(record, scav, RECORD_SCAV);
  return true;
}

/** First fit in a cache: the page's place in the block in bits 0-15, scavenged pages of the run in bits 16-31; or -1. */
export function cacheAlloc(heap: usize, ref: u32, npages: u32): i32 {
  const record = heap + ref;
  const cache = load<u64>(record, RECORD_CACHE);
  const at = findBitRange64(cache, npages);
  if (at == 64) return -1;
  const run = (~(<u64>0) >> (64 - npages)) << at;
  const scav = load<u64>(record, RECORD_SCAV);
  store<u64>(record, cache & ~run, RECORD_CACHE);
  store<u64>(record, scav & ~run, RECORD_SCAV);
  return at | (<u32>popcnt(scav & run) << 16);
}

/** Gives back what is left in a cache and drops its record. One of the RANGE_ answers. */
export function flush(heap: usize, ref: u32): u32 {
  const record = heap + ref;
  const cache = load<u64>(record, RECORD_CACHE);
  if (cache) {
    const chunk = load<u32>(record, RECORD_CHUNK);
    const index = load<u32>(record, RECORD_INDEX);
    const leaf = mappedLeafOf(heap, chunk);
    if (!leaf) return RANGE_NOT_MAPPED;
    const word = dataOf(leaf, chunk) + (index >> 3);
    const used = load<u64>(word);
    if ((used & cache) != cache) return RANGE_MISMATCH;
    const scav = load<u64>(record, RECORD_SCAV) & cache;
    store<u64>(word, used & ~cache);
    store<u64>(word, load<u64>(word, DATA_SCAVENGED) | scav, DATA_SCAVENGED);
    if (resummarize(leaf, chunk)) updateAbove(heap, leaf);
    if (cache != scav) markCandidate(heap, leaf, chunk);
    lowerSearch(heap, chunk, index + <u32>ctz(cache));
    store<u32>(heap, load<u32>(heap, HEADER_IN_USE) - <u32>popcnt(cache), HEADER_IN_USE);
    store<u32>(heap, load<u32>(heap, HEADER_RELEASED) + <u32>popcnt(scav), HEADER_RELEASED);
    store<f64>(heap, load<f64>(heap, HEADER_FREES) + 1, HEADER_FREES);
  }
  dropRecord(heap, ref);
  return RANGE_DONE;
}
