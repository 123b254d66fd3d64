// Finding room within a chunk: the first run of npages free pages, and the first free page seen on the way.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { ctz, wordOf } from "./bits.ts";

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
