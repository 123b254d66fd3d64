// Scavenge candidates. A candidate is a run of free and unscavenged pages of one chunk, made of whole aligned groups of
// min pages.
//
// assembly/ has a text of its own, as its words have 64 bits.

import { assertRange } from "../both/assertions.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Distance from a word of the alloc bitmap to the same word of the scavenged bitmap, in 32-bit words. */
const TO_SCAVENGED = layout.BITMAP_BYTES / 4;

/** Returns a word of both bitmaps, or-ed: 0 = free and unscavenged. */
function kept(i32: Int32Array, word: number): number {
  return i32[word] | i32[word + TO_SCAVENGED];
}

/**
 * Reports whether any min-aligned group of min pages of the chunk is free and unscavenged. min is a power of two, 1 to
 * 512.
 */
export function hasScavengeCandidate(memory: Memory, data: number, min: number): boolean {
  return findScavengeCandidate(memory, data, layout.CHUNK_PAGES, min, min, 0) !== 0;
}

/**
 * Finds the highest candidate below page `ceiling` (1 to 512). Returns its first page in bits 0-15 and its length in
 * bits 16-31; 0 if there is none. It has at least min pages and is aligned to min. If the run is longer than max pages,
 * only its top max pages count (rounded up to a multiple of min; 0 means min). They are extended downward if the cut
 * would break a huge page. min is a power of two, 1 to 512; hugePages is a power of two or 0.
 */
export function findScavengeCandidate(
  { i32 }: Memory,
  data: number,
  ceiling: number,
  min: number,
  max: number,
  hugePages: number,
): number {
  if (PALLOC_DEBUG) {
    assertRange(0, ceiling);
    assertRange(0, min);
  }
  if (min > 32) return findInWords(i32, data, ceiling, min, max, hugePages);
  const low = lowBits(min);
  // The top page of a group stands for the group. It is 1 if any page of the group is occupied.
  const tops = ~low;
  const first = data >>> 2;
  let word = first + ((ceiling - 1) >>> 5);
  // Pages from the ceiling up count as occupied. The shift is modulo 32, so it leaves the low `ceiling` % 32 ones, or
  // all.
  let taken = occupied(kept(i32, word) | ~(-1 >>> -ceiling), low) & tops;
  while (taken === tops) {
    if (word === first) return 0;
    taken = occupied(kept(i32, --word), low) & tops;
  }

  // The top of the run is the highest group that is not taken. If none is taken below it in this word, the run goes on
  // in the words below.
  const above = Math.clz32(taken ^ tops);
  const end = (word - first + 1) * 32 - above;
  const below = taken << above;
  let run: number;
  if (below) {
    run = Math.clz32(below);
  } else {
    // What lies further below the top of the run does not matter to `cut`.
    const enough = mostOf(min, max) + hugePages;
    run = 32 - above;
    while (word !== first && run < enough) {
      taken = occupied(kept(i32, --word), low) & tops;
      run += Math.clz32(taken);
      if (taken) break;
    }
  }
  return cut(end, run, min, max, hugePages);
}

/** Does the same for groups of whole words. A group that reaches above the ceiling does not count. */
function findInWords(
  i32: Int32Array,
  data: number,
  ceiling: number,
  min: number,
  max: number,
  hugePages: number,
): number {
  let end = ceiling & -min;
  while (end && !isFree(i32, data, end - min, end)) end -= min;
  if (!end) return 0;
  let start = end - min;
  while (start && isFree(i32, data, start - min, start)) start -= min;
  return cut(end, end - start, min, max, hugePages);
}

/** Reports whether the pages [start, end), which are whole words, are all free and unscavenged. */
function isFree(i32: Int32Array, data: number, start: number, end: number): boolean {
  const first = data >>> 2;
  for (let word = first + (start >>> 5); word < first + (end >>> 5); word++)
    if (kept(i32, word)) return false;
  return true;
}

/** Returns the most pages of a run that count. Rounded up, since only whole groups of min pages can be released. */
function mostOf(min: number, max: number): number {
  return max < layout.CHUNK_PAGES ? (max ? (max + min - 1) & -min : min) : layout.CHUNK_PAGES;
}

/** Cuts a run of `run` pages that ends before page `end`. Returns it packed as findScavengeCandidate does. */
function cut(end: number, run: number, min: number, max: number, hugePages: number): number {
  let start = end - Math.min(run, mostOf(min, max));
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
// low bits of a group carries into its top bit exactly when one of them is set. All functions but fillAligned itself
// work on 32-bit words.

const LOW_BITS = [0, 0x55555555, 0x77777777, 0x7f7f7f7f, 0x7fff7fff, 0x7fffffff];

/** Returns the mask of the low m - 1 bits of every m-aligned group of a 32-bit word. m is a power of two, 1 to 32. */
export function lowBits(m: number): number {
  return LOW_BITS[31 - Math.clz32(m)];
}

/** Returns all ones, except that the top bit of each all-zero group is 0. `low` is lowBits(m). */
function occupied(x: number, low: number): number {
  return ((x & low) + low) | x | low;
}

/**
 * Sets all bits of every m-aligned group of m bits of a 64-bit word that has a bit set. m is a power of two, 1 to 64.
 */
export function fillAligned(x: bigint, m: number): bigint {
  const top = BigInt(m - 1);
  const lowest = 0xffffffffffffffffn / ((2n << top) - 1n);
  const low = lowest * ((1n << top) - 1n);
  const tops = (((x & low) + low) | x) & (lowest << top);
  // A top bit minus the lowest bit of its group is all the ones below the top bit.
  return tops | (tops - (tops >> top));
}
