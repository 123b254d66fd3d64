// Places in a heap: pages by chunk and index, and how far addresses reach.

import { CHUNK_INDEX_BITS, CHUNK_PAGES, CHUNK_SHIFT } from "./layout.ts";

/** A place in the heap's pages. */
export interface Place {
  readonly chunk: number;
  readonly index: number;
}

/** A page number as chunk and index. */
export function placeOf(page: number): Place {
  const chunk = Math.floor(page / CHUNK_PAGES);
  return { chunk, index: page - chunk * CHUNK_PAGES };
}

/** Bits that addresses have at the least, for pages of that size: room for a chunk. */
export function leastAddrBits(pageShift: number): number {
  return Math.max(32, pageShift + CHUNK_SHIFT);
}

/** Bits that addresses have at the most, for pages of that size. */
export function mostAddrBits(pageShift: number): number {
  return Math.min(48, pageShift + CHUNK_SHIFT + CHUNK_INDEX_BITS);
}
