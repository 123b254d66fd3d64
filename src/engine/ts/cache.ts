// Page caches. A cache takes all free pages of one aligned 64-page block at once, and hands them out without the lock.
//
// assembly/ has a text of its own, as its words have 64 bits.

import { findFree } from "../both/heap.ts";
import { write } from "../both/journal.ts";
import { assertMapped, resummarize, updateAbove } from "../both/mark.ts";
import { dropRecord, makeRecord } from "../both/record.ts";
import { dataOf } from "../both/sums.ts";
import { leafOf, mappedLeafOf } from "../both/tree.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { findBitRange64, popcntRange } from "./bits.ts";
import { commitFlush, commitRefill } from "./commit.ts";
import { chunkOf, indexIn } from "./pages.ts";
import { writePages, writePages64 } from "./save.ts";

/**
 * Fills an empty cache with all free pages of the aligned 64-page block that has the first free page. Makes a cache
 * first if `ref` is 0. Returns the cache's ref. If no page is free, makes no cache and returns 0. The region must have
 * room for a record and an index.
 */
export function refill(memory: Memory, heap: number, ref: number, owner: number): number {
  const { i32 } = memory;
  const page = findFree(memory, heap, 1, 1);
  if (page < 0) return 0;
  const chunk = chunkOf(page);
  const index = indexIn(chunk, page) & -layout.CACHE_PAGES;
  const leaf = leafOf(memory, heap, chunk);
  const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
  const filled = ref || makeRecord(memory, heap, layout.KIND_CACHE, owner, 0, 0, 0, layout.JOURNAL_NEW);
  const op = layout.JOURNAL_REFILL | layout.JOURNAL_COUNTED | (ref ? 0 : layout.JOURNAL_NEW);
  const lower = ~i32[word];
  const upper = ~i32[word + 1];
  const scav = word + layout.DATA_SCAVENGED / 4;
  // Before `write`, whose last store makes the entry valid.
  writePages(memory, heap, filled, lower, upper, i32[scav] & lower, i32[scav + 1] & upper);
  write(memory, heap, op, chunk, index, layout.CACHE_PAGES);
  markBlock(memory, heap, leaf, chunk, index, lower, upper, true);
  commitRefill(memory, heap, leaf, op, chunk, index);
  return filled;
}

/**
 * Allocates the lowest run of npages pages that a cache has. Returns the index of its first page in the block in bits
 * 0-15, and how many of its pages had been scavenged in bits 16-31; -1 if there is no such run.
 */
export function cacheAlloc(memory: Memory, heap: number, ref: number, npages: number): number {
  const { i32 } = memory;
  const cache = (heap + ref + layout.RECORD_CACHE) >>> 2;
  const scav = (heap + ref + layout.RECORD_SCAV) >>> 2;
  const at = findBitRange64(i32[cache], i32[cache + 1], npages);
  if (at === layout.CACHE_PAGES) return -1;
  const scavenged = popcntRange(memory, heap + ref + layout.RECORD_SCAV, at, npages);
  const end = at + npages;
  const lower = at < 32 ? (-1 << at) & (end < 32 ? ~(-1 << end) : -1) : 0;
  const upper = end > 32 ? (at > 32 ? -1 << at : -1) & (-1 >>> (64 - end)) : 0;
  // One store takes the run, unless it crosses from one half to the other. Then RECORD_TAKEN names the run until both
  // halves are stored, for `recover`. Calls nothing until then, as a call could overflow the stack.
  const taken = (heap + ref + layout.RECORD_TAKEN) >>> 2;
  if (lower && upper) i32[taken] = at | (npages << 8);
  if (lower) i32[cache] &= ~lower;
  if (upper) i32[cache + 1] &= ~upper;
  if (lower && upper) i32[taken] = 0;
  if (lower) i32[scav] &= ~lower;
  if (upper) i32[scav + 1] &= ~upper;
  return at | (scavenged << 16);
}

/** Frees the pages that are left in a cache, and drops its record. Returns one of the RANGE_ answers. */
export function flush(memory: Memory, heap: number, ref: number): number {
  const { i32 } = memory;
  const record = (heap + ref) >>> 2;
  const lower = i32[record + layout.RECORD_CACHE / 4];
  const upper = i32[record + layout.RECORD_CACHE / 4 + 1];
  if (lower | upper) {
    const chunk = i32[record + layout.RECORD_CHUNK / 4];
    const index = i32[record + layout.RECORD_INDEX / 4];
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (!leaf) return layout.RANGE_NOT_MAPPED;
    const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
    if ((~i32[word] & lower) | (~i32[word + 1] & upper)) return layout.RANGE_MISMATCH;
    const scav = record + layout.RECORD_SCAV / 4;
    writePages(memory, heap, ref, lower, upper, i32[scav] & lower, i32[scav + 1] & upper);
    const op = layout.JOURNAL_FLUSH | layout.JOURNAL_DROP;
    write(memory, heap, op, chunk, index, layout.CACHE_PAGES);
    markBlock(memory, heap, leaf, chunk, index, lower, upper, false);
    commitFlush(memory, heap, leaf, op, chunk, index);
  }
  dropRecord(memory, heap, ref, false);
  return layout.RANGE_DONE;
}

/**
 * Makes a cache that owns the pages of a block with a 1 in `cache`, which must be in use. `scav` says which of them are
 * scavenged. The region must have room for a record and an index. Returns the cache's ref.
 */
export function adopt(
  memory: Memory,
  heap: number,
  owner: number,
  chunk: number,
  index: number,
  cache: bigint,
  scav: bigint,
): number {
  const leaf = leafOf(memory, heap, chunk);
  const ref = makeRecord(memory, heap, layout.KIND_CACHE, owner, 0, 0, 0, layout.JOURNAL_NEW);
  writePages64(memory, heap, ref, cache, scav);
  commitRefill(memory, heap, leaf, layout.JOURNAL_REFILL, chunk, index);
  return ref;
}

/**
 * Does what `markRange` does, for the pages of the block at `index` that have a 1 in `pagesLower` (the first 32) or
 * `pagesUpper`.
 */
function markBlock(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  pagesLower: number,
  pagesUpper: number,
  inUse: boolean,
): void {
  const { i32 } = memory;
  if (PALLOC_DEBUG) assertMapped(memory, leaf, chunk);
  const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
  i32[word] = inUse ? i32[word] | pagesLower : i32[word] & ~pagesLower;
  i32[word + 1] = inUse ? i32[word + 1] | pagesUpper : i32[word + 1] & ~pagesUpper;
  // The pages need not be one run, so `updateSummary` does not apply.
  if (resummarize(memory, leaf, chunk)) updateAbove(memory, heap, leaf);
}
