// The header of a heap's state: writing a new one, and what it takes to grow.

import {
  FANOUT_SHIFT,
  HEADER_ADDR_BITS,
  HEADER_BYTES,
  HEADER_CHUNKS,
  HEADER_HUGE_PAGES,
  HEADER_MAGIC,
  HEADER_MIN_PAGES,
  HEADER_PAGE_SHIFT,
  HEADER_ROOT,
  HEADER_SEARCH_CHUNK,
  HEADER_START,
  HEADER_USED,
  HEADER_VERSION,
  LEAF_BYTES,
  LEVEL_SHIFT,
  MAGIC,
  NO_CHUNK,
  NODE_BYTES,
  NODE_SHAPE,
  VERSION,
} from "./layout.ts";
import type { Memory } from "./memory.ts";

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

/** Bytes that the tree may take more, at the most, once the nchunks chunks from `chunk` on are added. */
export function roomToGrow({ i32 }: Memory, heap: number, chunk: number, nchunks: number): number {
  const get = (field: number) => i32[(heap + field) >>> 2];
  const last = chunk + nchunks - 1;
  // Any chunk of the heap will do to tell how high the root must be.
  const other = get(HEADER_CHUNKS) ? get(HEADER_START) : chunk;
  const rootLevel = get(HEADER_ROOT) && i32[(heap + get(HEADER_ROOT) + NODE_SHAPE) >>> 2] >>> LEVEL_SHIFT;
  let bytes = 0;
  for (let level = 0, shift = FANOUT_SHIFT; ; level++, shift += FANOUT_SHIFT) {
    bytes += ((last >>> shift) - (chunk >>> shift) + 1) * (level ? NODE_BYTES : LEAF_BYTES);
    // The way from the old root up to the new one.
    if (level > rootLevel) bytes += NODE_BYTES;
    if (level >= rootLevel && !(((chunk ^ other) | (last ^ other)) >>> shift)) return bytes;
  }
}
