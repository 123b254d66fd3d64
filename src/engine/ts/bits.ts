// PageBits: one bitmap of 512 pages as sixteen 32-bit words, and operations on ranges of its bits. A range is at least
// one page long and lies within the bitmap. It covers part of a first word, then whole words, then part of a last word.
// First and last may be the same word.
//
// assembly/ has a text of its own, as its words have 64 bits.

import { assertRange } from "../both/assertions.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { lowBits } from "./candidate.ts";

/** Returns the mask for the first word of a range from page `i` on. Shifts use only the low 5 bits of `i`. */
function headMask(i: number): number {
  return -1 << i;
}

/** Returns the mask for the last word of a range that ends with page `last`. */
function tailMask(last: number): number {
  return -1 >>> (31 - (last & 31));
}

/** Returns the index in memory.i32 of the word that holds page `i`. */
export function wordOf(bits: number, i: number): number {
  return (bits >>> 2) + (i >>> 5);
}

/** Counts the set bits of a 32-bit word. Sums within pairs, then nibbles, then bytes, all of them at once. */
export function popcnt(x: number): number {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Counts the zeros below the lowest 1 of a 32-bit word; 32 if there is no 1. */
export function ctz(x: number): number {
  return x ? 31 - Math.clz32(x & -x) : 32;
}

/** Sets the bits of pages [i, i + n). */
export function setRange({ i32 }: Memory, bits: number, i: number, n: number): void {
  if (PALLOC_DEBUG) assertRange(i, n);
  const last = i + n - 1;
  let word = wordOf(bits, i);
  const end = wordOf(bits, last);
  if (word === end) {
    i32[word] |= headMask(i) & tailMask(last);
    return;
  }
  i32[word] |= headMask(i);
  while (++word < end) i32[word] = -1;
  i32[end] |= tailMask(last);
}

/** Clears the bits of pages [i, i + n). */
export function clearRange({ i32 }: Memory, bits: number, i: number, n: number): void {
  if (PALLOC_DEBUG) assertRange(i, n);
  const last = i + n - 1;
  let word = wordOf(bits, i);
  const end = wordOf(bits, last);
  if (word === end) {
    i32[word] &= ~(headMask(i) & tailMask(last));
    return;
  }
  i32[word] &= ~headMask(i);
  while (++word < end) i32[word] = 0;
  i32[end] &= ~tailMask(last);
}

/** Counts the set bits of pages [i, i + n). */
export function popcntRange({ i32 }: Memory, bits: number, i: number, n: number): number {
  if (PALLOC_DEBUG) assertRange(i, n);
  const last = i + n - 1;
  let word = wordOf(bits, i);
  const end = wordOf(bits, last);
  if (word === end) return popcnt(i32[word] & headMask(i) & tailMask(last));
  let count = popcnt(i32[word] & headMask(i));
  while (++word < end) if (i32[word]) count += popcnt(i32[word]);
  return count + popcnt(i32[end] & tailMask(last));
}

/** Counts the free pages just below page `i`, down to the first page in use. */
export function freeBelow({ i32 }: Memory, bits: number, i: number): number {
  for (let end = i; end; end = (end - 1) & ~31) {
    const used = i32[wordOf(bits, end - 1)] << (31 - ((end - 1) & 31));
    if (used) return i - end + Math.clz32(used);
  }
  return i;
}

/** Counts the free pages from page `i` upward, up to the first page in use. `i` may be 512, the end of the chunk. */
export function freeAbove({ i32 }: Memory, bits: number, i: number): number {
  for (let first = i; first < layout.CHUNK_PAGES; first = (first | 31) + 1) {
    const used = i32[wordOf(bits, first)] >>> (first & 31);
    if (used) return first - i + ctz(used);
  }
  return layout.CHUNK_PAGES - i;
}

/** Reports whether all pages are in use. */
export function isFull({ i32 }: Memory, bits: number): boolean {
  let all = -1;
  for (let word = bits >>> 2; word < (bits + layout.BITMAP_BYTES) >>> 2; word++) all &= i32[word];
  return all === -1;
}

/** Stands for "none" in a result. */
export const NONE = 0xffff;

/** Packs the index of a run into bits 0-15, and that of the first free page seen into bits 16-31. */
function found(index: number, searchIdx: number): number {
  return index | (searchIdx << 16);
}

/**
 * Finds the first run of npages (1 to 512) free pages at or after the 64-bit word that holds searchIdx. Returns its
 * index in bits 0-15, and the index of the first free page seen in bits 16-31. Either is 0xffff if there is none.
 */
export function find({ i32 }: Memory, bits: number, npages: number, searchIdx: number): number {
  if (PALLOC_DEBUG) {
    assertRange(searchIdx & ~63, 64);
    assertRange(0, npages);
  }
  let first = NONE;
  let run = 0;
  for (let i = searchIdx & ~63; i < layout.CHUNK_PAGES; i += 32) {
    const free = ~i32[wordOf(bits, i)];
    if (!free) {
      run = 0;
      continue;
    }
    if (first === NONE) first = i + ctz(free);
    // A run that reaches in from the words below is lower than any run within this word, so it is tested first.
    if (run + ctz(~free) >= npages) return found(i - run, first);
    // A run of more than 32 pages must cross a word boundary, so the test above finds it.
    const runs = npages <= 32 ? shrink(free, npages) : 0;
    if (runs) return found(i + ctz(runs), first);
    run = ~free ? Math.clz32(~free) : run + 32;
  }
  return found(NONE, first);
}

/**
 * Finds the first run of npages (1 to 512) free pages that starts at a multiple of align, a power of two from 1 to 512.
 * Returns its index; NONE if there is none.
 */
export function findAligned({ i32 }: Memory, bits: number, npages: number, align: number): number {
  if (PALLOC_DEBUG) assertRange(0, npages);
  // The aligned pages of a word that is itself aligned. lowBits leaves out the top bit of each group. Rotated by one,
  // these are the lowest bits.
  const tops = ~lowBits(Math.min(align, 32));
  const starts = (tops << 1) | (tops >>> 31);
  let run = 0;
  for (let i = 0; i < layout.CHUNK_PAGES; i += 32) {
    const free = ~i32[wordOf(bits, i)];
    // As in `find`, the run that reaches in comes first. It starts at page i - run.
    const first = (i - run + align - 1) & -align;
    if (first + npages <= i + ctz(~free)) return first;
    if (npages <= 32 && !(i & (align - 1))) {
      const runs = shrink(free, npages) & starts;
      if (runs) return i + ctz(runs);
    }
    run = ~free ? Math.clz32(~free) : run + 32;
  }
  return NONE;
}

/**
 * Returns a word with a 1 wherever a run of n (1 to 32) ones starts in x. Each step doubles the run that a 1 stands
 * for.
 */
function shrink(x: number, n: number): number {
  let width = 1;
  while (width << 1 <= n) {
    x &= x >>> width;
    width <<= 1;
  }
  return x & (x >>> (n - width));
}

/**
 * Returns the index of the first run of n (1 to 64) ones in the 64-bit word with these halves; 64 if there is none. A 1
 * stands for a run of `width` ones that starts there. Each step doubles `width`, and the last one adds what is missing
 * to n.
 */
export function findBitRange64(xLower: number, xUpper: number, n: number): number {
  let lower = xLower;
  let upper = xUpper;
  let width = 1;
  while (width < n) {
    const step = Math.min(width, n - width);
    if (step === 32) {
      lower &= upper;
      upper = 0;
    } else {
      lower &= (lower >>> step) | (upper << (32 - step));
      upper &= upper >>> step;
    }
    width += step;
  }
  return lower ? ctz(lower) : 32 + ctz(upper);
}

/** Reports whether any page of a range within a chunk is a hole. */
export function hasHole({ i32 }: Memory, data: number, first: number, npages: number): boolean {
  const end = first + npages;
  for (let index = first; index < end; ) {
    const word = (data >>> 2) + (index >>> 5);
    const n = Math.min(32 - (index & 31), end - index);
    if (i32[word] & i32[word + layout.DATA_SCAVENGED / 4] & ((-1 >>> (32 - n)) << index)) return true;
    index += n;
  }
  return false;
}

/** Counts the free and unscavenged pages of a range within a chunk. */
export function countUnscavenged({ i32 }: Memory, data: number, first: number, npages: number): number {
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

/** Sets bytes of memory to a value. */
export function fillBytes({ u8 }: Memory, at: number, value: number, nbytes: number): void {
  u8.fill(value, at, at + nbytes);
}

/** Variants that the engine in WebAssembly has inlined. The compiler of JavaScript inlines by itself. */
export { find as findRun, popcntRange as countBits };
