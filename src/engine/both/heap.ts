// The calls on a heap's pages. The facade holds the lock, and has made room in the region for what a call appends.
// `allocNow` and `freeNow` take the lock themselves.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { countBits, find, findAligned, findRun, hasHole, NONE, popcntRange } from "../ts/bits.ts";
import type { bool, f64, i32, u32, usize } from "../ts/builtins.ts";
import { claim, unclaim } from "../ts/change.ts";
import { commitRange } from "../ts/commit.ts";
import { descend } from "../ts/descend.ts";
import { enter, leave } from "../ts/lock.ts";
import { chunkOf, indexIn, isWithin, pageOf } from "../ts/pages.ts";
import { descendAligned } from "./aligned.ts";
import { assertHeld } from "./assertions.ts";
import { write } from "./journal.ts";
import { markRange } from "./mark.ts";
import { isCached, isHeld } from "./record.ts";
import { dataOf, maxOf, sumOf } from "./sums.ts";
import {
  countScavenged,
  hintedLeafOf,
  isPartial,
  leafOf,
  mappedLeafNear,
  mappedLeafOf,
  raiseSearch,
} from "./tree.ts";

/**
 * Finds the lowest run of npages free pages that starts at a multiple of align pages, a power of two. Returns its first
 * page as a page number, or -1. Raises searchAddr to the first free page that it sees on the way.
 */
export function findFree(memory: Memory, heap: usize, npages: u32, align: u32): f64 {
  const { i32 } = memory;
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const chunk = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk === layout.NO_CHUNK) return -1;
  const index = i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2];
  if (isWithin(index, npages)) {
    // No page below searchAddr is free. So if its chunk has a long enough run, that is the lowest, without a descent of
    // the tree.
    const leaf = leafOf(memory, heap, chunk);
    if (leaf && maxOf(sumOf(memory, leaf, chunk)) >= npages) {
      if (align === 1) {
        const hit = find(memory, dataOf(leaf, chunk), npages, index);
        i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = hit >>> 16;
        return pageOf(chunk, hit & 0xffff);
      }
      if (align <= (layout.CHUNK_PAGES as u32)) {
        const hit = findAligned(memory, dataOf(leaf, chunk), npages, align);
        if (hit !== NONE) return pageOf(chunk, hit);
      }
    }
  }
  if (align > 1) return descendAligned(memory, heap, npages, align);
  const page = descend(memory, heap, npages);
  // Not even a single page is free.
  if (page < 0 && npages === 1) raiseSearch(memory, heap, pageOf(layout.NO_CHUNK, 0));
  return page;
}

/** Allocates pages that are known to be free. `leaf` covers the first chunk. */
function take(memory: Memory, heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  if (isWithin(index, npages)) {
    claim(memory, heap, leaf, chunk, index, npages);
    return;
  }
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  const op: u32 = layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED;
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, true);
  commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, 0, 0);
}

/**
 * Checks that all pages of a range are mapped, and are all free or, with `inUse`, all in use and owned by no cache or
 * hook. Returns one of the RANGE_ answers.
 */
export function inspect(memory: Memory, heap: usize, chunk: u32, index: u32, npages: u32, inUse: bool): u32 {
  return inspectFrom(memory, heap, mappedLeafOf(memory, heap, chunk), chunk, index, npages, inUse);
}

/** Does the same, given the leaf of the first chunk; 0 for a hole. */
function inspectFrom(
  memory: Memory,
  heap: usize,
  firstLeaf: usize,
  first: u32,
  from: u32,
  npages: u32,
  inUse: bool,
): u32 {
  const { i32 } = memory;
  let answer: u32 = layout.RANGE_DONE;
  let leaf = firstLeaf;
  let chunk = first;
  let index = from;
  if (inUse && i32[(heap + layout.HEADER_HOLDS) >>> 2] && isHeld(memory, heap, first, from, npages)) {
    answer = layout.RANGE_OWNED;
  }
  // An unmapped page anywhere takes precedence, so a mismatch does not end the loop.
  for (let left = npages; ; ) {
    const n = Math.min(left, layout.CHUNK_PAGES - index);
    if (!leaf) return layout.RANGE_NOT_MAPPED;
    const data = dataOf(leaf, chunk);
    if (isPartial(memory, leaf, chunk) && hasHole(memory, data, index, n)) return layout.RANGE_NOT_MAPPED;
    // The summary alone can show that a chunk is all in use or all free, without a look at its bits.
    const whole = sumOf(memory, leaf, chunk) === (inUse ? 0 : layout.SUM_FREE);
    if (!whole && popcntRange(memory, data, index, n) !== (inUse ? n : 0)) {
      answer = layout.RANGE_MISMATCH;
    } else if (inUse && i32[(leaf + layout.LEAF_BLOCKS) >>> 2] && !answer) {
      if (isCached(memory, heap, leaf, chunk, index, n)) answer = layout.RANGE_OWNED;
    }
    left -= n;
    if (!left) break;
    index = 0;
    leaf = mappedLeafOf(memory, heap, ++chunk);
  }
  return answer;
}

/**
 * Allocates the lowest run of npages free pages that starts at a multiple of align pages. Returns its first page as a
 * page number, or -1.
 */
