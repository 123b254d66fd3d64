// PageBits: one bitmap of 512 pages as sixteen 32-bit words, and what is done to a range of its bits. A range is at
// least one page long and lies within the bitmap; it touches a first word, whole words, and a last word.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { assertRange } from "./assertions.ts";

/** Bits of the first word of a range from page `i` on. */
function headMask(i: number): number {
  return -1 << i;
}

/** Bits of the last word of a range whose last page is `last`. */
function tailMask(last: number): number {
  return -1 >>> (31 - (last & 31));
}

/** Index in memory.i32 of the word that holds page `i`. */
export function wordOf(bits: number, i: number): number {
  return (bits >>> 2) + (i >>> 5);
}

/** How many bits of a 32-bit word are set: pairs, nibbles, then bytes are summed side by side. */
export function popcnt(x: number): number {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Zeros below the lowest 1 of a 32-bit word; 32 when there is none. */
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

/** How many of the bits of pages [i, i + n) are set. */
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

/** How many pages just below page `i` have no bit set. */
export function freeBelow({ i32 }: Memory, bits: number, i: number): number {
  for (let end = i; end; end = (end - 1) & ~31) {
    const used = i32[wordOf(bits, end - 1)] << (31 - ((end - 1) & 31));
    if (used) return i - end + Math.clz32(used);
  }
  return i;
}

/** How many pages from page `i` on, which may be the end, have no bit set. */
export function freeAbove({ i32 }: Memory, bits: number, i: number): number {
  for (let first = i; first < layout.CHUNK_PAGES; first = (first | 31) + 1) {
    const used = i32[wordOf(bits, first)] >>> (first & 31);
    if (used) return first - i + ctz(used);
  }
  return layout.CHUNK_PAGES - i;
}

/** What a packed result holds where there is nothing. */
const NONE = 0xffff;

/** Index of the run in bits 0-15 and of the first free page seen in bits 16-31. */
function found(index: number, searchIdx: number): number {
  return index | (searchIdx << 16);
}

/**
 * The first run of npages (1 to 512) free pages at or after the 64-bit word that holds searchIdx: its index in bits
 * 0-15, and the first free page seen in bits 16-31; 0xffff for either when there is none. A run of one page or few may
 * lie within a word or across two; one of many crosses a border of words.
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
    if (run + ctz(~free) >= npages) return found(i - run, first);
    const runs = npages <= 32 ? shrink(free, npages) : 0;
    if (runs) return found(i + ctz(runs), first);
    run = ~free ? Math.clz32(~free) : run + 32;
  }
  return found(NONE, first);
}

/** A 1 for each run of n (1 to 32) ones that starts there. Each step doubles what a 1 stands for. */
function shrink(x: number, n: number): number {
  let width = 1;
  while (width << 1 <= n) {
    x &= x >>> width;
    width <<= 1;
  }
  return x & (x >>> (n - width));
}

/** Index of the first run of n (1 to 64) ones in the word of two halves; 64 when there is none. */
export function findBitRange64(lower: number, upper: number, n: number): number {
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
