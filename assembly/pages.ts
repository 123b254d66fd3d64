// Page numbers. They do not fit in 32 bits. Between functions both engines have them as f64.
//
// The twin has a text of its own, as it has no integers of 64 bits.

import * as layout from "../src/engine/layout";

/** Returns the page number of a page of a chunk. */
// @ts-ignore: decorator
@inline
export function pageOf(chunk: u32, index: u32): f64 {
  return <f64>(((<i64>chunk) << layout.CHUNK_SHIFT) + index);
}

/** Returns the chunk of a page. */
// @ts-ignore: decorator
@inline
export function chunkOf(page: f64): u32 {
  return <u32>(<i64>page >> layout.CHUNK_SHIFT);
}

/** Returns the index of a page in its chunk. */
// @ts-ignore: decorator
@inline
export function indexIn(chunk: u32, page: f64): u32 {
  return <u32>(<i64>page) - (chunk << layout.CHUNK_SHIFT);
}

/** Returns the lowest multiple of align pages, a power of two, at or above a page. */
// @ts-ignore: decorator
@inline
export function alignUp(page: f64, align: u32): f64 {
  return <f64>((<i64>page + (align - 1)) & -(<i64>align));
}

/** Reports whether npages pages from `index` on lie in one chunk. */
// @ts-ignore: decorator
@inline
export function isWithin(index: u32, npages: u32): bool {
  return npages <= <u32>layout.CHUNK_PAGES - index;
}
