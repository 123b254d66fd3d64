// PageBits: one bitmap of 512 pages as eight 64-bit words, and operations on ranges of its bits. A range is at least
// one page long and lies within the bitmap. It covers part of a first word, then whole words, then part of a last word.
// First and last may be the same word.
//
// The twin has a text of its own, as its words have 32 bits.

import { assertRange } from "../build/both/assertions";
import * as layout from "../src/engine/layout";
import { lowBits } from "./candidate";

/** Returns the mask for the first word of a range from page `i` on. Shifts use only the low 6 bits of `i`. */
// @ts-ignore: decorator
@inline
function headMask(i: u32): u64 {
  return ~(<u64>0) << i;
}

/** Returns the mask for the last word of a range that ends with page `last`. */
// @ts-ignore: decorator
@inline
function tailMask(last: u32): u64 {
  return ~(<u64>0) >> (63 - (last & 63));
}

/** Returns the address of the word that holds page `i`. */
// @ts-ignore: decorator
@inline
function wordOf(bits: usize, i: u32): usize {
  return bits + ((i >> 6) << 3);
}

/** Returns the first page of the word at an address. */
// @ts-ignore: decorator
@inline
function indexOf(bits: usize, word: usize): u32 {
  return <u32>((word - bits) << 3);
}

/** Sets the bits of pages [i, i + n). */
export function setRange(bits: usize, i: u32, n: u32): void {
  setBits(bits, i, n);
}

/** Does the same inline, for functions that may not call. */
// @ts-ignore: decorator
@inline
export function setBits(bits: usize, i: u32, n: u32): void {
  if (PALLOC_DEBUG) assertRange(i, n);
  const last = i + n - 1;
  let word = wordOf(bits, i);
  const end = wordOf(bits, last);
  if (word == end) {
    store<u64>(word, load<u64>(word) | (headMask(i) & tailMask(last)));
    return;
  }
  store<u64>(word, load<u64>(word) | headMask(i));
  while ((word += 8) < end) store<u64>(word, ~(<u64>0));
  store<u64>(end, load<u64>(end) | tailMask(last));
}

/** Clears the bits of pages [i, i + n). */
export function clearRange(bits: usize, i: u32, n: u32): void {
  clearBits(bits, i, n);
}

/** Does the same inline, for functions that may not call. */
// @ts-ignore: decorator
@inline
export function clearBits(bits: usize, i: u32, n: u32): void {
  if (PALLOC_DEBUG) assertRange(i, n);
  const last = i + n - 1;
  let word = wordOf(bits, i);
  const end = wordOf(bits, last);
  if (word == end) {
    store<u64>(word, load<u64>(word) & ~(headMask(i) & tailMask(last)));
    return;
  }
  store<u64>(word, load<u64>(word) & ~headMask(i));
  while ((word += 8) < end) store<u64>(word, 0);
  store<u64>(end, load<u64>(end) & ~tailMask(last));
}

/** Counts the set bits of pages [i, i + n). */
export function popcntRange(bits: usize, i: u32, n: u32): u32 {
  return countBits(bits, i, n);
}

/** Does the same inline. */
// @ts-ignore: decorator
@inline
export function countBits(bits: usize, i: u32, n: u32): u32 {
  if (PALLOC_DEBUG) assertRange(i, n);
  const last = i + n - 1;
  let word = wordOf(bits, i);
  const end = wordOf(bits, last);
  let head = headMask(i);
  let count: u64 = 0;
  while (word < end) {
    count += popcnt(load<u64>(word) & head);
    head = -1;
    word += 8;
  }
  return <u32>(count + popcnt(load<u64>(end) & head & tailMask(last)));
}

/** Counts the free pages just below page `i`, down to the first page in use. */
export function freeBelow(bits: usize, i: u32): u32 {
  return countFreeBelow(bits, i);
}

/** Does the same inline, for functions that may not call. */
// @ts-ignore: decorator
@inline
export function countFreeBelow(bits: usize, i: u32): u32 {
  for (let end = i; end; end = (end - 1) & ~63) {
    const used = load<u64>(wordOf(bits, end - 1)) << (63 - ((end - 1) & 63));
    if (used) return i - end + <u32>clz(used);
  }
  return i;
}

/** Counts the free pages from page `i` upward, up to the first page in use. `i` may be 512, the end of the chunk. */
export function freeAbove(bits: usize, i: u32): u32 {
  return countFreeAbove(bits, i);
}

/** Does the same inline, for functions that may not call. */
// @ts-ignore: decorator
@inline
export function countFreeAbove(bits: usize, i: u32): u32 {
  for (let first = i; first < <u32>layout.CHUNK_PAGES; first = (first | 63) + 1) {
    const used = load<u64>(wordOf(bits, first)) >> (first & 63);
    if (used) return first - i + <u32>ctz(used);
  }
  return layout.CHUNK_PAGES - i;
}

/** Reports whether all pages are in use. */
// @ts-ignore: decorator
@inline
export function isFull(bits: usize): bool {
  const lower = load<u64>(bits) & load<u64>(bits, 8) & load<u64>(bits, 16) & load<u64>(bits, 24);
  return (lower & load<u64>(bits, 32) & load<u64>(bits, 40) & load<u64>(bits, 48) & load<u64>(bits, 56)) == -1;
}

/** Stands for "none" in a result. */
export const NONE: u32 = 0xffff;

