// Scavenge candidates: runs of pages of a chunk that are both free and unscavenged, in aligned groups of min pages.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { fillGroups, lowBits } from "./fill-aligned.ts";

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
 * The highest candidate below page `ceiling` (1 to 512): its first page in bits 0-15, its length in pages in bits 16-31;
 * 0 when there is none. It is at least min pages, aligned to min, cut from below to max (rounded up to a multiple of
 * min, 0 = min), and then extended downward so as not to break a huge page. min is a power of two, 1 to 64; hugePages is
 * a power of two or 0.
 */
export function findScavengeCandidate(
  { i32 }: Memory,
  data: number,
  ceiling: number,
  min: number,
  max: number,
  hugePages: number,
): number {
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

/** The part to take of the run of `run` pages that ends before page `end`, packed as findScavengeCandidate returns it. */
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
