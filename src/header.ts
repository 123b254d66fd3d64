// The header of a heap's state: writing a new one, and what it takes to grow.

import {
  FANOUT_SHIFT,
  HEADER_ADDR_BITS,
  HEADER_BYTES,
  HEADER_HUGE_PAGES,
  HEADER_MAGIC,
  HEADER_MIN_PAGES,
  HEADER_PAGE_SHIFT,
  HEADER_SEARCH_CHUNK,
  HEADER_USED,
  HEADER_VERSION,
  LEAF_BYTES,
  MAGIC,
  NO_CHUNK,
  NODE_BYTES,
  VERSION,
} from "./layout.ts";

/** What a heap is made with and keeps. */
export interface Geometry {
  /** log2 of bytes per page. */
  pageShift: number;
  /** Addresses are below 2 to this power. */
  addrBits: number;
  /** Pages that are released together at the least; a power of two, 1 to 64. */
  minPages: number;
  /** Pages per huge page, a power of two, or 0 when there are none to keep whole. */
  hugePages: number;
}

/** The state of a heap without chunks: a header. */
export function newHeader(geometry: Geometry): Int32Array {
  const state = new Int32Array(HEADER_BYTES / 4);
  const set = (field: number, value: number) => {
    state[field >>> 2] = value;
  };
  set(HEADER_MAGIC, MAGIC);
  set(HEADER_VERSION, VERSION);
  set(HEADER_USED, HEADER_BYTES);
  set(HEADER_PAGE_SHIFT, geometry.pageShift);
  set(HEADER_ADDR_BITS, geometry.addrBits);
  set(HEADER_MIN_PAGES, geometry.minPages);
  set(HEADER_HUGE_PAGES, geometry.hugePages);
  set(HEADER_SEARCH_CHUNK, NO_CHUNK);
  return state;
}

/**
 * Bytes that the tree takes more, at the most, once the nchunks chunks from `chunk` on are added to a heap that has the
 * chunk `other`; give `chunk` again for a heap that has none.
 */
export function roomToGrow(chunk: number, nchunks: number, other: number): number {
  const last = chunk + nchunks - 1;
  let bytes = 0;
  for (let level = 0; ; level++) {
    const shift = FANOUT_SHIFT * (level + 1);
    const nodes = (last >>> shift) - (chunk >>> shift) + 1;
    // Above the leaves, one more for the way from the old root up to a new one.
    bytes += level ? (nodes + 1) * NODE_BYTES : nodes * LEAF_BYTES;
    if (!(((chunk ^ other) | (last ^ other)) >>> shift)) return bytes;
  }
}