/** Packs the index of a run into bits 0-15, and that of the first free page seen into bits 16-31. */
function found(index: u32, searchIdx: u32): u32 {
  return index | (searchIdx << 16);
}

/**
 * Finds the first run of npages (1 to 512) free pages at or after the word that holds searchIdx. Returns its index in
 * bits 0-15, and the index of the first free page seen in bits 16-31. Either is 0xffff if there is none.
 */
export function find(bits: usize, npages: u32, searchIdx: u32): u32 {
  return findRun(bits, npages, searchIdx);
}

/** Does the same inline, if the first run of the first word is long enough. */
// @ts-ignore: decorator
@inline
export function findRun(bits: usize, npages: u32, searchIdx: u32): u32 {
  if (PALLOC_DEBUG) assertRange(searchIdx & ~63, 64);
  if (PALLOC_DEBUG) assertRange(0, npages);
  const free = ~load<u64>(wordOf(bits, searchIdx));
  const first = <u32>ctz(free);
  // Zeros come in at the top, so a run ends with its word.
  if (free && <u32>ctz(~(free >> first)) >= npages) {
    const index = (searchIdx & ~63) + first;
    return found(index, index);
  }
  return findAnywhere(bits, npages, searchIdx);
}

/** Does what `find` does, wherever the run is. */
function findAnywhere(bits: usize, npages: u32, searchIdx: u32): u32 {
  const end = bits + layout.BITMAP_BYTES;
  let word = wordOf(bits, searchIdx);
  while (load<u64>(word) == -1) if ((word += 8) == end) return found(NONE, NONE);
  const first = indexOf(bits, word) + <u32>ctz(~load<u64>(word));
  let run: u32 = 0;
  if (npages > 64) {
    // Such a run reaches in from the words below.
    do {
      const used = load<u64>(word);
      if (run + <u32>ctz(used) >= npages) return found(indexOf(bits, word) - run, first);
      run = used ? <u32>clz(used) : run + 64;
      word += 8;
    } while (word < end);
    return found(NONE, first);
  }
  do {
    const used = load<u64>(word);
    // A run that reaches in from the words below is lower than any run within this word, so it is tested first.
    if (run + <u32>ctz(used) >= npages) return found(indexOf(bits, word) - run, first);
    if (<u32>popcnt(~used) >= npages) {
      const within = findBitRange64(~used, npages);
      if (within < 64) return found(indexOf(bits, word) + within, first);
    }
    run = <u32>clz(used);
    word += 8;
    while (word < end && load<u64>(word) == -1) {
      run = 0;
      word += 8;
    }
  } while (word < end);
  return found(NONE, first);
}

/**
 * Finds the first run of npages (1 to 512) free pages that starts at a multiple of align, a power of two from 1 to 512.
 * Returns its index; NONE if there is none.
 */
export function findAligned(bits: usize, npages: u32, align: u32): u32 {
  if (PALLOC_DEBUG) assertRange(0, npages);
  // The aligned pages of a word that is itself aligned. lowBits leaves out the top bit of each group. Rotated by one,
  // these are the lowest bits.
  const starts = rotl(~lowBits(min(align, 64)), 1);
  let run: u32 = 0;
  for (let i: u32 = 0; i < <u32>layout.CHUNK_PAGES; i += 64) {
    const free = ~load<u64>(bits + (i >> 3));
    // As in `find`, the run that reaches in comes first. It starts at page i - run.
    const first = (i - run + align - 1) & -align;
    if (first + npages <= i + <u32>ctz(~free)) return first;
    if (npages <= 64 && !(i & (align - 1))) {
      const runs = shrink(free, npages) & starts;
      if (runs) return i + <u32>ctz(runs);
    }
    run = ~free ? <u32>clz(~free) : run + 64;
  }
  return NONE;
}

/** Returns the index of the first run of n (1 to 64) ones in x; 64 if there is none. */
export function findBitRange64(x: u64, n: u32): u32 {
  return <u32>ctz(shrink(x, n));
}

/**
 * Returns a word with a 1 wherever a run of n (1 to 64) ones starts in x. Each step doubles the run that a 1 stands
 * for, and the last one adds what is missing to n.
 */
function shrink(x: u64, n: u32): u64 {
  let width: u32 = 1;
  while (width << 1 <= n) {
    x &= x >> width;
    width <<= 1;
  }
  return x & (x >> (n - width));
}

/** Reports whether any page of a range within a chunk is a hole. */
export function hasHole(data: usize, first: u32, npages: u32): bool {
  const end = first + npages;
  for (let index = first; index < end; ) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    if (load<u64>(word) & load<u64>(word, layout.DATA_SCAVENGED) & ((~(<u64>0) >> (64 - n)) << index)) return true;
    index += n;
  }
  return false;
}

/** Counts the free and unscavenged pages of a range within a chunk. */
export function countUnscavenged(data: usize, first: u32, npages: u32): u32 {
  const end = first + npages;
  let unscavenged: u32 = 0;
  for (let index = first; index < end; ) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    const range = (~(<u64>0) >> (64 - n)) << index;
    unscavenged += <u32>popcnt(range & ~(load<u64>(word) | load<u64>(word, layout.DATA_SCAVENGED)));
    index += n;
  }
  return unscavenged;
}

/** Sets bytes of memory to a value. */
// @ts-ignore: decorator
@inline
export function fillBytes(at: usize, value: u8, nbytes: usize): void {
  memory.fill(at, value, nbytes);
}
