// Pages: by chunk and index, as ranges within a chunk, how far their addresses reach, and huge ones.

import * as layout from "./layout.ts";

/** A place in the heap's pages. */
export interface Place {
  readonly chunk: number;
  readonly index: number;
}

/** A page number as chunk and index. */
export function placeOf(page: number): Place {
  const chunk = Math.floor(page / layout.CHUNK_PAGES);
  return { chunk, index: page - chunk * layout.CHUNK_PAGES };
}

/** Bits that addresses have at the least, for pages of that size: room for a chunk. */
export function leastAddrBits(pageShift: number): number {
  return Math.max(32, pageShift + layout.CHUNK_SHIFT);
}

/** Bits that addresses have at the most, for pages of that size. */
export function mostAddrBits(pageShift: number): number {
  return Math.min(48, pageShift + layout.CHUNK_SHIFT + layout.CHUNK_INDEX_BITS);
}

/** `[first, count]`: pages within a chunk. */
export type PageRange = readonly [first: number, count: number];

/** The runs of n pages for which `isSet` holds, `offset` added to each. */
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

/** Huge pages that are larger than a chunk are never whole in one, whatever their size. */
export function capHugePages(pagesPerHugePage: number): number {
  return Math.min(pagesPerHugePage, 2 * layout.CHUNK_PAGES);
}
