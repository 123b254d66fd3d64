// Finding room within a chunk: the first run of npages free pages, and the first free page seen on the way.

import * as layout from "../src/engine/layout";

/** What a packed result holds where there is nothing. */
const NONE: u32 = 0xffff;

/** Index of the run in bits 0-15 and of the first free page seen in bits 16-31. */
function found(index: u32, searchIdx: u32): u32 {
  return index | (searchIdx << 16);
}

/**
 * The first run of npages (1 to 512) free pages at or after the word that holds searchIdx: its index in bits 0-15, and
 * the first free page seen in bits 16-31; 0xffff for either when there is none. A run of one page or few may lie within a
 * word or across two; one of many crosses a border of words.
 */
export function find(bits: usize, npages: u32, searchIdx: u32): u32 {
  let first = NONE;
  let run: u32 = 0;
  for (let i = searchIdx & ~63; i < <u32>layout.CHUNK_PAGES; i += 64) {
    const free = ~load<u64>(bits + (i >> 3));
    if (!free) {
      run = 0;
      continue;
    }
    if (first == NONE) first = i + <u32>ctz(free);
    if (run + <u32>ctz(~free) >= npages) return found(i - run, first);
    const within = npages <= 64 ? findBitRange64(free, npages) : 64;
    if (within < 64) return found(i + within, first);
    run = ~free ? <u32>clz(~free) : run + 64;
  }
  return found(NONE, first);
}

/** Index of the first run of n (1 to 64) ones in x; 64 when there is none. Each step doubles what a 1 stands for. */
export function findBitRange64(x: u64, n: u32): u32 {
  let width: u32 = 1;
  while (width << 1 <= n) {
    x &= x >> width;
    width <<= 1;
  }
  return <u32>ctz(x & (x >> (n - width)));
}
