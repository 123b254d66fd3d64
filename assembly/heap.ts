// The heap: allocates, frees, maps and scavenges runs of pages. The caller must hold the lock, and must have made room
// in the region for what a call appends. `allocNow` and `freeNow` take the lock themselves. `releaseNow` needs no lock,
// but a plain heap.

import * as layout from "../src/engine/layout";
import { assertHeld } from "./assertions";
import { clearRange, countBits, find, findAligned, findRun, NONE, popcntRange, setBits } from "./bits";
import { claim, unclaim } from "./change";
import { enter, isIdle, leave } from "./lock";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate";
import { commitPassed, commitRange, count, countReleased, lowerSearch } from "./commit";
import { close, isShared, saveAll, saveFields, write } from "./journal";
import { markRange } from "./mark";
import { isCached, isHeld } from "./record";
import { maxOf, setChunkSummary, summarize } from "./summary";
import {
  countScavenged,
  dataOf,
  descend,
  descendAligned,
  growLeaf,
  isMarked,
  isPartial,
  leafOf,
  mappedLeafAt,
  mappedLeafOf,
  raiseSearch,
  sumOf,
  updateAbove,
  walk,
} from "./tree";

/**
 * Finds the lowest run of npages free pages that starts at a multiple of align pages, a power of two. Returns its first
 * page as a page number, or -1. Raises searchAddr to the first free page that it sees on the way.
 */
export function findFree(heap: usize, npages: u32, align: u32): i64 {
  assertHeld(heap);
  const chunk = load<u32>(heap, layout.HEADER_SEARCH_CHUNK);
  if (chunk == layout.NO_CHUNK) return -1;
  const index = load<u32>(heap, layout.HEADER_SEARCH_INDEX);
  if (<u32>layout.CHUNK_PAGES - index >= npages) {
    // No page below searchAddr is free. So if its chunk has a long enough run, that is the lowest, without a descent of
    // the tree.
    const leaf = leafOf(heap, chunk);
    if (leaf && maxOf(sumOf(leaf, chunk)) >= npages) {
      const first = (<i64>chunk) << layout.CHUNK_SHIFT;
      if (align == 1) {
        const hit = find(dataOf(leaf, chunk), npages, index);
        store<u32>(heap, hit >> 16, layout.HEADER_SEARCH_INDEX);
        return first | (hit & 0xffff);
      }
      if (align <= <u32>layout.CHUNK_PAGES) {
        const hit = findAligned(dataOf(leaf, chunk), npages, align);
        if (hit != NONE) return first | hit;
      }
    }
  }
  if (align > 1) return descendAligned(heap, npages, align);
  const page = descend(heap, npages);
  // Not even a single page is free.
  if (page < 0 && npages == 1) raiseSearch(heap, (<i64>layout.NO_CHUNK) << layout.CHUNK_SHIFT);
  return page;
}

/** Does `findFree` for the facade, which would get an i64 as a bigint. */
export function findFreePage(heap: usize, npages: u32, align: u32): f64 {
  return <f64>findFree(heap, npages, align);
}

/** Allocates pages that are known to be free. `leaf` covers the first chunk. */
function take(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  if (npages <= <u32>layout.CHUNK_PAGES - index) {
    claim(heap, leaf, chunk, index, npages);
    return;
  }
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  const op: u32 = layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED;
  write(heap, op, chunk, index, npages);
  markRange(heap, leaf, chunk, index, npages, true);
  commitRange(heap, leaf, op, chunk, index, npages, scavenged, 0, 0);
}

/**
 * Checks that all pages of a range are mapped, and are all free or, with `inUse`, all in use and owned by no cache or
 * hook. Returns one of the RANGE_ answers.
 */
export function inspect(heap: usize, chunk: u32, index: u32, npages: u32, inUse: bool): u32 {
  return inspectFrom(heap, mappedLeafOf(heap, chunk), chunk, index, npages, inUse);
}

