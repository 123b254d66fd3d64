// The calls of the scavenger. The facade holds the lock. `releaseNow` needs no lock, but a plain heap.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { countUnscavenged } from "../ts/bits.ts";
import type { f64, i32, u32, usize } from "../ts/builtins.ts";
import { findScavengeCandidate, hasScavengeCandidate } from "../ts/candidate.ts";
import { releaseRun } from "../ts/change.ts";
import { commitPassed, commitRange } from "../ts/commit.ts";
import { alignUp, chunkOf, indexIn, pageOf } from "../ts/pages.ts";
import { isIdle } from "./journal.ts";
import { dataOf } from "./sums.ts";
import { hintedLeafOf, isMarked, mappedLeafOf, walk } from "./tree.ts";

/**
 * Marks the free pages of a range as scavenged. Skips holes. Returns how many pages were unscavenged before. If there
 * were any, moves scavAddr to `scavEnd`. If that is -1, they are scavenged again after a hook: this is no release, and
 * scavAddr stays.
 */
export function scavengeRange(
  memory: Memory,
  heap: usize,
  first: u32,
  from: u32,
  npages: u32,
  scavEnd: f64,
): u32 {
  let index = from;
  let unscavenged: u32 = 0;
  let runs: u32 = 0;
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
  const op: u32 = again ? layout.JOURNAL_SCAVENGE : layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE;
  commitRange(memory, heap, firstLeaf, op, first, from, npages, unscavenged, again ? 0 : runs, scavEnd);
  return unscavenged;
}

/**
 * Returns the page number below which a first look searches; 0 if nothing is left. It may lie above scavAddr, because a
 * first look takes in the whole 64-bit word of scavAddr, as in Go. After a hook has declined pages, it starts exactly
 * at scavAddr, so that it does not find them again.
 */
export function scavengeTop(memory: Memory, heap: usize): f64 {
  const { i32, f64 } = memory;
  const end = f64[(heap + layout.HEADER_SCAV_END) >>> 3];
  if (end <= pageOf(i32[(heap + layout.HEADER_START) >>> 2], 0)) return 0;
  if (i32[(heap + layout.HEADER_SCAV_STRICT) >>> 2]) return end;
  return alignUp(end, layout.CACHE_PAGES);
}

/**
 * Releases the run that a first look finds, and moves scavAddr just below it. Returns the number of pages released. If
 * the look finds nothing, changes nothing and returns 0. If nothing is left below scavAddr, returns
 * NOTHING_LEFT.
 */
export function release(memory: Memory, heap: usize, maxPages: u32): i32 {
  const last = scavengeTop(memory, heap) - 1;
  if (last < 0) return layout.NOTHING_LEFT;
  const chunk = chunkOf(last);
  const leaf = hintedLeafOf(memory, heap, chunk);
  const hit = candidateIn(memory, heap, leaf, chunk, indexIn(chunk, last) + 1, maxPages);
  if (!hit) return 0;
  return releaseRun(memory, heap, leaf, chunk, hit, pageOf(chunk, hit & 0xffff));
}

/**
 * Releases the next run, wherever it is: a whole pass of the scavenger, for a plain heap. Returns the number of pages
 * released, or NOTHING_LEFT. Returns BUSY if another call is under way or an interrupted one must be mended.
 */
export function releaseNow(memory: Memory, heap: usize, maxPages: u32): i32 {
  if (!isIdle(memory, heap)) return layout.BUSY;
  const released = release(memory, heap, maxPages);
  return released ? released : releaseBelow(memory, heap, maxPages);
}

/** Goes on with a pass whose first look has found nothing. */
function releaseBelow(memory: Memory, heap: usize, maxPages: u32): i32 {
  const { i32, f64 } = memory;
  let chunk = chunkOf(scavengeTop(memory, heap) - 1) as i32;
  const start = i32[(heap + layout.HEADER_START) >>> 2] as i32;
  for (;;) {
    passOver(memory, heap, chunk, lowered(memory, heap, chunk, 0));
    chunk = chunk > start ? walk(memory, heap, chunk - 1) : -1;
    if (chunk < start) break;
    const leaf = mappedLeafOf(memory, heap, chunk);
    const hit = candidateIn(memory, heap, leaf, chunk, layout.CHUNK_PAGES, maxPages);
    if (hit) return releaseRun(memory, heap, leaf, chunk, hit, lowered(memory, heap, chunk, hit & 0xffff));
  }
  f64[(heap + layout.HEADER_SCAV_END) >>> 3] = 0;
  return layout.NOTHING_LEFT;
}

/** Returns what HEADER_SCAV_END becomes when a pass has come down to a page. */
// @inline
function lowered(memory: Memory, heap: usize, chunk: u32, index: u32): f64 {
  const { f64 } = memory;
  return Math.min(pageOf(chunk, index), f64[(heap + layout.HEADER_SCAV_END) >>> 3]);
}

/**
 * Looks for a candidate in the chunk, below page `ceiling`. Returns it packed as findScavengeCandidate does; 0 if there
 * is none or the chunk is a hole.
 */
export function findCandidate(memory: Memory, heap: usize, chunk: u32, ceiling: u32, maxPages: u32): u32 {
  return candidateIn(memory, heap, mappedLeafOf(memory, heap, chunk), chunk, ceiling, maxPages);
}

/** Does the same, given the leaf of the chunk; 0 for a hole. */
// @inline
function candidateIn(memory: Memory, heap: usize, leaf: usize, chunk: u32, ceiling: u32, maxPages: u32): u32 {
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
export function passOver(memory: Memory, heap: usize, chunk: u32, scavEnd: f64): void {
  const { i32 } = memory;
  const minPages = i32[(heap + layout.HEADER_MIN_PAGES) >>> 2];
  const leaf = mappedLeafOf(memory, heap, chunk);
  const none =
    leaf && isMarked(memory, leaf, chunk) && !hasScavengeCandidate(memory, dataOf(leaf, chunk), minPages);
  commitPassed(memory, heap, leaf, none ? layout.JOURNAL_CLEAR : 0, chunk, scavEnd);
}
