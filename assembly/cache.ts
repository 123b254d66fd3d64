// Page caches. A cache takes all free pages of one aligned 64-page block at once, and hands them out without the lock.
//
// The twin has a text of its own, as its words have 32 bits.

import { findFree } from "../build/both/heap";
import { write } from "../build/both/journal";
import { assertMapped, resummarize, updateAbove } from "../build/both/mark";
import { dropRecord, makeRecord } from "../build/both/record";
import { dataOf } from "../build/both/sums";
import { leafOf, mappedLeafOf } from "../build/both/tree";
import * as layout from "../src/engine/layout";
import { findBitRange64 } from "./bits";
import { commitFlush, commitRefill } from "./commit";
import { chunkOf, indexIn } from "./pages";
import { writePages } from "./save";

/**
 * Fills an empty cache with all free pages of the aligned 64-page block that has the first free page. Makes a cache
 * first if `ref` is 0. Returns the cache's ref. If no page is free, makes no cache and returns 0. The region must have
 * room for a record and an index.
 */
export function refill(heap: usize, ref: u32, owner: u32): u32 {
  const page = findFree(heap, 1, 1);
  if (page < 0) return 0;
  const chunk = chunkOf(page);
  const index = indexIn(chunk, page) & -layout.CACHE_PAGES;
  const leaf = leafOf(heap, chunk);
  const word = dataOf(leaf, chunk) + (index >> 3);
  const cache = ~load<u64>(word);
  let op: u32 = layout.JOURNAL_REFILL | layout.JOURNAL_COUNTED;
  if (!ref) {
    ref = makeRecord(heap, layout.KIND_CACHE, owner, 0, 0, 0, layout.JOURNAL_NEW);
    op |= layout.JOURNAL_NEW;
  }
  // Before `write`, whose last store makes the entry valid.
  writePages(heap, ref, cache, load<u64>(word, layout.DATA_SCAVENGED) & cache);
  write(heap, op, chunk, index, layout.CACHE_PAGES);
  markBlock(heap, leaf, chunk, index, cache, true);
  commitRefill(heap, leaf, op, chunk, index);
  return ref;
}

/**
 * Allocates the lowest run of npages pages that a cache has. Returns the index of its first page in the block in bits
 * 0-15, and how many of its pages had been scavenged in bits 16-31; -1 if there is no such run.
 */
export function cacheAlloc(heap: usize, ref: u32, npages: u32): i32 {
  const record = heap + ref;
  const cache = load<u64>(record, layout.RECORD_CACHE);
  const at = findBitRange64(cache, npages);
  if (at == 64) return -1;
  const run = (~(<u64>0) >> (64 - npages)) << at;
  const scav = load<u64>(record, layout.RECORD_SCAV);
  // The first store takes the run. If a worker dies before the second, no harm is done: scavenged bits count only for
  // pages that the cache owns.
  store<u64>(record, cache & ~run, layout.RECORD_CACHE);
  store<u64>(record, scav & ~run, layout.RECORD_SCAV);
  return at | (<u32>popcnt(scav & run) << 16);
}

/** Frees the pages that are left in a cache, and drops its record. Returns one of the RANGE_ answers. */
export function flush(heap: usize, ref: u32): u32 {
  const record = heap + ref;
  const cache = load<u64>(record, layout.RECORD_CACHE);
  if (cache) {
    const chunk = load<u32>(record, layout.RECORD_CHUNK);
    const index = load<u32>(record, layout.RECORD_INDEX);
    const leaf = mappedLeafOf(heap, chunk);
    if (!leaf) return layout.RANGE_NOT_MAPPED;
    if ((load<u64>(dataOf(leaf, chunk) + (index >> 3)) & cache) != cache) return layout.RANGE_MISMATCH;
    writePages(heap, ref, cache, load<u64>(record, layout.RECORD_SCAV) & cache);
    const op: u32 = layout.JOURNAL_FLUSH | layout.JOURNAL_DROP;
    write(heap, op, chunk, index, layout.CACHE_PAGES);
    markBlock(heap, leaf, chunk, index, cache, false);
    commitFlush(heap, leaf, op, chunk, index);
  }
  dropRecord(heap, ref, false);
  return layout.RANGE_DONE;
}

/**
 * Makes a cache that owns the pages of a block with a 1 in `cache`, which must be in use. `scav` says which of them are
 * scavenged. The region must have room for a record and an index. Returns the cache's ref.
 */
export function adopt(heap: usize, owner: u32, chunk: u32, index: u32, cache: u64, scav: u64): u32 {
  const leaf = leafOf(heap, chunk);
  const ref = makeRecord(heap, layout.KIND_CACHE, owner, 0, 0, 0, layout.JOURNAL_NEW);
  writePages(heap, ref, cache, scav);
  commitRefill(heap, leaf, layout.JOURNAL_REFILL, chunk, index);
  return ref;
}

/** Does what `markRange` does, for the pages of the block at `index` that have a 1 in `pages`. */
function markBlock(heap: usize, leaf: usize, chunk: u32, index: u32, pages: u64, inUse: bool): void {
  if (PALLOC_DEBUG) assertMapped(leaf, chunk);
  const word = dataOf(leaf, chunk) + (index >> 3);
  const alloc = load<u64>(word);
  store<u64>(word, inUse ? alloc | pages : alloc & ~pages);
  // The pages need not be one run, so `updateSummary` does not apply.
  if (resummarize(leaf, chunk)) updateAbove(heap, leaf);
}