/** Does the same, given the leaf of the first chunk; 0 for a hole. */
function inspectFrom(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32, inUse: bool): u32 {
  let answer: u32 = layout.RANGE_DONE;
  if (inUse && load<u32>(heap, layout.HEADER_HOLDS) && isHeld(heap, chunk, index, npages)) answer = layout.RANGE_OWNED;
  // An unmapped page anywhere takes precedence, so a mismatch does not end the loop.
  for (let left = npages; ; ) {
    const n = min(left, layout.CHUNK_PAGES - index);
    if (!leaf) return layout.RANGE_NOT_MAPPED;
    if (isPartial(leaf, chunk) && hasHole(dataOf(leaf, chunk), index, n)) return layout.RANGE_NOT_MAPPED;
    // The summary alone can show that a chunk is all in use or all free, without a look at its bits.
    const whole = sumOf(leaf, chunk) == (inUse ? 0 : layout.SUM_FREE);
    if (!whole && popcntRange(dataOf(leaf, chunk), index, n) != (inUse ? n : 0)) answer = layout.RANGE_MISMATCH;
    else if (inUse && load<u32>(leaf, layout.LEAF_BLOCKS) && !answer && isCached(heap, leaf, chunk, index, n)) {
      answer = layout.RANGE_OWNED;
    }
    left -= n;
    if (!left) break;
    index = 0;
    leaf = mappedLeafOf(heap, ++chunk);
  }
  return answer;
}

/** Reports whether any page of a range within a chunk is a hole. */
function hasHole(data: usize, index: u32, npages: u32): bool {
  for (let end = index + npages; index < end; ) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    if (load<u64>(word) & load<u64>(word, layout.DATA_SCAVENGED) & ((~(<u64>0) >> (64 - n)) << index)) return true;
    index += n;
  }
  return false;
}

/**
 * Allocates the lowest run of npages free pages that starts at a multiple of align pages. Returns its first page as a
 * page number, or -1.
 */
export function alloc(heap: usize, npages: u32, align: u32): f64 {
  assertHeld(heap);
  const searched = load<u32>(heap, layout.HEADER_SEARCH_CHUNK);
  const from = load<u32>(heap, layout.HEADER_SEARCH_INDEX);
  if (align == 1 && npages <= <u32>layout.CHUNK_PAGES - from) {
    // The usual case of `findFree`, with the leaf at hand.
    const leaf = hintedLeafOf(heap, searched);
    const sum = leaf ? sumOf(leaf, searched) : 0;
    if (maxOf(sum) >= npages) {
      const hit = sum == layout.SUM_FREE ? 0 : findRun(dataOf(leaf, searched), npages, from);
      store<u32>(heap, hit >> 16, layout.HEADER_SEARCH_INDEX);
      claim(heap, leaf, searched, hit & 0xffff, npages);
      return <f64>(((<i64>searched) << layout.CHUNK_SHIFT) | (hit & 0xffff));
    }
  }
  const page = findFree(heap, npages, align);
  if (page < 0) return -1;
  const chunk = <u32>(page >> layout.CHUNK_SHIFT);
  take(heap, mappedLeafAt(heap, chunk), chunk, <u32>page & (layout.CHUNK_PAGES - 1), npages);
  return <f64>page;
}

/**
 * Takes the lock with the word `held`, allocates npages pages, 1 to 512, as `alloc` does, and releases the lock.
 * Returns the first page as a page number plus, in units of 1 / LAST_SCALE, how many of the pages had been scavenged;
 * -1 if there is no such run. Returns BUSY, with nothing changed, if the lock is taken or an interrupted call must be
 * mended first.
 */
export function allocNow(heap: usize, npages: u32, held: u32): f64 {
  if (!enter(heap, held)) return layout.BUSY;
  const page = alloc(heap, npages, 1);
  const scavenged = load<u32>(heap, layout.HEADER_LAST_SCAVENGED);
  leave(heap, held);
  return page < 0 ? page : page + <f64>scavenged * (1 / <f64>layout.LAST_SCALE);
}

