// The heap: allocates, frees, maps and scavenges runs of pages. The caller must hold the lock, and must have made room
// in the region for what a call appends. `allocNow` and `freeNow` take the lock themselves. `releaseNow` needs no lock,
// but a plain heap.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { assertHeld } from "./assertions.ts";
import { clearRange, find, findAligned, NONE, popcnt, popcntRange } from "./bits.ts";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate.ts";
import { claim, unclaim } from "./change.ts";
import { commitPassed, commitRange } from "./commit.ts";
import { close, saveFields, write } from "./journal.ts";
import { enter, isIdle, leave } from "./lock.ts";
import { markRange } from "./mark.ts";
import { isCached, isHeld } from "./record.ts";
import { maxOf, setChunkSummary, summarize } from "./summary.ts";
import {
  countScavenged,
  dataOf,
  descend,
  descendAligned,
  growLeaf,
  isMarked,
  isPartial,
  leafOf,
  mappedLeafOf,
  raiseSearch,
  sumOf,
  updateAbove,
  walk,
} from "./tree.ts";

/**
 * Finds the lowest run of npages free pages that starts at a multiple of align pages, a power of two. Returns its first
 * page as a page number, or -1. Raises searchAddr to the first free page that it sees on the way.
 */
export function findFree(memory: Memory, heap: number, npages: number, align: number): number {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  const chunk = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk === layout.NO_CHUNK) return -1;
  const index = i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2];
  if (layout.CHUNK_PAGES - index >= npages) {
    // No page below searchAddr is free. So if its chunk has a long enough run, that is the lowest, without a descent of
    // the tree.
    const leaf = leafOf(memory, heap, chunk);
    if (leaf && maxOf(sumOf(memory, leaf, chunk)) >= npages) {
      const first = chunk * layout.CHUNK_PAGES;
      if (align === 1) {
        const hit = find(memory, dataOf(leaf, chunk), npages, index);
        i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = hit >>> 16;
        return first + (hit & 0xffff);
      }
      if (align <= layout.CHUNK_PAGES) {
        const hit = findAligned(memory, dataOf(leaf, chunk), npages, align);
        if (hit !== NONE) return first + hit;
      }
    }
  }
  if (align > 1) return descendAligned(memory, heap, npages, align);
  const page = descend(memory, heap, npages);
  // Not even a single page is free.
  if (page < 0 && npages === 1) raiseSearch(memory, heap, layout.NO_CHUNK * layout.CHUNK_PAGES);
  return page;
}

/** Allocates pages that are known to be free. `leaf` covers the first chunk. */
function take(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  if (npages <= layout.CHUNK_PAGES - index) {
    claim(memory, heap, leaf, chunk, index, npages);
    return;
  }
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  const op = layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED;
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, true);
  commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, 0, 0);
}

/**
 * Checks that all pages of a range are mapped, and are all free or, with `inUse`, all in use and owned by no cache or
 * hook. Returns one of the RANGE_ answers.
 */
export function inspect(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): number {
  return inspectFrom(memory, heap, mappedLeafOf(memory, heap, chunk), chunk, index, npages, inUse);
}

/** Does the same, given the leaf of the first chunk; 0 for a hole. */
function inspectFrom(
  memory: Memory,
  heap: number,
  firstLeaf: number,
  first: number,
  from: number,
  npages: number,
  inUse: boolean,
): number {
  const { i32 } = memory;
  let answer = layout.RANGE_DONE;
  let leaf = firstLeaf;
  let chunk = first;
  let index = from;
  if (inUse && i32[(heap + layout.HEADER_HOLDS) >>> 2] && isHeld(memory, heap, first, from, npages))
    answer = layout.RANGE_OWNED;
  // An unmapped page anywhere takes precedence, so a mismatch does not end the loop.
  for (let left = npages; ; ) {
    const n = Math.min(left, layout.CHUNK_PAGES - index);
    if (!leaf) return layout.RANGE_NOT_MAPPED;
    if (isPartial(memory, leaf, chunk) && hasHole(memory, dataOf(leaf, chunk), index, n))
      return layout.RANGE_NOT_MAPPED;
    // The summary alone can show that a chunk is all in use or all free, without a look at its bits.
    const whole = sumOf(memory, leaf, chunk) === (inUse ? 0 : layout.SUM_FREE);
    if (!whole && popcntRange(memory, dataOf(leaf, chunk), index, n) !== (inUse ? n : 0))
      answer = layout.RANGE_MISMATCH;
    else if (
      inUse &&
      i32[(leaf + layout.LEAF_BLOCKS) >>> 2] &&
      !answer &&
      isCached(memory, heap, leaf, chunk, index, n)
    ) {
      answer = layout.RANGE_OWNED;
    }
    left -= n;
    if (!left) break;
    index = 0;
    leaf = mappedLeafOf(memory, heap, ++chunk);
  }
  return answer;
}

