// Scavenge candidates: runs of pages of a chunk that are both free and unscavenged, in aligned groups of min pages.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { assertRange } from "./assertions.ts";

/** From a word of the alloc bitmap to its neighbour in the scavenged one, in 32-bit words. */
const TO_SCAVENGED = layout.BITMAP_BYTES / 4;

/** A word of each bitmap, or-ed: 0 = free and unscavenged. */
function kept(i32: Int32Array, word: number): number {
  return i32[word] | i32[word + TO_SCAVENGED];
}

/** Whether any min-aligned group of min pages of the chunk is free and unscavenged; min a power of two, 1 to 64. */
export function hasScavengeCandidate(memory: Memory, data: number, min: number): boolean {
  return findScavengeCandidate(memory, data, layout.CHUNK_PAGES, min, min, 0) !== 0;
}

/** A word of `kept`, with the pages `above` added, and its groups filled; `low` is -1 for groups of 64, two words. */
function filledAt(i32: Int32Array, word: number, above: number, low: number, top: number): number {
  const x = kept(i32, word) | above;
  if (low !== -1) return fillGroups(x, low, top);
  return x | kept(i32, word ^ 1) ? -1 : 0;
}

/**
 * The highest candidate below page `ceiling` (1 to 512). Returns its first page in bits 0-15 and its length in bits
 * 16-31; 0 when there is none. It has at least min pages and is aligned to min. A longer run is cut from below to max
 * pages (rounded up to a multiple of min; 0 means min), then extended downward where the cut would break a huge page.
 * min is a power of two, 1 to 64; hugePages is a power of two or 0.
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
  // A group that reaches above the ceiling is out, also when it is two words.
  if (min === 64) ceiling &= -64;
  if (!ceiling) return 0;
  const low = min === 64 ? -1 : lowBits(min);
  const top = min - 1;
  const first = data >>> 2;
  let word = first + ((ceiling - 1) >>> 5);
  let filled = filledAt(i32, word, ~(-1 >>> -ceiling), low, top);
  while (!~filled) {
    if (word === first) return 0;
    filled = filledAt(i32, --word, 0, low, top);
  }

  const above = Math.clz32(~filled);
  const end = (word - first + 1) * 32 - above;
  const below = filled << above;
  let run: number;
  if (below) {
    run = Math.clz32(below);
  } else {
    run = 32 - above;
    while (word !== first) {
      filled = filledAt(i32, --word, 0, low, top);
      run += Math.clz32(filled);
      if (filled) break;
    }
  }
  return cut(end, run, min, max, hugePages);
}

/** Cuts a run of `run` pages, which ends before page `end`. Packed as findScavengeCandidate returns it. */
function cut(end: number, run: number, min: number, max: number, hugePages: number): number {
  let size = run;
  if (max < layout.CHUNK_PAGES) {
    const most = max ? (max + min - 1) & -min : min;
    if (size > most) size = most;
  }
  let start = end - size;
  if (hugePages) {
    const hugeAbove = (start + hugePages - 1) & -hugePages;
    const hugeBelow = start & -hugePages;
    if (hugeAbove <= end && hugeBelow >= end - run) start = hugeBelow;
  }
  return start | ((end - start) << 16);
}

// fillAligned: finding out for all m-aligned groups of m bits at once whether one has a 1. It is the carry trick for
// the zero byte of a word (graphics.stanford.edu/~seander/bithacks.html#ZeroInWord), for groups of any power of two:
// adding 0111…1 to the low bits of a group carries into the group's top bit just when one of them is set. Words have 32
// bits here, but for fillAligned itself, so groups of 64 are two words that are looked at together.

const LOW_BITS = [0, 0x55555555, 0x77777777, 0x7f7f7f7f, 0x7fff7fff, 0x7fffffff];

/** The low m - 1 bits of every m-aligned group of a 32-bit word; m a power of two, 1 to 32. */
export function lowBits(m: number): number {
  return LOW_BITS[31 - Math.clz32(m)];
}

/** All ones but for the top bits of the groups that are all zero, given `low` = lowBits(m). */
export function occupied(x: number, low: number): number {
  return ((x & low) + low) | x | low;
}

/** fillAligned of a 32-bit word for callers that have `low` = lowBits(m) and `top` = m - 1 at hand. */
export function fillGroups(x: number, low: number, top: number): number {
  const tops = occupied(x, low) & ~low;
  return tops | (tops - (tops >>> top));
}

/** Every m-aligned group of m bits of a 64-bit word with any bit set becomes all ones; m a power of two, 1 to 64. */
export function fillAligned(x: bigint, m: number): bigint {
  const top = BigInt(m - 1);
  const lowest = 0xffffffffffffffffn / ((2n << top) - 1n);
  const low = lowest * ((1n << top) - 1n);
  const tops = (((x & low) + low) | x) & (lowest << top);
  return tops | (tops - (tops >> top));
}