/** Takes the lock, frees 1 to 512 pages as `free` does, and releases the lock. May also return BUSY. */
export function freeNow(heap: usize, chunk: u32, index: u32, npages: u32, held: u32): i32 {
  if (!enter(heap, held)) return layout.BUSY;
  const answer = free(heap, chunk, index, npages);
  leave(heap, held);
  return answer;
}

/** Allocates exactly these pages. Returns one of the RANGE_ answers. */
export function allocRange(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const leaf = mappedLeafOf(heap, chunk);
  const answer = inspectFrom(heap, leaf, chunk, index, npages, false);
  if (answer == layout.RANGE_DONE) take(heap, leaf, chunk, index, npages);
  return answer;
}

/**
 * Reports whether pages of a chunk can be seen to be in use, and owned by no cache or hook. `inspect` tells for sure.
 */
// @ts-ignore: decorator
@inline
function mayFree(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): bool {
  // Holes have their alloc bits set too.
  if (load<u32>(heap, layout.HEADER_HOLDS) | load<u32>(leaf, layout.LEAF_BLOCKS)) return false;
  if (load<u32>(leaf, layout.LEAF_PARTIAL)) return false;
  return !sumOf(leaf, chunk) || countBits(dataOf(leaf, chunk), index, npages) == npages;
}

/** Frees exactly these pages. Returns one of the RANGE_ answers. */
export function free(heap: usize, chunk: u32, index: u32, npages: u32): u32 {
  const leaf = mappedLeafNear(heap, chunk);
  const within = npages <= <u32>layout.CHUNK_PAGES - index;
  if (!leaf || !within || !mayFree(heap, leaf, chunk, index, npages)) {
    const answer = inspectFrom(heap, leaf, chunk, index, npages, true);
    if (answer != layout.RANGE_DONE) return answer;
  }
  if (within) {
    unclaim(heap, leaf, chunk, index, npages);
    return layout.RANGE_DONE;
  }
  const op: u32 = layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED;
  write(heap, op, chunk, index, npages);
  markRange(heap, leaf, chunk, index, npages, false);
  commitRange(heap, leaf, op, chunk, index, npages, 0, 0, 0);
  return layout.RANGE_DONE;
}

/**
 * Marks the free pages of a range as scavenged. Skips holes. Returns how many pages were unscavenged before. If there
 * were any, moves scavAddr to `scavEnd`. If that is -1, they are scavenged again after a hook: this is no release, and
 * scavAddr stays.
 */
export function scavengeRange(heap: usize, first: u32, from: u32, npages: u32, scavEnd: f64): u32 {
  let index = from;
  let unscavenged: u32 = 0;
  let runs: u32 = 0;
  let chunk = first;
  const firstLeaf = mappedLeafOf(heap, first);
  let leaf = firstLeaf;
  for (let left = npages; ; ) {
    const n = min(left, layout.CHUNK_PAGES - index);
    const found = leaf ? countUnscavenged(dataOf(leaf, chunk), index, n) : 0;
    if (found) runs++;
    unscavenged += found;
    left -= n;
    if (!left) break;
    index = 0;
    leaf = mappedLeafOf(heap, ++chunk);
  }
  if (!unscavenged) return 0;
  // Alloc bits and summaries stay as they are, so there is nothing to mark.
  const again = scavEnd < 0;
  const op: u32 = again ? layout.JOURNAL_SCAVENGE : layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE;
  commitRange(heap, firstLeaf, op, first, from, npages, unscavenged, again ? 0 : runs, scavEnd);
  return unscavenged;
}

/**
 * Returns the page number below which a first look searches; 0 if nothing is left. It may lie above scavAddr, because a
 * first look takes in the whole 64-bit word of scavAddr, as in Go. After a hook has declined pages, it starts exactly
 * at scavAddr, so that it does not find them again.
 */
export function scavengeTop(heap: usize): f64 {
  const end = load<f64>(heap, layout.HEADER_SCAV_END);
  if (end <= <f64>((<i64>load<u32>(heap, layout.HEADER_START)) << layout.CHUNK_SHIFT)) return 0;
  if (load<u32>(heap, layout.HEADER_SCAV_STRICT)) return end;
  return <f64>((<i64>end + (layout.CACHE_PAGES - 1)) & -layout.CACHE_PAGES);
}