export function alloc(memory: Memory, heap: usize, npages: u32, align: u32): f64 {
  const { i32 } = memory;
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const searched = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  const from = i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2];
  if (align === 1 && isWithin(from, npages)) {
    // The usual case of `findFree`, with the leaf at hand.
    const leaf = hintedLeafOf(memory, heap, searched);
    const sum = leaf ? sumOf(memory, leaf, searched) : 0;
    if (maxOf(sum) >= npages) {
      const hit = sum === layout.SUM_FREE ? 0 : findRun(memory, dataOf(leaf, searched), npages, from);
      const index = hit & 0xffff;
      // Before the pages are taken: from then on, a call that overflows the stack would lose them.
      const page = pageOf(searched, index);
      i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = hit >>> 16;
      claim(memory, heap, leaf, searched, index, npages);
      return page;
    }
  }
  const page = findFree(memory, heap, npages, align);
  if (page < 0) return -1;
  const chunk = chunkOf(page);
  take(memory, heap, leafOf(memory, heap, chunk), chunk, indexIn(chunk, page), npages);
  return page;
}

/**
 * Takes the lock with the word `held`, allocates 1 to 512 pages as `alloc` does, and releases the lock. Returns the
 * first page as a page number plus, in units of 1 / LAST_SCALE, how many of the pages had been scavenged; -1 if there
 * is no such run. Returns BUSY, with nothing changed, if the lock is taken or an interrupted call must be mended first.
 */
export function allocNow(memory: Memory, heap: usize, npages: u32, held: u32): f64 {
  const { i32 } = memory;
  if (!enter(memory, heap, held)) return layout.BUSY;
  const page = alloc(memory, heap, npages, 1);
  const scavenged = i32[(heap + layout.HEADER_LAST_SCAVENGED) >>> 2];
  leave(memory, heap, held);
  return page < 0 ? page : page + (scavenged as f64) * (1 / (layout.LAST_SCALE as f64));
}

/** Takes the lock, frees 1 to 512 pages as `free` does, and releases the lock. May also return BUSY. */
export function freeNow(memory: Memory, heap: usize, chunk: u32, index: u32, npages: u32, held: u32): i32 {
  if (!enter(memory, heap, held)) return layout.BUSY;
  const answer = free(memory, heap, chunk, index, npages);
  leave(memory, heap, held);
  return answer;
}

/** Allocates exactly these pages. Returns one of the RANGE_ answers. */
export function allocRange(memory: Memory, heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const leaf = mappedLeafOf(memory, heap, chunk);
  const answer = inspectFrom(memory, heap, leaf, chunk, index, npages, false);
  if (answer === layout.RANGE_DONE) take(memory, heap, leaf, chunk, index, npages);
  return answer;
}

/**
 * Reports whether pages of a chunk can be seen to be in use, and owned by no cache or hook. `inspect` tells for sure.
 */
// @inline
function mayFree(memory: Memory, heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): bool {
  const { i32 } = memory;
  // Holes have their alloc bits set too.
  if (i32[(heap + layout.HEADER_HOLDS) >>> 2] | i32[(leaf + layout.LEAF_BLOCKS) >>> 2]) return false;
  if (i32[(leaf + layout.LEAF_PARTIAL) >>> 2]) return false;
  return !sumOf(memory, leaf, chunk) || countBits(memory, dataOf(leaf, chunk), index, npages) === npages;
}

/** Frees exactly these pages. Returns one of the RANGE_ answers. */
export function free(memory: Memory, heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const leaf = mappedLeafNear(memory, heap, chunk);
  const within = isWithin(index, npages);
  if (!leaf || !within || !mayFree(memory, heap, leaf, chunk, index, npages)) {
    const answer = inspectFrom(memory, heap, leaf, chunk, index, npages, true);
    if (answer !== layout.RANGE_DONE) return answer;
  }
  if (within) {
    unclaim(memory, heap, leaf, chunk, index, npages);
    return layout.RANGE_DONE;
  }
  const op: u32 = layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED;
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, false);
  commitRange(memory, heap, leaf, op, chunk, index, npages, 0, 0, 0);
  return layout.RANGE_DONE;
}

/** Returns the first mapped page of a range, as a page number; -1 if there is none. */
export function mappedPage(memory: Memory, heap: usize, first: u32, from: u32, npages: u32): f64 {
  let index = from;
  let chunk = first;
  for (let left = npages; left; chunk++) {
    const n = Math.min(left, layout.CHUNK_PAGES - index);
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (leaf) {
      for (const end = index + n; index < end; index++) {
        if (!hasHole(memory, dataOf(leaf, chunk), index, 1)) return pageOf(chunk, index);
      }
    }
    left -= n;
    index = 0;
  }
  return -1;
}

/** Marks free pages as in use, to be unmapped. Leaves JOURNAL_UNMAP in the journal. */
export function markUnmapped(memory: Memory, heap: usize, chunk: u32, index: u32, npages: u32): void {
  write(memory, heap, layout.JOURNAL_CLAIM | layout.JOURNAL_UNMAP, chunk, index, npages);
  markRange(memory, heap, leafOf(memory, heap, chunk), chunk, index, npages, true);
}
