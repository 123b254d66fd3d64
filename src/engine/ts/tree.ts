// The radix tree over the chunks that have been grown over: looking up a chunk, keeping the summaries, and the descent
// that finds room.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { find, freeAbove, freeBelow, popcntRange } from "./bits.ts";
import { endOf, maxOf, mergeInto, pack, setChunkSummary, spanOf, startOf, summarize } from "./summary.ts";

/** Level of a node, 0 for a leaf. */
export function levelOf({ i32 }: Memory, node: number): number {
  return i32[(node + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT;
}

/** Which part of a node of `level` the chunk is in. */
export function slotOf(chunk: number, level: number): number {
  return (chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
}

/** Bitmaps of the chunk, which is one of the leaf's. */
export function dataOf(leaf: number, chunk: number): number {
  return leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES;
}

/** The node under part `slot`; `heap` itself when there is none. */
export function childOf({ i32 }: Memory, heap: number, node: number, slot: number): number {
  return heap + i32[((node + layout.NODE_CHILDREN) >>> 2) + slot];
}

/** The leaf that covers `chunk`; 0 when there is none. */
export function leafOf(memory: Memory, heap: number, chunk: number): number {
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

/** The leaf that covers `chunk`; 0 when the chunk is a hole. */
export function mappedLeafOf(memory: Memory, heap: number, chunk: number): number {
  const leaf = leafOf(memory, heap, chunk);
  if (!leaf) return 0;
  return (memory.i32[(leaf + layout.NODE_SHAPE) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1 ? leaf : 0;
}

/** Whether `chunk`, one of the leaf's, has both holes and pages that have been grown over. */
export function isPartial({ i32 }: Memory, leaf: number, chunk: number): boolean {
  return ((i32[(leaf + layout.LEAF_PARTIAL) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/** Packed summary of the chunk, which is one of the leaf's. */
export function sumOf({ i32 }: Memory, leaf: number, chunk: number): number {
  return i32[((leaf + layout.LEAF_SUMS) >>> 2) + (chunk & (layout.FANOUT - 1))];
}

/** How many pages of the range, whose first chunk `leaf` covers, are scavenged. */
export function countScavenged(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  let n = Math.min(npages, layout.CHUNK_PAGES - index);
  let scavenged = popcntRange(memory, dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, n);
  for (let left = npages - n; left; left -= n) {
    if (!(++chunk & (layout.FANOUT - 1))) leaf = leafOf(memory, heap, chunk);
    n = Math.min(left, layout.CHUNK_PAGES);
    scavenged += popcntRange(memory, dataOf(leaf, chunk) + layout.DATA_SCAVENGED, 0, n);
  }
  return scavenged;
}

/** Recomputes the summary of a chunk of the leaf. Returns whether it changed. */
export function resummarize(memory: Memory, leaf: number, chunk: number): boolean {
  return setChunkSummary(memory, leaf, chunk & (layout.FANOUT - 1), summarize(memory, dataOf(leaf, chunk)));
}

/**
 * Brings the summary of a chunk of the leaf up to date after a run of its pages, all free before, has come into use, or
 * the other way round. Returns whether it changed. Only what was perhaps the longest run makes it look at all pages.
 */
export function updateSummary(
  memory: Memory,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): boolean {
  const sum = sumOf(memory, leaf, chunk);
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  const below = freeBelow(memory, data, index);
  const above = freeAbove(memory, data, end);
  const run = below + npages + above;
  let longest = maxOf(sum);
  if (inUse) {
    if (run === longest) return resummarize(memory, leaf, chunk);
  } else {
    longest = Math.max(longest, run);
  }
  const first = below !== index ? startOf(sum) : inUse ? below : run;
  const last = end + above !== layout.CHUNK_PAGES ? endOf(sum) : inUse ? above : run;
  return setChunkSummary(memory, leaf, chunk & (layout.FANOUT - 1), pack(first, longest, last));
}

/** Recomputes the summaries above `node`, as far up as they change. */
export function updateAbove(memory: Memory, heap: number, node: number): void {
  const { i32 } = memory;
  let level = levelOf(memory, node);
  for (;;) {
    const ref = i32[(node + layout.NODE_PARENT) >>> 2];
    if (!ref) return;
    const parent = heap + ref;
    const slot = slotOf(i32[(node + layout.NODE_FIRST) >>> 2], level + 1);
    if (!mergeInto(memory, parent, slot, node, level)) return;
    node = parent;
    level++;
  }
}

/**
 * The first page of the lowest run of npages free pages, as a page number; -1 when there is none. On each level it
 * takes the first part that either completes a run with the parts before it or has a long enough run of its own. Raises
 * searchAddr to the lowest page that may be free, as far as the way down has shown it.
 */
export function descend(memory: Memory, heap: number, npages: number): number {
  const { i32 } = memory;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  let level = levelOf(memory, node);
  let narrowing = true;
  let firstFree = 0;
  for (;;) {
    const span = spanOf(level);
    const size = layout.CHUNK_PAGES * layout.FANOUT ** level;
    const base = i32[(node + layout.NODE_FIRST) >>> 2] * layout.CHUNK_PAGES;
    const parts = node >>> 2;
    let run = 0;
    let seen = -1;
    let slot = 0;
    for (; slot < layout.FANOUT; slot++) {
      const sum = i32[parts + layout.LEAF_SUMS / 4 + slot];
      const max = level ? i32[parts + layout.NODE_MAX / 4 + slot] : maxOf(sum);
      if (!max) {
        run = 0;
        continue;
      }
      if (seen < 0) {
        seen = slot;
        if (narrowing) firstFree = base + slot * size;
      }
      const start = level ? i32[parts + layout.NODE_START / 4 + slot] : startOf(sum);
      if (run + start >= npages) {
        raiseSearch(memory, heap, firstFree);
        return base + slot * size - run;
      }
      if (max >= npages) break;
      const end = level ? i32[parts + layout.NODE_END / 4 + slot] : endOf(sum);
      run = start === span ? run + span : end;
    }
    if (slot === layout.FANOUT) break;
    narrowing = narrowing && seen === slot;
    if (!level) {
      const first = base + slot * size;
      const hit = find(memory, dataOf(node, first / layout.CHUNK_PAGES), npages, 0);
      raiseSearch(memory, heap, narrowing ? first + (hit >>> 16) : firstFree);
      return first + (hit & 0xffff);
    }
    node = childOf(memory, heap, node, slot);
    level--;
  }
  raiseSearch(memory, heap, firstFree);
  return -1;
}

/**
 * Raises searchAddr to a page, unless it is there already or above: no page below is free. A worker may die between any
 * two of the stores, so that each leaves searchAddr at or below the first free page.
 */
export function raiseSearch({ i32 }: Memory, heap: number, page: number): void {
  const chunk = Math.floor(page / layout.CHUNK_PAGES);
  const index = page - chunk * layout.CHUNK_PAGES;
  const search = (heap + layout.HEADER_SEARCH_CHUNK) >>> 2;
  const searchIndex = (heap + layout.HEADER_SEARCH_INDEX) >>> 2;
  const from = i32[search];
  if (chunk < from || (chunk === from && index <= i32[searchIndex])) return;
  if (chunk > from) {
    i32[searchIndex] = 0;
    i32[search] = chunk;
  }
  i32[searchIndex] = index;
}

/** Appends a zeroed node to the region, which has room for it. */
function newNode({ i32 }: Memory, heap: number, parent: number, first: number, level: number): number {
  const node = heap + i32[(heap + layout.HEADER_USED) >>> 2];
  const bytes = level ? layout.NODE_BYTES : layout.LEAF_BYTES;
  i32.fill(0, node >>> 2, (node + bytes) >>> 2);
  i32[(node + layout.NODE_PARENT) >>> 2] = parent;
  i32[(node + layout.NODE_FIRST) >>> 2] = first;
  i32[(node + layout.NODE_SHAPE) >>> 2] = level << layout.LEVEL_SHIFT;
  i32[(heap + layout.HEADER_USED) >>> 2] = node - heap + bytes;
  return node;
}

/** Makes the tree high enough to cover `chunk`. */
function cover(memory: Memory, heap: number, chunk: number): void {
  const { i32 } = memory;
  if (!i32[(heap + layout.HEADER_ROOT) >>> 2]) {
    i32[(heap + layout.HEADER_ROOT) >>> 2] = newNode(memory, heap, 0, chunk & -layout.FANOUT, 0) - heap;
    return;
  }
  for (;;) {
    const root = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
    const level = levelOf(memory, root);
    const first = i32[(root + layout.NODE_FIRST) >>> 2];
    if (!((first ^ chunk) >>> (layout.FANOUT_SHIFT * (level + 1)))) return;
    const above = newNode(memory, heap, 0, first & (-1 << (layout.FANOUT_SHIFT * (level + 2))), level + 1);
    const ref = above - heap;
    const slot = slotOf(first, level + 1);
    i32[((above + layout.NODE_CHILDREN) >>> 2) + slot] = root - heap;
    i32[(root + layout.NODE_PARENT) >>> 2] = ref;
    mergeInto(memory, above, slot, root, level);
    if (i32[(root + layout.NODE_CANDIDATES) >>> 2]) i32[(above + layout.NODE_CANDIDATES) >>> 2] = 1 << slot;
    // Last, for walks that go on meanwhile.
    i32[(heap + layout.HEADER_ROOT) >>> 2] = ref;
  }
}

/** The leaf that covers `chunk`, made, with the nodes above it, where there was none. The region has room for them. */
export function growLeaf(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  cover(memory, heap, chunk);
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  for (let level = levelOf(memory, node); level; level--) {
    const slot = slotOf(chunk, level);
    let child = childOf(memory, heap, node, slot);
    if (child === heap) {
      child = newNode(memory, heap, node - heap, chunk & (-1 << (layout.FANOUT_SHIFT * level)), level - 1);
      i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] = child - heap;
    }
    node = child;
  }
  return node;
}

// The scavenger's walk: which chunk below has a candidate. Every node has a bit for each of its parts that may hold
// one; a node's bit in its parent is set just when one of its own is. So finding the next chunk downward costs a look
// at each level of the tree, whatever the size of the heap. A set bit may be wrong, a clear one is right: bits are set
// when pages are freed, and cleared when a look under the lock finds nothing.
//
// The walk takes no lock. Nodes are never moved or freed but by `recover`, so what it reads is a node, if perhaps an
// old one or one that is being changed: then it gives a chunk that has no candidate, or misses one that was freed
// meanwhile. Where what it reads cannot be, it gives up, as at the bottom: who walks has to do so again with the lock
// before that counts.

/** Whether `chunk`, one of the leaf's, may have a candidate. */
export function isMarked({ i32 }: Memory, leaf: number, chunk: number): boolean {
  return ((i32[(leaf + layout.NODE_CANDIDATES) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/** The highest chunk at or below `chunk`, which the tree covers, that may have a candidate; -1 when there is none. */
export function walk(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  let level = levelOf(memory, node);
  let turn = 0;
  let turnMarks = 0;
  for (;;) {
    const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    if (below) {
      turn = node;
      turnMarks = below;
    }
    if (!((marks >>> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(memory, heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(memory, heap, turn, turnMarks) : -1;
}

/**
 * The highest chunk that may have a candidate under the parts `marks` of `node`; -1 where the tree is being changed.
 */
function highest(memory: Memory, heap: number, node: number, marks: number): number {
  const { i32 } = memory;
  for (let level = levelOf(memory, node); level; level--) {
    node = seenBelow(memory, heap, node, 31 - Math.clz32(marks));
    if (!node) return -1;
    marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    if (!marks) return -1;
  }
  return i32[(node + layout.NODE_FIRST) >>> 2] + 31 - Math.clz32(marks);
}

/** The node under part `slot`, as it is seen without the lock; 0 where no ref of a piece is seen. */
function seenBelow({ i32 }: Memory, heap: number, node: number, slot: number): number {
  const ref = i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] >>> 0;
  return ref && ref < i32[(heap + layout.HEADER_USED) >>> 2] >>> 0 ? heap + ref : 0;
}