/** Reports whether any page of a range within a chunk is a hole. */
function hasHole({ i32 }: Memory, data: number, first: number, npages: number): boolean {
  const end = first + npages;
  for (let index = first; index < end; ) {
    const word = (data >>> 2) + (index >>> 5);
    const n = Math.min(32 - (index & 31), end - index);
    if (i32[word] & i32[word + layout.DATA_SCAVENGED / 4] & ((-1 >>> (32 - n)) << index)) return true;
    index += n;
  }
  return false;
}

/**
 * Allocates the lowest run of npages free pages that starts at a multiple of align pages. Returns its first page as a
 * page number, or -1.
 */
export function alloc(memory: Memory, heap: number, npages: number, align: number): number {
  const { i32 } = memory;
  const searched = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  const from = i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2];
  if (align === 1 && npages <= layout.CHUNK_PAGES - from) {
    // The usual case of `findFree`, with the leaf at hand.
    const leaf = hintedLeafOf(memory, heap, searched);
    const sum = leaf ? sumOf(memory, leaf, searched) : 0;
    if (maxOf(sum) >= npages) {
      const hit = sum === layout.SUM_FREE ? 0 : find(memory, dataOf(leaf, searched), npages, from);
      const index = hit & 0xffff;
      i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = hit >>> 16;
      claim(memory, heap, leaf, searched, index, npages);
      return searched * layout.CHUNK_PAGES + index;
    }
  }
  const page = findFree(memory, heap, npages, align);
  if (page < 0) return -1;
  const chunk = Math.floor(page / layout.CHUNK_PAGES);
  const index = page - chunk * layout.CHUNK_PAGES;
  take(memory, heap, leafOf(memory, heap, chunk), chunk, index, npages);
  return page;
}

/**
 * Takes the lock with the word `held`, allocates npages pages, 1 to 512, as `alloc` does, and releases the lock.
 * Returns the first page as a page number plus, in units of 1 / LAST_SCALE, how many of the pages had been scavenged;
 * -1 if there is no such run. Returns BUSY, with nothing changed, if the lock is taken or an interrupted call must be
 * mended first.
 */
export function allocNow(memory: Memory, heap: number, npages: number, held: number): number {
  if (!enter(memory, heap, held)) return layout.BUSY;
  const page = alloc(memory, heap, npages, 1);
  const scavenged = memory.i32[(heap + layout.HEADER_LAST_SCAVENGED) >>> 2];
  leave(memory, heap, held);
  return page < 0 ? page : page + scavenged * (1 / layout.LAST_SCALE);
}

/** Takes the lock, frees 1 to 512 pages as `free` does, and releases the lock. May also return BUSY. */
export function freeNow(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
  held: number,
): number {
  if (!enter(memory, heap, held)) return layout.BUSY;
  const answer = free(memory, heap, chunk, index, npages);
  leave(memory, heap, held);
  return answer;
}

/** Allocates exactly these pages. Returns one of the RANGE_ answers. */
export function allocRange(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  const leaf = mappedLeafOf(memory, heap, chunk);
  const answer = inspectFrom(memory, heap, leaf, chunk, index, npages, false);
  if (answer === layout.RANGE_DONE) take(memory, heap, leaf, chunk, index, npages);
  return answer;
}