/**
 * Releases the run that a first look finds, and moves scavAddr just below it. Returns the number of pages released. If
 * the look finds nothing, changes nothing and returns 0. If nothing is left below scavAddr, returns
 * NOTHING_LEFT.
 */
export function release(heap: usize, maxPages: u32): i32 {
  const last = <i64>scavengeTop(heap) - 1;
  if (last < 0) return layout.NOTHING_LEFT;
  const chunk = <u32>(last >> layout.CHUNK_SHIFT);
  const leaf = hintedLeafOf(heap, chunk);
  const hit = candidateIn(heap, leaf, chunk, (<u32>last & (layout.CHUNK_PAGES - 1)) + 1, maxPages);
  if (!hit) return 0;
  return releaseRun(heap, leaf, chunk, hit, <f64>(((<i64>chunk) << layout.CHUNK_SHIFT) + (hit & 0xffff)));
}

/** Releases the run `hit` of a chunk, packed as findScavengeCandidate does, and moves scavAddr. Returns its pages. */
// @ts-ignore: decorator
@inline
function releaseRun(heap: usize, leaf: usize, chunk: u32, hit: u32, scavEnd: f64): i32 {
  const index = hit & 0xffff;
  const npages = hit >> 16;
  if (isShared(heap)) {
    commitRange(heap, leaf, layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE, chunk, index, npages, npages, 1, scavEnd);
  } else {
    // The same without a journal. It calls no function, and pages of a candidate are all free and unscavenged.
    countReleased(heap, npages, 1);
    setBits(dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, npages);
    store<f64>(heap, scavEnd, layout.HEADER_SCAV_END);
  }
  return npages;
}

/**
 * Does what `mappedLeafOf` does, for calls that come to the same leaf again and again. A free leaf has no mapped chunk,
 * so the hint can be checked.
 */
// @ts-ignore: decorator
@inline
function hintedLeafOf(heap: usize, chunk: u32): usize {
  const hint = heap + load<u32>(heap, layout.HINT_LEAF);
  if (isLeafOf(hint, chunk)) return hint;
  const leaf = mappedLeafAt(heap, chunk);
  if (leaf && !isShared(heap)) store<u32>(heap, <u32>(leaf - heap), layout.HINT_LEAF);
  return leaf;
}

/** Does the same for calls that may come to any leaf: tries the hint first, and leaves it as it is. */
// @ts-ignore: decorator
@inline
function mappedLeafNear(heap: usize, chunk: u32): usize {
  const hint = heap + load<u32>(heap, layout.HINT_LEAF);
  return isLeafOf(hint, chunk) ? hint : mappedLeafAt(heap, chunk);
}

/** Reports whether a leaf has that chunk, mapped. */
// @ts-ignore: decorator
@inline
function isLeafOf(leaf: usize, chunk: u32): bool {
  const isFirst = load<u32>(leaf, layout.NODE_FIRST) == (chunk & -layout.FANOUT);
  return isFirst && ((load<u32>(leaf, layout.NODE_SHAPE) >> (chunk & (layout.FANOUT - 1))) & 1) != 0;
}

/**
 * Releases the next run, wherever it is: a whole pass of the scavenger, for a plain heap. Returns the number of pages
 * released, or NOTHING_LEFT. Returns BUSY if another call is under way or an interrupted one must be mended.
 */
export function releaseNow(heap: usize, maxPages: u32): i32 {
  if (!isIdle(heap)) return layout.BUSY;
  const released = release(heap, maxPages);
  return released ? released : releaseBelow(heap, maxPages);
}

