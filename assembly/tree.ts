// The radix tree over the chunks that have been grown over: looking up a chunk, keeping the summaries, and the descent
// that finds room.

import * as layout from "../src/engine/layout";
import { find, freeAbove, freeBelow, popcntRange } from "./bits";
import { endOf, maxOf, mergeInto, pack, setChunkSummary, spanOf, startOf, summarize } from "./summary";

/** Level of a node, 0 for a leaf. */
export function levelOf(node: usize): u32 {
  return load<u32>(node, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT;
}

/** Which part of a node of `level` the chunk is in. */
export function slotOf(chunk: u32, level: u32): u32 {
  return (chunk >> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
}

/** Bitmaps of the chunk, which is one of the leaf's. */
// @ts-ignore: decorator
@inline
export function dataOf(leaf: usize, chunk: u32): usize {
  return leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES;
}

/** The node under part `slot`; `heap` itself when there is none. */
export function childOf(heap: usize, node: usize, slot: u32): usize {
  return heap + load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
}

/** The leaf that covers `chunk`; 0 when there is none. */
export function leafOf(heap: usize, chunk: u32): usize {
  if (chunk < load<u32>(heap, layout.HEADER_START) || chunk >= load<u32>(heap, layout.HEADER_END)) return 0;
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  for (let level = levelOf(node); level; level--) {
    node = childOf(heap, node, slotOf(chunk, level));
    if (node == heap) return 0;
  }
  return node;
}

/** The leaf that covers `chunk`; 0 when the chunk is a hole. */
export function mappedLeafOf(heap: usize, chunk: u32): usize {
  return mappedLeafAt(heap, chunk);
}

/** The same for commits, which do not call. */
// @ts-ignore: decorator
@inline
export function mappedLeafAt(heap: usize, chunk: u32): usize {
  let node: usize = 0;
  if (chunk >= load<u32>(heap, layout.HEADER_START) && chunk < load<u32>(heap, layout.HEADER_END)) {
    node = heap + load<u32>(heap, layout.HEADER_ROOT);
    for (let level = load<u32>(node, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT; level; level--) {
      const slot = (chunk >> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
      node = heap + load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
      if (node == heap) break;
    }
    if (node == heap || !((load<u32>(node, layout.NODE_SHAPE) >> (chunk & (layout.FANOUT - 1))) & 1)) node = 0;
  }
  return node;
}

/** Whether `chunk`, one of the leaf's, has both holes and pages that have been grown over. */
export function isPartial(leaf: usize, chunk: u32): bool {
  return ((load<u32>(leaf, layout.LEAF_PARTIAL) >> (chunk & (layout.FANOUT - 1))) & 1) != 0;
}

/** Packed summary of the chunk, which is one of the leaf's. */
export function sumOf(leaf: usize, chunk: u32): u32 {
  return load<u32>(leaf + ((chunk & (layout.FANOUT - 1)) << 2), layout.LEAF_SUMS);
}

/** How many pages of the range, whose first chunk `leaf` covers, are scavenged. */
export function countScavenged(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): u32 {
  let n = min(npages, layout.CHUNK_PAGES - index);
  let scavenged = popcntRange(dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, n);
  for (let left = npages - n; left; left -= n) {
    if (!(++chunk & (layout.FANOUT - 1))) leaf = leafOf(heap, chunk);
    n = min(left, layout.CHUNK_PAGES);
    scavenged += popcntRange(dataOf(leaf, chunk) + layout.DATA_SCAVENGED, 0, n);
  }
  return scavenged;
}

/** Recomputes the summary of a chunk of the leaf. Returns whether it changed. */
export function resummarize(leaf: usize, chunk: u32): bool {
  return setChunkSummary(leaf, chunk & (layout.FANOUT - 1), summarize(dataOf(leaf, chunk)));
}

/**
 * Brings the summary of a chunk of the leaf up to date after a run of its pages, all free before, has come into use, or
 * the other way round. Returns whether it changed. Only what was perhaps the longest run makes it look at all pages.
 */
export function updateSummary(leaf: usize, chunk: u32, index: u32, npages: u32, inUse: bool): bool {
  const sum = sumOf(leaf, chunk);
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  const below = freeBelow(data, index);
  const above = freeAbove(data, end);
  const run = below + npages + above;
  let longest = maxOf(sum);
  if (inUse) {
    if (run == longest) return resummarize(leaf, chunk);
  } else {
    longest = max(longest, run);
  }
  const first = below != index ? startOf(sum) : inUse ? below : run;
  const last = end + above != layout.CHUNK_PAGES ? endOf(sum) : inUse ? above : run;
  return setChunkSummary(leaf, chunk & (layout.FANOUT - 1), pack(first, longest, last));
}

/** Recomputes the summaries above `node`, as far up as they change. */
export function updateAbove(heap: usize, node: usize): void {
  let level = levelOf(node);
  for (;;) {
    const ref = load<u32>(node, layout.NODE_PARENT);
    if (!ref) return;
    const parent = heap + ref;
    const slot = slotOf(load<u32>(node, layout.NODE_FIRST), level + 1);
    if (!mergeInto(parent, slot, node, level)) return;
    node = parent;
    level++;
  }
}

/**
 * The first page of the lowest run of npages free pages, as a page number; -1 when there is none. On each level it
 * takes the first part that either completes a run with the parts before it or has a long enough run of its own. Raises
 * searchAddr to the lowest page that may be free, as far as the way down has shown it.
 */
export function descend(heap: usize, npages: u32): i64 {
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  let level = levelOf(node);
  let narrowing = true;
  let firstFree: i64 = 0;
  for (;;) {
    const shift = layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * level;
    const span = spanOf(level);
    const base = (<i64>load<u32>(node, layout.NODE_FIRST)) << layout.CHUNK_SHIFT;
    let run: u32 = 0;
    let seen = -1;
    let slot = 0;
    for (; slot < layout.FANOUT; slot++) {
      const part = node + (slot << 2);
      const sum = load<u32>(part, layout.LEAF_SUMS);
      const max = level ? load<u32>(part, layout.NODE_MAX) : maxOf(sum);
      if (!max) {
        run = 0;
        continue;
      }
      if (seen < 0) {
        seen = slot;
        if (narrowing) firstFree = base + ((<i64>slot) << shift);
      }
      const start = level ? load<u32>(part, layout.NODE_START) : startOf(sum);
      if (run + start >= npages) {
        raiseSearch(heap, firstFree);
        return base + ((<i64>slot) << shift) - run;
      }
      if (max >= npages) break;
      const end = level ? load<u32>(part, layout.NODE_END) : endOf(sum);
      run = start == span ? run + span : end;
    }
    if (slot == layout.FANOUT) break;
    narrowing = narrowing && seen == slot;
    if (!level) {
      const first = base + ((<i64>slot) << shift);
      const hit = find(dataOf(node, <u32>(first >> layout.CHUNK_SHIFT)), npages, 0);
      raiseSearch(heap, narrowing ? first + (hit >> 16) : firstFree);
      return first + (hit & 0xffff);
    }
    node = childOf(heap, node, slot);
    level--;
  }
  raiseSearch(heap, firstFree);
  return -1;
}

/**
 * Raises searchAddr to a page, unless it is there already or above: no page below is free. A worker may die between any
 * two of the stores, so that each leaves searchAddr at or below the first free page.
 */
export function raiseSearch(heap: usize, page: i64): void {
  const chunk = <u32>(page >> layout.CHUNK_SHIFT);
  const index = <u32>page & (layout.CHUNK_PAGES - 1);
  const from = load<u32>(heap, layout.HEADER_SEARCH_CHUNK);
  if (chunk < from || (chunk == from && index <= load<u32>(heap, layout.HEADER_SEARCH_INDEX))) return;
  if (chunk > from) {
    store<u32>(heap, 0, layout.HEADER_SEARCH_INDEX);
    store<u32>(heap, chunk, layout.HEADER_SEARCH_CHUNK);
  }
  store<u32>(heap, index, layout.HEADER_SEARCH_INDEX);
}

/** Appends a zeroed node to the region, which has room for it. */
function newNode(heap: usize, parent: u32, first: u32, level: u32): usize {
  const node = heap + load<u32>(heap, layout.HEADER_USED);
  const bytes = level ? layout.NODE_BYTES : layout.LEAF_BYTES;
  memory.fill(node, 0, bytes);
  store<u32>(node, parent, layout.NODE_PARENT);
  store<u32>(node, first, layout.NODE_FIRST);
  store<u32>(node, level << layout.LEVEL_SHIFT, layout.NODE_SHAPE);
  store<u32>(heap, <u32>(node - heap) + bytes, layout.HEADER_USED);
  return node;
}

/** Makes the tree high enough to cover `chunk`. */
function cover(heap: usize, chunk: u32): void {
  if (!load<u32>(heap, layout.HEADER_ROOT)) {
    const leaf = newNode(heap, 0, chunk & -layout.FANOUT, 0);
    store<u32>(heap, <u32>(leaf - heap), layout.HEADER_ROOT);
    return;
  }
  for (;;) {
    const root = heap + load<u32>(heap, layout.HEADER_ROOT);
    const level = levelOf(root);
    const first = load<u32>(root, layout.NODE_FIRST);
    if (!((first ^ chunk) >> (layout.FANOUT_SHIFT * (level + 1)))) return;
    const above = newNode(heap, 0, first & (-1 << (layout.FANOUT_SHIFT * (level + 2))), level + 1);
    const ref = <u32>(above - heap);
    const slot = slotOf(first, level + 1);
    store<u32>(above + (slot << 2), <u32>(root - heap), layout.NODE_CHILDREN);
    store<u32>(root, ref, layout.NODE_PARENT);
    mergeInto(above, slot, root, level);
    if (load<u32>(root, layout.NODE_CANDIDATES)) store<u32>(above, 1 << slot, layout.NODE_CANDIDATES);
    // Last, for walks that go on meanwhile.
    store<u32>(heap, ref, layout.HEADER_ROOT);
  }
}

/** The leaf that covers `chunk`, made, with the nodes above it, where there was none. The region has room for them. */
export function growLeaf(heap: usize, chunk: u32): usize {
  cover(heap, chunk);
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  for (let level = levelOf(node); level; level--) {
    const slot = slotOf(chunk, level);
    let child = childOf(heap, node, slot);
    if (child == heap) {
      child = newNode(heap, <u32>(node - heap), chunk & (-1 << (layout.FANOUT_SHIFT * level)), level - 1);
      store<u32>(node + (slot << 2), <u32>(child - heap), layout.NODE_CHILDREN);
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

/** Says that `chunk`, one of the leaf's, may have a candidate. */
// @ts-ignore: decorator
@inline
export function markCandidate(heap: usize, leaf: usize, chunk: u32): void {
  let node = leaf;
  for (let shift: u32 = 0; ; shift += layout.FANOUT_SHIFT) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    store<u32>(node, marks | (1 << ((chunk >> shift) & (layout.FANOUT - 1))), layout.NODE_CANDIDATES);
    const parent = load<u32>(node, layout.NODE_PARENT);
    if (marks || !parent) break;
    node = heap + parent;
  }
}

/** Whether `chunk`, one of the leaf's, may have a candidate. */
export function isMarked(leaf: usize, chunk: u32): bool {
  return ((load<u32>(leaf, layout.NODE_CANDIDATES) >> (chunk & (layout.FANOUT - 1))) & 1) != 0;
}

/** The highest chunk at or below `chunk`, which the tree covers, that may have a candidate; -1 when there is none. */
export function walk(heap: usize, chunk: u32): i32 {
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  let level = levelOf(node);
  let turn: usize = 0;
  let turnMarks: u32 = 0;
  for (;;) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    if (below) {
      turn = node;
      turnMarks = below;
    }
    if (!((marks >> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(heap, turn, turnMarks) : -1;
}

/**
 * The highest chunk that may have a candidate under the parts `marks` of `node`; -1 where the tree is being changed.
 */
function highest(heap: usize, node: usize, marks: u32): i32 {
  for (let level = levelOf(node); level; level--) {
    node = seenBelow(heap, node, 31 - <u32>clz(marks));
    if (!node) return -1;
    marks = load<u32>(node, layout.NODE_CANDIDATES);
    if (!marks) return -1;
  }
  return load<u32>(node, layout.NODE_FIRST) + 31 - <i32>clz(marks);
}

/** The node under part `slot`, as it is seen without the lock; 0 where no ref of a piece is seen. */
function seenBelow(heap: usize, node: usize, slot: u32): usize {
  const ref = load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
  return ref && ref < load<u32>(heap, layout.HEADER_USED) ? heap + ref : 0;
}