/**
 * Reports whether pages of a chunk can be seen to be in use, and owned by no cache or hook. `inspect` tells for sure.
 */
function mayFree(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): boolean {
  const { i32 } = memory;
  // Holes have their alloc bits set too.
  if (i32[(heap + layout.HEADER_HOLDS) >>> 2] | i32[(leaf + layout.LEAF_BLOCKS) >>> 2]) return false;
  if (i32[(leaf + layout.LEAF_PARTIAL) >>> 2]) return false;
  return !sumOf(memory, leaf, chunk) || popcntRange(memory, dataOf(leaf, chunk), index, npages) === npages;
}

/** Frees exactly these pages. Returns one of the RANGE_ answers. */
export function free(memory: Memory, heap: number, chunk: number, index: number, npages: number): number {
  const leaf = mappedLeafNear(memory, heap, chunk);
  const within = npages <= layout.CHUNK_PAGES - index;
  if (!leaf || !within || !mayFree(memory, heap, leaf, chunk, index, npages)) {
    const answer = inspectFrom(memory, heap, leaf, chunk, index, npages, true);
    if (answer !== layout.RANGE_DONE) return answer;
  }
  if (within) {
    unclaim(memory, heap, leaf, chunk, index, npages);
    return layout.RANGE_DONE;
  }
  const op = layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED;
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, false);
  commitRange(memory, heap, leaf, op, chunk, index, npages, 0, 0, 0);
  return layout.RANGE_DONE;
}

/**
 * Marks the free pages of a range as scavenged. Skips holes. Returns how many pages were unscavenged before. If there
 * were any, moves scavAddr to `scavEnd`. If that is -1, they are scavenged again after a hook: this is no release, and
 * scavAddr stays.
 */
export function scavengeRange(
  memory: Memory,
  heap: number,
  first: number,
  from: number,
  npages: number,
  scavEnd: number,
): number {
  let index = from;
  let unscavenged = 0;
  let runs = 0;
  let chunk = first;
  const firstLeaf = mappedLeafOf(memory, heap, first);
  let leaf = firstLeaf;
  for (let left = npages; ; ) {
    const n = Math.min(left, layout.CHUNK_PAGES - index);
    const found = leaf ? countUnscavenged(memory, dataOf(leaf, chunk), index, n) : 0;
    if (found) runs++;
    unscavenged += found;
    left -= n;
    if (!left) break;
    index = 0;
    leaf = mappedLeafOf(memory, heap, ++chunk);
  }
  if (!unscavenged) return 0;
  // Alloc bits and summaries stay as they are, so there is nothing to mark.
  const again = scavEnd < 0;
  const op = again ? layout.JOURNAL_SCAVENGE : layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE;
  commitRange(memory, heap, firstLeaf, op, first, from, npages, unscavenged, again ? 0 : runs, scavEnd);
  return unscavenged;
}

/**
 * Returns the page number below which a first look searches; 0 if nothing is left. It may lie above scavAddr, because a
 * first look takes in the whole 64-bit word of scavAddr, as in Go. After a hook has declined pages, it starts exactly
 * at scavAddr, so that it does not find them again.
 */
export function scavengeTop({ i32, f64 }: Memory, heap: number): number {
  const end = f64[(heap + layout.HEADER_SCAV_END) >>> 3];
  if (end <= i32[(heap + layout.HEADER_START) >>> 2] * layout.CHUNK_PAGES) return 0;
  return i32[(heap + layout.HEADER_SCAV_STRICT) >>> 2]
    ? end
    : Math.ceil(end / layout.CACHE_PAGES) * layout.CACHE_PAGES;
}

/**
 * Releases the run that a first look finds, and moves scavAddr just below it. Returns the number of pages released. If
 * the look finds nothing, changes nothing and returns 0. If nothing is left below scavAddr, returns
 * NOTHING_LEFT.
 */
