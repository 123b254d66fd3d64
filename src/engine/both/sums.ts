// The summaries of chunks, packed, and of the parts of nodes, and where nodes have them.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import type { bool, u32, usize } from "../ts/builtins.ts";

/** Packs three counts of 0 to 512 pages. */
// @inline
export function pack(start: u32, max: u32, end: u32): u32 {
  return start | (max << layout.SUM_BITS) | (end << (2 * layout.SUM_BITS));
}

/** Returns the free pages at the start, from a packed summary. */
// @inline
export function startOf(sum: u32): u32 {
  return sum & layout.SUM_MASK;
}

/** Returns the longest run of free pages, from a packed summary. */
// @inline
export function maxOf(sum: u32): u32 {
  return (sum >>> layout.SUM_BITS) & layout.SUM_MASK;
}

/** Returns the free pages at the end, from a packed summary. */
// @inline
export function endOf(sum: u32): u32 {
  return sum >>> (2 * layout.SUM_BITS);
}

/**
 * Stands for a span that does not fit in 32 bits. A heap has fewer than 2^31 pages, so a part this large is never all
 * free.
 */
const ENDLESS: u32 = 0xffffffff;

/** Returns the number of pages in one part of a node of `level`. */
// @inline
export function spanOf(level: u32): u32 {
  return level < 8 ? 1 << (layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * level) : ENDLESS;
}

/** Returns the address of the bitmaps of a chunk of the leaf. */
// @inline
export function dataOf(leaf: usize, chunk: u32): usize {
  return leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES;
}

/** Returns the packed summary of a chunk of the leaf. */
// @inline
export function sumOf(memory: Memory, leaf: usize, chunk: u32): u32 {
  const { i32 } = memory;
  const slot = chunk & (layout.FANOUT - 1);
  return i32[((leaf + layout.LEAF_SUMS) >>> 2) + slot];
}

/** Writes the packed summary of chunk `slot` of `leaf`. Returns whether it changed. */
export function setChunkSummary(memory: Memory, leaf: usize, slot: u32, sum: u32): bool {
  const { i32 } = memory;
  if (i32[((leaf + layout.LEAF_SUMS) >>> 2) + slot] === sum) return false;
  i32[((leaf + layout.LEAF_SUMS) >>> 2) + slot] = sum;
  return true;
}

/** Returns the free pages at the start of part `slot` of a node. */
// @inline
export function partStart(memory: Memory, node: usize, level: u32, slot: u32): u32 {
  const { i32 } = memory;
  const start = i32[((node + layout.NODE_START) >>> 2) + slot];
  return level ? start : startOf(start);
}

/** Returns the longest run of free pages in part `slot` of a node. */
// @inline
export function partMax(memory: Memory, node: usize, level: u32, slot: u32): u32 {
  const { i32 } = memory;
  const part = node + (slot << 2);
  return level ? i32[(part + layout.NODE_MAX) >>> 2] : maxOf(i32[(part + layout.LEAF_SUMS) >>> 2]);
}

/** Returns the free pages at the end of part `slot` of a node. */
// @inline
export function partEnd(memory: Memory, node: usize, level: u32, slot: u32): u32 {
  const { i32 } = memory;
  const part = node + (slot << 2);
  return level ? i32[(part + layout.NODE_END) >>> 2] : endOf(i32[(part + layout.LEAF_SUMS) >>> 2]);
}
