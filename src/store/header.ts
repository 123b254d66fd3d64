// Writes the header of a new heap's state, and computes how much room the state needs to grow.

import * as layout from "../engine/layout.ts";

/** The parameters that a heap is made with and keeps for life. */
export interface Geometry {
  /** log2 of bytes per page. */
  pageShift: number;
  /** Addresses are below 2 to this power. */
  addrBits: number;
  /** Fewest pages that are released together; a power of two, 1 to 512. */
  minPages: number;
  /** Pages per huge page, a power of two; 0 for no huge pages to keep whole. */
  hugePages: number;
}

/** Returns the size of a state in bytes. A new heap, given by its geometry, has only a header. */
export function bytesOf(state: Int32Array | Geometry): number {
  return state instanceof Int32Array ? state.byteLength : layout.HEADER_BYTES;
}

/** Writes a given state, or that of a new heap, to address `at` in linear memory. */
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
 * Returns how many leaves and higher nodes the tree grows by at most when nchunks chunks, from `chunk` on, are added to
 * a heap. `other` is any chunk that the heap has already, and `top` is the level of its root. Pass `chunk` and -1
 * if the heap is empty.
 */
export function nodesToGrow(
  chunk: number,
  nchunks: number,
  other: number,
  top: number,
): { leaves: number; nodes: number } {
  const last = chunk + nchunks - 1;
  const grown = { leaves: 0, nodes: 0 };
  for (let level = 0; ; level++) {
    const shift = layout.FANOUT_SHIFT * (level + 1);
    const isCommon = !(((chunk ^ other) | (last ^ other)) >>> shift);
    // The node over all of these chunks is there already.
    if (isCommon && level <= top) return grown;
    const count = (last >>> shift) - (chunk >>> shift) + 1;
    // Above the old root, each level may need one more node to link it to the new one.
    if (level) grown.nodes += count + (level > top ? 1 : 0);
    else grown.leaves = count;
    if (isCommon) return grown;
  }
}

/** Returns the bytes of this many leaves and higher nodes. */
export function bytesOfNodes({ leaves, nodes }: { leaves: number; nodes: number }): number {
  return leaves * layout.LEAF_BYTES + nodes * layout.NODE_BYTES;
}
