// The radix tree over the mapped chunks. Looks up chunks, and walks down to the next chunk for the scavenger.
// ../ts/merge.ts keeps its summaries, and ../ts/descend.ts finds free runs by them.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { popcntRange } from "../ts/bits.ts";
import type { bool, f64, i32, u32, usize } from "../ts/builtins.ts";
import { chunkOf, indexIn } from "../ts/pages.ts";
import { isShared } from "./journal.ts";
import { dataOf } from "./sums.ts";

/** Returns the level of a node; 0 for a leaf. */
// @inline
export function levelOf(memory: Memory, node: usize): u32 {
  const { i32 } = memory;
  return i32[(node + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT;
}

/** Returns the part of a node of `level` that the chunk is in. */
// @inline
export function slotOf(chunk: u32, level: u32): u32 {
  return (chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
}

/** Returns the node under part `slot`; `heap` itself if there is none, since its ref is 0. */
export function childOf(memory: Memory, heap: usize, node: usize, slot: u32): usize {
  const { i32 } = memory;
  return heap + i32[((node + layout.NODE_CHILDREN) >>> 2) + slot];
}

/** Returns the leaf that covers `chunk`; 0 if there is none. */
export function leafOf(memory: Memory, heap: usize, chunk: u32): usize {
  const { i32 } = memory;
  if (chunk < i32[(heap + layout.HEADER_START) >>> 2] || chunk >= i32[(heap + layout.HEADER_END) >>> 2])
    return 0;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  for (let level = levelOf(memory, node); level; level--) {
    node = childOf(memory, heap, node, slotOf(chunk, level));
    if (node === heap) return 0;
  }
  return node;
}

/** Returns the leaf that covers `chunk`; 0 if the chunk is a hole. */
export function mappedLeafOf(memory: Memory, heap: usize, chunk: u32): usize {
  const { i32 } = memory;
  const leaf = leafOf(memory, heap, chunk);
  if (!leaf) return 0;
  return (i32[(leaf + layout.NODE_SHAPE) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1 ? leaf : 0;
}

/**
 * Does the same for calls that come to the same leaf again and again. A free leaf has no mapped chunk, so the hint can
 * be checked.
 */
// @inline
export function hintedLeafOf(memory: Memory, heap: usize, chunk: u32): usize {
  const { i32 } = memory;
  const hint = heap + i32[(heap + layout.HINT_LEAF) >>> 2];
  if (isLeafOf(memory, hint, chunk)) return hint;
  const leaf = mappedLeafOf(memory, heap, chunk);
  if (leaf && !isShared(memory, heap)) i32[(heap + layout.HINT_LEAF) >>> 2] = (leaf - heap) as u32;
  return leaf;
}

/** Does the same for calls that may come to any leaf: tries the hint first, and leaves it as it is. */
// @inline
export function mappedLeafNear(memory: Memory, heap: usize, chunk: u32): usize {
  const { i32 } = memory;
  const hint = heap + i32[(heap + layout.HINT_LEAF) >>> 2];
  return isLeafOf(memory, hint, chunk) ? hint : mappedLeafOf(memory, heap, chunk);
}

/** Reports whether a leaf has that chunk, mapped. */
// @inline
function isLeafOf(memory: Memory, leaf: usize, chunk: u32): bool {
  const { i32 } = memory;
  const isFirst = i32[(leaf + layout.NODE_FIRST) >>> 2] === (chunk & -layout.FANOUT);
  return isFirst && ((i32[(leaf + layout.NODE_SHAPE) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/** Reports whether a chunk of the leaf has both holes and mapped pages. */
export function isPartial(memory: Memory, leaf: usize, chunk: u32): bool {
  const { i32 } = memory;
  return ((i32[(leaf + layout.LEAF_PARTIAL) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/** Counts the scavenged pages of a range. `firstLeaf` covers its first chunk. */
export function countScavenged(
  memory: Memory,
  heap: usize,
  firstLeaf: usize,
  first: u32,
  index: u32,
  npages: u32,
): u32 {
  let leaf = firstLeaf;
  let chunk = first;
  let n = Math.min(npages, layout.CHUNK_PAGES - index);
  let scavenged = popcntRange(memory, dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, n);
  for (let left = npages - n; left; left -= n) {
    if (!(++chunk & (layout.FANOUT - 1))) leaf = leafOf(memory, heap, chunk);
    n = Math.min(left, layout.CHUNK_PAGES);
    scavenged += popcntRange(memory, dataOf(leaf, chunk) + layout.DATA_SCAVENGED, 0, n);
  }
  return scavenged;
}

/**
 * Raises searchAddr to a page, unless it is there already or higher. No page below that page is free. A worker may die
 * between any two stores, so each store leaves searchAddr at or below the first free page.
 */
export function raiseSearch(memory: Memory, heap: usize, page: f64): void {
  const { i32 } = memory;
  const chunk = chunkOf(page);
  const index = indexIn(chunk, page);
  const from = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk < from || (chunk === from && index <= i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2])) return;
  if (chunk > from) {
    // The index goes first: in the new chunk, the old one might lie above the first free page.
    i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = 0;
    i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2] = chunk;
  }
  i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = index;
}

// The scavenger's walk finds the next chunk downward that may have a candidate. Every node has a bit for each part that
// may hold one. A node's bit in its parent is set exactly when any of its own bits is set. So the walk reads one or two
// nodes per level, whatever the size of the heap. A set bit may be wrong, a clear one is right: bits are set when pages
// are freed, and cleared when a look under the lock finds nothing.
//
// The walk takes no lock. So a node that it reads may be in the middle of a change, out of the tree, or elsewhere in
// the tree by now. Then the walk may return any chunk, or miss one with pages freed meanwhile: the caller must not
// trust what it returns. If it reads something impossible, it gives up as if it had reached the bottom. So before the
// caller may conclude that nothing is left, it must walk again with the lock held.

/** Reports whether a chunk of the leaf may have a candidate. */
// @inline
export function isMarked(memory: Memory, leaf: usize, chunk: u32): bool {
  const { i32 } = memory;
  return ((i32[(leaf + layout.NODE_CANDIDATES) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/**
 * Returns the highest chunk at or below `chunk` that may have a candidate; -1 if there is none. The tree must cover
 * `chunk`.
 */
export function walk(memory: Memory, heap: usize, chunk: u32): i32 {
  const { i32 } = memory;
  const root = i32[(heap + layout.HEADER_ROOT) >>> 2];
  if (!root) return -1;
  let node = heap + root;
  let level = levelOf(memory, node);
  let turn: usize = 0;
  let turnMarks: u32 = 0;
  let turnLevel: u32 = 0;
  for (;;) {
    const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    // The deepest node with marked parts below the path has the highest of the lower chunks. The walk turns back to it
    // if the path ends.
    if (below) {
      turn = node;
      turnMarks = below;
      turnLevel = level;
    }
    if (!((marks >>> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(memory, heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(memory, heap, turn, turnLevel, turnMarks) : -1;
}

/**
 * Returns the highest chunk that may have a candidate under the parts `fromMarks` of a node; -1 if the tree is being
 * changed.
 */
function highest(memory: Memory, heap: usize, from: usize, fromLevel: u32, fromMarks: u32): i32 {
  const { i32 } = memory;
  let node = from;
  let marks = fromMarks;
  for (let level = fromLevel; level; level--) {
    node = seenBelow(memory, heap, node, 31 - Math.clz32(marks));
    if (!node) return -1;
    marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    if (!marks) return -1;
  }
  return i32[(node + layout.NODE_FIRST) >>> 2] + 31 - Math.clz32(marks);
}

/** Returns the node under part `slot`, as read without the lock; 0 if that cannot be the ref of a node. */
function seenBelow(memory: Memory, heap: usize, node: usize, slot: u32): usize {
  const { i32 } = memory;
  const ref = i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] >>> 0;
  const isPiece = ref && !(ref & (layout.LINE_BYTES - 1));
  return isPiece && ref <= (i32[(heap + layout.HEADER_USED) >>> 2] >>> 0) - layout.NODE_BYTES
    ? heap + ref
    : 0;
}
