// Finding room within a chunk: the first run of npages free pages, and the first free page seen on the way.

import { CHUNK_PAGES } from "../src/layout";

/** What a packed result holds where there is nothing. */
const NONE: u32 = 0xffff;

/** Index of the run in bits 0-15 and of the first free page seen in bits 16-31. */
function found(index: u32, searchIdx: u32): u32 {
  return index | (searchIdx << 16);
}

/**
 * The first run of npages (1 to 512) free pages at or after the word that holds searchIdx: its index in bits 0-15, and
 * the first free page seen in bits 16-31; 0xffff for either when there is none.
 */
export function find(bits: usize, npages: u32, searchIdx: u32): u32 {
  if (npages == 1) return find1(bits, searchIdx);
  if (npages <= 64) return findSmallN(bits, npages, searchIdx);
  return findLargeN(bits, npages, searchIdx);
}

/** `find` for one page. */
function find1(bits: usize, searchIdx: u32): u32 {
  for (let i = searchIdx & ~63; i < <u32>CHUNK_PAGES; i += 64) {
    const free = ~load<u64>(bits + (i >> 3));
    if (free) {
      const index = i + <u32>ctz(free);
      return found(index, index);
    }
  }
  return found(NONE, NONE);
}

/** `find` for 2 to 64 pages, which may lie within a word or across two. */
function findSmallN(bits: usize, npages: u32, searchIdx: u32): u32 {
  let first = NONE;
  let run: u32 = 0;
  for (let i = searchIdx & ~63; i < <u32>CHUNK_PAGES; i += 64) {
    const used = load<u64>(bits + (i >> 3));
    if (!~used) {
      run = 0;
      continue;
    }
    if (first == NONE) first = i + <u32>ctz(~used);
    if (run + <u32>ctz(used) >= npages) return found(i - run, first);
    const within = findBitRange64(~used, npages);
    if (within < 64) return found(i + within, first);
    run = <u32>clz(used);
  }
  return found(NONE, first);
}

/** `find` for more than 64 pages, which always cross a word's border. */
function findLargeN(bits: usize, npages: u32, searchIdx: u32): u32 {
  let first = NONE;
  let run: u32 = 0;
  for (let i = searchIdx & ~63; i < <u32>CHUNK_PAGES; i += 64) {
    const used = load<u64>(bits + (i >> 3));
    if (first == NONE && ~used) first = i + <u32>ctz(~used);
    if (run + <u32>ctz(used) >= npages) return found(i - run, first);
    run = used ? <u32>clz(used) : run + 64;
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