/** Goes on with a pass whose first look has found nothing. */
function releaseBelow(heap: usize, maxPages: u32): i32 {
  let chunk = <i32>((<i64>scavengeTop(heap) - 1) >> layout.CHUNK_SHIFT);
  const start = load<u32>(heap, layout.HEADER_START);
  for (;;) {
    passOver(heap, chunk, lowered(heap, chunk, 0));
    chunk = chunk > <i32>start ? walk(heap, chunk - 1) : -1;
    if (chunk < <i32>start) break;
    const leaf = mappedLeafAt(heap, chunk);
    const hit = candidateIn(heap, leaf, chunk, layout.CHUNK_PAGES, maxPages);
    if (hit) return releaseRun(heap, leaf, chunk, hit, lowered(heap, chunk, hit & 0xffff));
  }
  store<f64>(heap, 0, layout.HEADER_SCAV_END);
  return layout.NOTHING_LEFT;
}

/** Returns what HEADER_SCAV_END becomes when a pass has come down to a page. */
// @ts-ignore: decorator
@inline
function lowered(heap: usize, chunk: u32, index: u32): f64 {
  return min(<f64>(((<i64>chunk) << layout.CHUNK_SHIFT) + index), load<f64>(heap, layout.HEADER_SCAV_END));
}

/** Counts the free and unscavenged pages of a range within a chunk. */
function countUnscavenged(data: usize, index: u32, npages: u32): u32 {
  const end = index + npages;
  let unscavenged: u32 = 0;
  while (index < end) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    const range = (~(<u64>0) >> (64 - n)) << index;
    unscavenged += <u32>popcnt(range & ~(load<u64>(word) | load<u64>(word, layout.DATA_SCAVENGED)));
    index += n;
  }
  return unscavenged;
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`. Returns it packed as findScavengeCandidate does; 0 if there
 * is none or the chunk is a hole.
 */
export function findCandidate(heap: usize, chunk: u32, ceiling: u32, maxPages: u32): u32 {
  return candidateIn(heap, mappedLeafOf(heap, chunk), chunk, ceiling, maxPages);
}

/** Does the same, given the leaf of the chunk; 0 for a hole. */
// @ts-ignore: decorator
@inline
function candidateIn(heap: usize, leaf: usize, chunk: u32, ceiling: u32, maxPages: u32): u32 {
  // A clear candidate bit is always right, so the bitmaps need not be read.
  if (!leaf || !isMarked(leaf, chunk)) return 0;
  const minPages = load<u32>(heap, layout.HEADER_MIN_PAGES);
  const hugePages = load<u32>(heap, layout.HEADER_HUGE_PAGES);
  return findScavengeCandidate(dataOf(leaf, chunk), ceiling, minPages, maxPages, hugePages);
}

/**
 * Moves scavAddr below a chunk in which a look found nothing. Clears the chunk's candidate bit unless it has a
 * candidate above the ceiling of that look.
 */
export function passOver(heap: usize, chunk: u32, scavEnd: f64): void {
  const minPages = load<u32>(heap, layout.HEADER_MIN_PAGES);
  const leaf = mappedLeafOf(heap, chunk);
  const none = leaf && isMarked(leaf, chunk) && !hasScavengeCandidate(dataOf(leaf, chunk), minPages);
  commitPassed(heap, leaf, none ? layout.JOURNAL_CLEAR : 0, chunk, scavEnd);
}

/** Moves scavAddr to the top of the heap. Pages that a hook has declined can be scavenged again. */
export function reset(heap: usize): void {
  assertHeld(heap);
  saveFields(heap, 0);
  toTop(heap);
  store<u32>(heap, 1, layout.HEADER_SCAV_RESET);
  close(heap);
}

/** Moves scavAddr to the top of the heap. */
// @ts-ignore: decorator
@inline
function toTop(heap: usize): void {
  store<f64>(heap, load<f64>(heap, layout.HEADER_TOP), layout.HEADER_SCAV_END);
  store<u32>(heap, 0, layout.HEADER_SCAV_STRICT);
  count(heap, 1, layout.HEADER_SCAV_GENERATION);
}

/** Returns the first mapped page of a range, as a page number; -1 if there is none. */
export function mappedPage(heap: usize, first: u32, from: u32, npages: u32): f64 {
  let index = from;
  let chunk = first;
  for (let left = npages; left; chunk++) {
    const n = min(left, layout.CHUNK_PAGES - index);
    const leaf = mappedLeafOf(heap, chunk);
    if (leaf) {
      for (const end = index + n; index < end; index++) {
        if (!hasHole(dataOf(leaf, chunk), index, 1)) return <f64>(((<i64>chunk) << layout.CHUNK_SHIFT) + index);
      }
    }
    left -= n;
    index = 0;
  }
  return -1;
}

/** Marks free pages as in use, to be unmapped. Leaves JOURNAL_UNMAP in the journal. */
export function markUnmapped(heap: usize, chunk: u32, index: u32, npages: u32): void {
  write(heap, layout.JOURNAL_CLAIM | layout.JOURNAL_UNMAP, chunk, index, npages);
  markRange(heap, leafOf(heap, chunk), chunk, index, npages, true);
}

/** Maps the pages of a range, which must all be holes. They become free and scavenged. */
export function map(heap: usize, first: u32, from: u32, npages: u32): void {
  saveAll(heap, 0);
  // Until here the journal says only that the fields are saved. From here on, mend.ts removes the range again.
  write(heap, layout.JOURNAL_MAP | layout.JOURNAL_FIELDS, first, from, npages);
  const endPage = ((<i64>first) << layout.CHUNK_SHIFT) + from + npages;
  const end = <u32>((endPage + (layout.CHUNK_PAGES - 1)) >> layout.CHUNK_SHIFT);
  const empty = !load<u32>(heap, layout.HEADER_CHUNKS);
  if (empty || first < load<u32>(heap, layout.HEADER_START)) store<u32>(heap, first, layout.HEADER_START);
  if (empty || end > load<u32>(heap, layout.HEADER_END)) store<u32>(heap, end, layout.HEADER_END);
  if (<f64>endPage > load<f64>(heap, layout.HEADER_TOP)) store<f64>(heap, <f64>endPage, layout.HEADER_TOP);
  count(heap, npages, layout.HEADER_PAGES);
  count(heap, npages, layout.HEADER_RELEASED);
  count(heap, 1, layout.HEADER_CHANGES);
  lowerSearch(heap, first, from);
  if (!load<u32>(heap, layout.HEADER_SCAV_RESET)) toTop(heap);
  let left = npages;
  let index = from;
  for (let chunk = first; left; ) {
    const leaf = growLeaf(heap, chunk);
    do {
      const n = min(left, layout.CHUNK_PAGES - index);
      mapIn(heap, leaf, chunk, index, n);
      left -= n;
      index = 0;
      chunk++;
    } while (left && chunk & (layout.FANOUT - 1));
    updateAbove(heap, leaf);
  }
  close(heap);
}

/** Maps pages of a chunk of the leaf. */
function mapIn(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  const slot = chunk & (layout.FANOUT - 1);
  const bit = 1 << slot;
  const data = dataOf(leaf, chunk);
  const shape = load<u32>(leaf, layout.NODE_SHAPE);
  if (!(shape & bit)) {
    count(heap, 1, layout.HEADER_CHUNKS);
    // A chunk without mapped pages has no bit set. If only some of its pages are mapped, the others are holes, which
    // need both bits.
    if (npages < <u32>layout.CHUNK_PAGES) memory.fill(data, 0xff, layout.BITMAP_BYTES);
    memory.fill(data + layout.DATA_SCAVENGED, 0xff, layout.BITMAP_BYTES);
    store<u32>(leaf, shape | bit, layout.NODE_SHAPE);
  }
  if (npages == layout.CHUNK_PAGES) {
    setChunkSummary(leaf, slot, layout.SUM_FREE);
    return;
  }
  clearRange(data, index, npages);
  const partial = load<u32>(leaf, layout.LEAF_PARTIAL) & ~bit;
  store<u32>(leaf, hasHole(data, 0, layout.CHUNK_PAGES) ? partial | bit : partial, layout.LEAF_PARTIAL);
  setChunkSummary(leaf, slot, summarize(data));
}
