// The header of a heap's state: writing a new one, and what it takes to grow.

import * as layout from "../engine/layout.ts";

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

/** Bytes that a state takes: a given one, or that of a heap without chunks, which is a header. */
export function bytesOf(state: Int32Array | Geometry): number {
  return state instanceof Int32Array ? state.byteLength : layout.HEADER_BYTES;
}

/** Writes a state to an address in linear memory. */
export function writeState(i32: Int32Array, at: number, state: Int32Array | Geometry): void {
  const header = at >>> 2;
  if (state instanceof Int32Array) {
    i32.set(state, header);
    return;
  }
  i32.fill(0, header, header + layout.HEADER_BYTES / 4);
  i32[header + layout.HEADER_MAGIC / 4] = layout.MAGIC;
  i32[header + layout.HEADER_VERSION / 4] = layout.VERSION;
  i32[header + layout.HEADER_USED / 4] = layout.HEADER_BYTES;
  i32[header + layout.HEADER_PAGE_SHIFT / 4] = state.pageShift;
  i32[header + layout.HEADER_ADDR_BITS / 4] = state.addrBits;
  i32[header + layout.HEADER_MIN_PAGES / 4] = state.minPages;
  i32[header + layout.HEADER_HUGE_PAGES / 4] = state.hugePages;
  i32[header + layout.HEADER_SEARCH_CHUNK / 4] = layout.NO_CHUNK;
}

/**
 * The most bytes that the tree grows by when the nchunks chunks from `chunk` on are added to a heap that has the chunk
 * `other`. For an empty heap, `other` is `chunk`.
 */
export function roomToGrow(chunk: number, nchunks: number, other: number): number {
  const last = chunk + nchunks - 1;
  let bytes = 0;
  for (let level = 0; ; level++) {
    const shift = layout.FANOUT_SHIFT * (level + 1);
    const nodes = (last >>> shift) - (chunk >>> shift) + 1;
    // Above the leaves, one more for the way from the old root up to a new one.
    bytes += level ? (nodes + 1) * layout.NODE_BYTES : nodes * layout.LEAF_BYTES;
    if (!(((chunk ^ other) | (last ^ other)) >>> shift)) return bytes;
  }
}
