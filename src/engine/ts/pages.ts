// Page numbers. They do not fit in 32 bits. Between functions both engines have them as f64.
//
// assembly/ has a text of its own, with integers of 64 bits, as a division takes longer.

import * as layout from "../layout.ts";

/** Returns the page number of a page of a chunk. */
export function pageOf(chunk: number, index: number): number {
  return chunk * layout.CHUNK_PAGES + index;
}

/** Returns the chunk of a page. */
export function chunkOf(page: number): number {
  return Math.floor(page / layout.CHUNK_PAGES);
}

/** Returns the index of a page in its chunk. */
export function indexIn(chunk: number, page: number): number {
  return page - chunk * layout.CHUNK_PAGES;
}

/** Returns the lowest multiple of align pages, a power of two, at or above a page. */
export function alignUp(page: number, align: number): number {
  return Math.ceil(page / align) * align;
}

/** Reports whether npages pages from `index` on lie in one chunk. */
export function isWithin(index: number, npages: number): boolean {
  return npages <= layout.CHUNK_PAGES - index;
}