export function release(memory: Memory, heap: number, maxPages: number): number {
  const last = scavengeTop(memory, heap) - 1;
  if (last < 0) return layout.NOTHING_LEFT;
  const chunk = Math.floor(last / layout.CHUNK_PAGES);
  const leaf = hintedLeafOf(memory, heap, chunk);
  const hit = candidateIn(memory, heap, leaf, chunk, (last % layout.CHUNK_PAGES) + 1, maxPages);
  if (!hit) return 0;
  return releaseRun(memory, heap, leaf, chunk, hit, chunk * layout.CHUNK_PAGES + (hit & 0xffff));
}

/** Releases the run `hit` of a chunk, packed as findScavengeCandidate does, and moves scavAddr. Returns its pages. */
function releaseRun(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  hit: number,
  scavEnd: number,
): number {
  const npages = hit >>> 16;
  const op = layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE;
  commitRange(memory, heap, leaf, op, chunk, hit & 0xffff, npages, npages, 1, scavEnd);
  return npages;
}

/**
 * Does what `mappedLeafOf` does, for calls that come to the same leaf again and again. A free leaf has no mapped chunk,
 * so the hint can be checked.
 */
function hintedLeafOf(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  const field = (heap + layout.HINT_LEAF) >>> 2;
  const hint = heap + i32[field];
  if (isLeafOf(memory, hint, chunk)) return hint;
  const leaf = mappedLeafOf(memory, heap, chunk);
  if (leaf && !(PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2])) i32[field] = leaf - heap;
  return leaf;
}

/** Does the same for calls that may come to any leaf: tries the hint first, and leaves it as it is. */
function mappedLeafNear(memory: Memory, heap: number, chunk: number): number {
  const hint = heap + memory.i32[(heap + layout.HINT_LEAF) >>> 2];
  return isLeafOf(memory, hint, chunk) ? hint : mappedLeafOf(memory, heap, chunk);
}

