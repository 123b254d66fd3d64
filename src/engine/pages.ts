// Page numbers as chunk and index, runs within a chunk, and the limits of address bits and huge pages.

import * as layout from "./layout.ts";

/** A place in the heap's pages. */
export interface Place {
  readonly chunk: number;
  readonly index: number;
}

/** Splits a page number into chunk and index. */
export function placeOf(page: number): Place {
  const chunk = Math.floor(page / layout.CHUNK_PAGES);
  return { chunk, index: page - chunk * layout.CHUNK_PAGES };
}

/** Returns the fewest bits that addresses of a heap may have: 32, or enough for one chunk. */
export function leastAddrBits(pageShift: number): number {
  return Math.max(32, pageShift + layout.CHUNK_SHIFT);
}

/** Returns the most bits that addresses of a heap may have: 48, or as many as chunk indices allow. */
export function mostAddrBits(pageShift: number): number {
  return Math.min(48, pageShift + layout.CHUNK_SHIFT + layout.CHUNK_INDEX_BITS);
}

/** `[first, count]`: pages within a chunk. */
export type PageRange = readonly [first: number, count: number];

/** Returns the runs of pages [0, n) for which `isSet` holds, with `offset` added to each start. */
export function runsOf(isSet: (i: number) => boolean, n: number, offset = 0): PageRange[] {
  const runs: PageRange[] = [];
  for (let i = 0; i < n; i++) {
    if (!isSet(i)) continue;
    const first = i;
    while (i < n && isSet(i)) i++;
    runs.push([offset + first, i - first]);
  }
  return runs;
}

/** Returns the first page of a chunk from `from` on that has a 1 in `bitsOf`, which gives 32-bit words; 512 if none. */
export function nextPage(bitsOf: (word: number) => number, from: number): number {
  for (let i = from; i < layout.CHUNK_PAGES; i = (i | 31) + 1) {
    const bits = bitsOf(i >>> 5) >>> (i & 31);
    if (bits) return i + 31 - Math.clz32(bits & -bits);
  }
  return layout.CHUNK_PAGES;
}

/**
 * Caps the pages of a huge page. One that is larger than a chunk never lies whole in a chunk, so its exact size does
 * not matter.
 */
export function capHugePages(pagesPerHugePage: number): number {
  return Math.min(pagesPerHugePage, 2 * layout.CHUNK_PAGES);
}
