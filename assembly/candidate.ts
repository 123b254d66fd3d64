// Scavenge candidates. A candidate is a run of free and unscavenged pages of one chunk, made of whole aligned groups of
// min pages.
//
// The twin has a text of its own, as its words have 32 bits.

import { assertRange } from "../build/both/assertions";
import * as layout from "../src/engine/layout";

/** Returns two words of both bitmaps, or-ed: 0 = free and unscavenged. */
function keptPair(data: usize, at: usize): v128 {
  return v128.or(v128.load(data + at), v128.load(data + at, layout.BITMAP_BYTES));
}

/** Returns a word of both bitmaps, or-ed: 0 = free and unscavenged. */
function kept(word: usize): u64 {
  return load<u64>(word) | load<u64>(word, layout.BITMAP_BYTES);
}

/** Does what `occupied` does, for two words. */
function occupiedPair(x: v128, low: v128): v128 {
  return v128.or(v128.or(i64x2.add(v128.and(x, low), low), x), low);
}

/**
 * Reports whether any min-aligned group of min pages of the chunk is free and unscavenged. min is a power of two, 1 to
 * 512.
 */
export function hasScavengeCandidate(data: usize, min: u32): bool {
  if (PALLOC_DEBUG) assertRange(0, min);
  if (min > 64) return findInWords(data, layout.CHUNK_PAGES, min, min, 0) != 0;
  const low = lowBits(min);
  // The scavenger starts at the top, so what it looks for is often there.
  if (occupied(kept(data + 56), low) != -1) return true;
  const lows = i64x2.splat(low);
  const all = v128.and(
    v128.and(occupiedPair(keptPair(data, 0), lows), occupiedPair(keptPair(data, 16), lows)),
    v128.and(occupiedPair(keptPair(data, 32), lows), occupiedPair(keptPair(data, 48), lows)),
  );
  return v128.any_true(v128.not(all));
}

/**
 * Finds the highest candidate below page `ceiling` (1 to 512). Returns its first page in bits 0-15 and its length in
 * bits 16-31; 0 if there is none. It has at least min pages and is aligned to min. If the run is longer than max pages,
 * only its top max pages count (rounded up to a multiple of min; 0 means min). They are extended downward if the cut
 * would break a huge page. min is a power of two, 1 to 512; hugePages is a power of two or 0.
 */
export function findScavengeCandidate(data: usize, ceiling: u32, min: u32, max: u32, hugePages: u32): u32 {
  return candidateBelow(data, ceiling, min, max, hugePages);
}

/** Does the same inline. */
// @ts-ignore: decorator
@inline
export function candidateBelow(data: usize, ceiling: u32, min: u32, max: u32, hugePages: u32): u32 {
  if (PALLOC_DEBUG) assertRange(0, ceiling);
  if (PALLOC_DEBUG) assertRange(0, min);
  if (min > 64) return findInWords(data, ceiling, min, max, hugePages);
  const low = lowBits(min);
  // The top page of a group stands for the group. It is 1 if any page of the group is occupied.
  const tops = ~low;
  let word = data + (((ceiling - 1) >> 6) << 3);
  // Pages from the ceiling up count as occupied. The shift is modulo 64, so it leaves the low `ceiling` % 64 ones, or
  // all.
  let taken = occupied(kept(word) | ~(~(<u64>0) >> -ceiling), low) & tops;
  while (taken == tops) {
    if (word == data) return 0;
    word -= 8;
    taken = occupied(kept(word), low) & tops;
  }

  // The top of the run is the highest group that is not taken. If none is taken below it in this word, the run goes on
  // in the words below.
  const above = clz(taken ^ tops);
  const end = <u32>((word - data) << 3) + 64 - <u32>above;
  const below = taken << above;
  let run: u32;
  if (below) {
    run = <u32>clz(below);
  } else {
    // What lies further below the top of the run does not matter to `cut`.
    const enough = mostOf(min, max) + hugePages;
    run = 64 - <u32>above;
    while (word != data && run < enough) {
      word -= 8;
      taken = occupied(kept(word), low) & tops;
      run += <u32>clz(taken);
      if (taken) break;
    }
  }
  return cut(end, run, min, max, hugePages);
}

/** Does the same for groups of whole words. A group that reaches above the ceiling does not count. */
function findInWords(data: usize, ceiling: u32, min: u32, max: u32, hugePages: u32): u32 {
  let end = ceiling & -min;
  while (end && !isFree(data, end - min, end)) end -= min;
  if (!end) return 0;
  let start = end - min;
  while (start && isFree(data, start - min, start)) start -= min;
  return cut(end, end - start, min, max, hugePages);
}

/** Reports whether the pages [start, end), which are whole words, are all free and unscavenged. */
function isFree(data: usize, start: u32, end: u32): bool {
  for (let word = data + (start >> 3); word < data + (end >> 3); word += 8) if (kept(word)) return false;
  return true;
}

/** Returns the most pages of a run that count. Rounded up, since only whole groups of min pages can be released. */
// @ts-ignore: decorator
@inline
function mostOf(min: u32, max: u32): u32 {
  return max < <u32>layout.CHUNK_PAGES ? (max ? (max + min - 1) & -min : min) : layout.CHUNK_PAGES;
}

/** Cuts a run of `run` pages that ends before page `end`. Returns it packed as findScavengeCandidate does. */
// @ts-ignore: decorator
@inline
function cut(end: u32, run: u32, min: u32, max: u32, hugePages: u32): u32 {
  const most = mostOf(min, max);
  let start = end - (run < most ? run : most);
  if (hugePages) {
    // If the cut is inside a huge page that lies whole in the run, the huge page is released whole.
    const hugeAbove = (start + hugePages - 1) & -hugePages;
    const hugeBelow = start & -hugePages;
    if (hugeAbove <= end && hugeBelow >= end - run) start = hugeBelow;
  }
  return start | ((end - start) << 16);
}

// `occupied` tests all m-aligned groups of m bits at once for a 1. It is the carry trick that finds a zero byte in a
// word (graphics.stanford.edu/~seander/bithacks.html#ZeroInWord), for groups of any power of two. Adding 0111…1 to the
// low bits of a group carries into its top bit exactly when one of them is set.

/** Returns the mask of the low m - 1 bits of every m-aligned group. m is a power of two, 1 to 64. */
export function lowBits(m: u32): u64 {
  if (m == 1) return 0;
  switch (ctz(m)) {
    case 1: return 0x5555555555555555;
    case 2: return 0x7777777777777777;
    case 3: return 0x7f7f7f7f7f7f7f7f;
    case 4: return 0x7fff7fff7fff7fff;
    case 5: return 0x7fffffff7fffffff;
    default: return 0x7fffffffffffffff;
  }
}

/** Returns all ones, except that the top bit of each all-zero group is 0. `low` is lowBits(m). */
function occupied(x: u64, low: u64): u64 {
  return ((x & low) + low) | x | low;
}

/** Sets all bits of every m-aligned group of m bits that has a bit set. m is a power of two, 1 to 64. */
export function fillAligned(x: u64, m: u32): u64 {
  const low = lowBits(m);
  const tops = occupied(x, low) & ~low;
  // A top bit minus the lowest bit of its group is all the ones below the top bit.
  return tops | (tops - (tops >> (m - 1)));
}