/** Reports whether a leaf has that chunk, mapped. */
function isLeafOf({ i32 }: Memory, leaf: number, chunk: number): boolean {
  const isFirst = i32[(leaf + layout.NODE_FIRST) >>> 2] === (chunk & -layout.FANOUT);
  return isFirst && ((i32[(leaf + layout.NODE_SHAPE) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/**
 * Releases the next run, wherever it is: a whole pass of the scavenger, for a plain heap. Returns the number of pages
 * released, or NOTHING_LEFT. Returns BUSY if another call is under way or an interrupted one must be mended.
 */
export function releaseNow(memory: Memory, heap: number, maxPages: number): number {
  if (!isIdle(memory, heap)) return layout.BUSY;
  return release(memory, heap, maxPages) || releaseBelow(memory, heap, maxPages);
}

/** Goes on with a pass whose first look has found nothing. */
function releaseBelow(memory: Memory, heap: number, maxPages: number): number {
  let chunk = Math.floor((scavengeTop(memory, heap) - 1) / layout.CHUNK_PAGES);
  const start = memory.i32[(heap + layout.HEADER_START) >>> 2];
  for (;;) {
    passOver(memory, heap, chunk, lowered(memory, heap, chunk, 0));
    chunk = chunk > start ? walk(memory, heap, chunk - 1) : -1;
    if (chunk < start) break;
    const hit = findCandidate(memory, heap, chunk, layout.CHUNK_PAGES, maxPages);
    const index = hit & 0xffff;
    if (hit)
      return scavengeRange(memory, heap, chunk, index, hit >>> 16, lowered(memory, heap, chunk, index));
  }
  memory.f64[(heap + layout.HEADER_SCAV_END) >>> 3] = 0;
  return layout.NOTHING_LEFT;
}

/** Returns what HEADER_SCAV_END becomes when a pass has come down to a page. */
function lowered({ f64 }: Memory, heap: number, chunk: number, index: number): number {
  return Math.min(chunk * layout.CHUNK_PAGES + index, f64[(heap + layout.HEADER_SCAV_END) >>> 3]);
}

/** Counts the free and unscavenged pages of a range within a chunk. */
function countUnscavenged({ i32 }: Memory, data: number, first: number, npages: number): number {
  const end = first + npages;
  let unscavenged = 0;
  for (let index = first; index < end; ) {
    const word = (data >>> 2) + (index >>> 5);
    const n = Math.min(32 - (index & 31), end - index);
    unscavenged += popcnt(
      ((-1 >>> (32 - n)) << index) & ~(i32[word] | i32[word + layout.DATA_SCAVENGED / 4]),
    );
    index += n;
  }
  return unscavenged;
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`. Returns it packed as findScavengeCandidate does; 0 if there
 * is none or the chunk is a hole.
 */
export function findCandidate(
  memory: Memory,
  heap: number,
  chunk: number,
  ceiling: number,
  maxPages: number,
): number {
  return candidateIn(memory, heap, mappedLeafOf(memory, heap, chunk), chunk, ceiling, maxPages);
}

/** Does the same, given the leaf of the chunk; 0 for a hole. */
function candidateIn(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  ceiling: number,
  maxPages: number,
): number {
  const { i32 } = memory;
  // A clear candidate bit is always right, so the bitmaps need not be read.
  if (!leaf || !isMarked(memory, leaf, chunk)) return 0;
  const minPages = i32[(heap + layout.HEADER_MIN_PAGES) >>> 2];
  const hugePages = i32[(heap + layout.HEADER_HUGE_PAGES) >>> 2];
  return findScavengeCandidate(memory, dataOf(leaf, chunk), ceiling, minPages, maxPages, hugePages);
}

/**
 * Moves scavAddr below a chunk in which a look found nothing. Clears the chunk's candidate bit unless it has a
 * candidate above the ceiling of that look.
 */
export function passOver(memory: Memory, heap: number, chunk: number, scavEnd: number): void {
  const minPages = memory.i32[(heap + layout.HEADER_MIN_PAGES) >>> 2];
  const leaf = mappedLeafOf(memory, heap, chunk);
  const none =
    leaf && isMarked(memory, leaf, chunk) && !hasScavengeCandidate(memory, dataOf(leaf, chunk), minPages);
  commitPassed(memory, heap, leaf, none ? layout.JOURNAL_CLEAR : 0, chunk, scavEnd);
}

/** Moves scavAddr to the top of the heap. Pages that a hook has declined can be scavenged again. */
export function reset(memory: Memory, heap: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32, f64 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2]) saveFields(memory, heap, 0);
  f64[(heap + layout.HEADER_SCAV_END) >>> 3] = f64[(heap + layout.HEADER_TOP) >>> 3];
  i32[(heap + layout.HEADER_SCAV_STRICT) >>> 2] = 0;
  i32[(heap + layout.HEADER_SCAV_GENERATION) >>> 2]++;
  i32[(heap + layout.HEADER_SCAV_RESET) >>> 2] = 1;
  i32[(heap + layout.JOURNAL_OP) >>> 2] = 0;
}

/** Returns the first mapped page of a range, as a page number; -1 if there is none. */
export function mappedPage(
  memory: Memory,
  heap: number,
  first: number,
  from: number,
  npages: number,
): number {
  let index = from;
  let chunk = first;
  for (let left = npages; left; chunk++) {
    const n = Math.min(left, layout.CHUNK_PAGES - index);
    const leaf = mappedLeafOf(memory, heap, chunk);
    if (leaf) {
      for (const end = index + n; index < end; index++) {
        if (!hasHole(memory, dataOf(leaf, chunk), index, 1)) return chunk * layout.CHUNK_PAGES + index;
      }
    }
    left -= n;
    index = 0;
  }
  return -1;
}

/** Marks free pages as in use, to be unmapped. Leaves JOURNAL_UNMAP in the journal. */
export function markUnmapped(
  memory: Memory,
  heap: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  write(memory, heap, layout.JOURNAL_CLAIM | layout.JOURNAL_UNMAP, chunk, index, npages);
  markRange(memory, heap, leafOf(memory, heap, chunk), chunk, index, npages, true);
}

/** Maps the pages of a range, which must all be holes. They become free and scavenged. */
export function map(memory: Memory, heap: number, first: number, from: number, npages: number): void {
  const { i32, f64 } = memory;
  saveFields(memory, heap, 0);
  // Until here the journal says only that the fields are saved. From here on, mend.ts removes the range again.
  write(memory, heap, layout.JOURNAL_MAP | layout.JOURNAL_FIELDS, first, from, npages);
  const endPage = first * layout.CHUNK_PAGES + from + npages;
  const end = Math.ceil(endPage / layout.CHUNK_PAGES);
  const empty = !i32[(heap + layout.HEADER_CHUNKS) >>> 2];
  if (empty || first < i32[(heap + layout.HEADER_START) >>> 2])
    i32[(heap + layout.HEADER_START) >>> 2] = first;
  if (empty || end > i32[(heap + layout.HEADER_END) >>> 2]) i32[(heap + layout.HEADER_END) >>> 2] = end;
  if (endPage > f64[(heap + layout.HEADER_TOP) >>> 3]) f64[(heap + layout.HEADER_TOP) >>> 3] = endPage;
  count(memory, heap, npages, layout.HEADER_PAGES);
  count(memory, heap, npages, layout.HEADER_RELEASED);
  count(memory, heap, 1, layout.HEADER_CHANGES);
  lowerSearch(memory, heap, first, from);
  if (!i32[(heap + layout.HEADER_SCAV_RESET) >>> 2]) {
    f64[(heap + layout.HEADER_SCAV_END) >>> 3] = f64[(heap + layout.HEADER_TOP) >>> 3];
    i32[(heap + layout.HEADER_SCAV_STRICT) >>> 2] = 0;
    count(memory, heap, 1, layout.HEADER_SCAV_GENERATION);
  }
  let left = npages;
  let index = from;
  for (let chunk = first; left; ) {
    const leaf = growLeaf(memory, heap, chunk);
    do {
      const n = Math.min(left, layout.CHUNK_PAGES - index);
      mapIn(memory, heap, leaf, chunk, index, n);
      left -= n;
      index = 0;
      chunk++;
    } while (left && chunk & (layout.FANOUT - 1));
    updateAbove(memory, heap, leaf);
  }
  close(memory, heap);
}

/** Maps pages of a chunk of the leaf. */
function mapIn(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  const { i32, u8 } = memory;
  const slot = chunk & (layout.FANOUT - 1);
  const bit = 1 << slot;
  const data = dataOf(leaf, chunk);
  if (!(i32[(leaf + layout.NODE_SHAPE) >>> 2] & bit)) {
    count(memory, heap, 1, layout.HEADER_CHUNKS);
    // A chunk without mapped pages has no bit set. If only some of its pages are mapped, the others are holes, which
    // need both bits.
    if (npages < layout.CHUNK_PAGES) u8.fill(0xff, data, data + layout.BITMAP_BYTES);
    u8.fill(0xff, data + layout.DATA_SCAVENGED, data + layout.DATA_SCAVENGED + layout.BITMAP_BYTES);
    i32[(leaf + layout.NODE_SHAPE) >>> 2] |= bit;
  }
  if (npages === layout.CHUNK_PAGES) {
    setChunkSummary(memory, leaf, slot, layout.SUM_FREE);
    return;
  }
  clearRange(memory, data, index, npages);
  const partial = i32[(leaf + layout.LEAF_PARTIAL) >>> 2] & ~bit;
  i32[(leaf + layout.LEAF_PARTIAL) >>> 2] = hasHole(memory, data, 0, layout.CHUNK_PAGES)
    ? partial | bit
    : partial;
  setChunkSummary(memory, leaf, slot, summarize(memory, data));
}

/** Adds to a u32 of the header. A negative amount subtracts. */
function count({ i32 }: Memory, heap: number, amount: number, counter: number): void {
  i32[(heap + counter) >>> 2] += amount;
}

/** Lowers searchAddr to a page that becomes free, unless it is lower already. */
function lowerSearch(memory: Memory, heap: number, chunk: number, index: number): void {
  const { i32 } = memory;
  const searchChunk = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  if (
    chunk > searchChunk ||
    (chunk === searchChunk && index >= i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2])
  )
    return;
  i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2] = chunk;
  i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = index;
}
