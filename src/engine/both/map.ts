// Mapping. The tree grows where it has no leaf yet, and holes become pages.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, fillBytes, hasHole } from "../ts/bits.ts";
import type { u32, usize } from "../ts/builtins.ts";
import { chunkOf, pageOf } from "../ts/pages.ts";
import { saveAll } from "../ts/save.ts";
import { summarize } from "../ts/summary.ts";
import { count, lowerSearch, toTop } from "./fields.ts";
import { close, write } from "./journal.ts";
import { updateAbove } from "./mark.ts";
import { dataOf, setChunkSummary } from "./sums.ts";
import { childOf, levelOf, slotOf } from "./tree.ts";

/** Maps the pages of a range, which must all be holes. They become free and scavenged. */
export function map(memory: Memory, heap: usize, first: u32, from: u32, npages: u32): void {
  const { i32, f64 } = memory;
  saveAll(memory, heap, 0);
  // Until here the journal says only that the fields are saved. From here on, mend.ts removes the range again.
  write(memory, heap, layout.JOURNAL_MAP | layout.JOURNAL_FIELDS, first, from, npages);
  const endPage = pageOf(first, from) + npages;
  const end = chunkOf(endPage + (layout.CHUNK_PAGES - 1));
  const isEmpty = !i32[(heap + layout.HEADER_CHUNKS) >>> 2];
  if (isEmpty || first < i32[(heap + layout.HEADER_START) >>> 2])
    i32[(heap + layout.HEADER_START) >>> 2] = first;
  if (isEmpty || end > i32[(heap + layout.HEADER_END) >>> 2]) i32[(heap + layout.HEADER_END) >>> 2] = end;
  if (endPage > f64[(heap + layout.HEADER_TOP) >>> 3]) f64[(heap + layout.HEADER_TOP) >>> 3] = endPage;
  count(memory, heap, npages, layout.HEADER_PAGES);
  count(memory, heap, npages, layout.HEADER_RELEASED);
  count(memory, heap, 1, layout.HEADER_CHANGES);
  lowerSearch(memory, heap, first, from);
  if (!i32[(heap + layout.HEADER_SCAV_RESET) >>> 2]) toTop(memory, heap);
  let left = npages;
  let index = from;
  for (let chunk = first; left; ) {
    const leaf = growLeaf(memory, heap, chunk);
    do {
      const n = Math.min(left, layout.CHUNK_PAGES - index);
      mapIn(memory, heap, leaf, chunk, index, n);
      left -= n;
      index = 0;
      chunk++;
    } while (left && chunk & (layout.FANOUT - 1));
    updateAbove(memory, heap, leaf);
  }
  close(memory, heap);
}

/** Maps pages of a chunk of the leaf. */
function mapIn(memory: Memory, heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  const { i32 } = memory;
  const slot = chunk & (layout.FANOUT - 1);
  const bit = 1 << slot;
  const data = dataOf(leaf, chunk);
  const shape = i32[(leaf + layout.NODE_SHAPE) >>> 2];
  if (!(shape & bit)) {
    count(memory, heap, 1, layout.HEADER_CHUNKS);
    // A chunk without mapped pages has no bit set. If only some of its pages are mapped, the others are holes, which
    // need both bits.
    if (npages < (layout.CHUNK_PAGES as u32)) fillBytes(memory, data, 0xff, layout.BITMAP_BYTES);
    fillBytes(memory, data + layout.DATA_SCAVENGED, 0xff, layout.BITMAP_BYTES);
    i32[(leaf + layout.NODE_SHAPE) >>> 2] = shape | bit;
  }
  if (npages === layout.CHUNK_PAGES) {
    setChunkSummary(memory, leaf, slot, layout.SUM_FREE);
    return;
  }
  clearRange(memory, data, index, npages);
  const partial = i32[(leaf + layout.LEAF_PARTIAL) >>> 2] & ~bit;
  i32[(leaf + layout.LEAF_PARTIAL) >>> 2] = hasHole(memory, data, 0, layout.CHUNK_PAGES)
    ? partial | bit
    : partial;
  setChunkSummary(memory, leaf, slot, summarize(memory, data));
}

/** Returns the leaf that covers `chunk`. Makes it and the nodes above it if there is none. */
function growLeaf(memory: Memory, heap: usize, chunk: u32): usize {
  const { i32 } = memory;
  cover(memory, heap, chunk);
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  for (let level = levelOf(memory, node); level; level--) {
    const slot = slotOf(chunk, level);
    let child = childOf(memory, heap, node, slot);
    if (child === heap) {
      const first = chunk & (-1 << (layout.FANOUT_SHIFT * level));
      child = newNode(memory, heap, (node - heap) as u32, first, level - 1);
      i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] = (child - heap) as u32;
    }
    node = child;
  }
  return node;
}

/** Makes the tree high enough to cover `chunk`. */
function cover(memory: Memory, heap: usize, chunk: u32): void {
  const { i32 } = memory;
  if (!i32[(heap + layout.HEADER_ROOT) >>> 2]) {
    const leaf = newNode(memory, heap, 0, chunk & -layout.FANOUT, 0);
    i32[(heap + layout.HEADER_ROOT) >>> 2] = (leaf - heap) as u32;
    return;
  }
  for (;;) {
    const root = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
    const level = levelOf(memory, root);
    const first = i32[(root + layout.NODE_FIRST) >>> 2];
    if (!((first ^ chunk) >>> (layout.FANOUT_SHIFT * (level + 1)))) return;
    const above = newNode(memory, heap, 0, first & (-1 << (layout.FANOUT_SHIFT * (level + 2))), level + 1);
    const ref = (above - heap) as u32;
    const slot = slotOf(first, level + 1);
    i32[((above + layout.NODE_CHILDREN) >>> 2) + slot] = (root - heap) as u32;
    i32[(root + layout.NODE_PARENT) >>> 2] = ref;
    updateAbove(memory, heap, root);
    if (i32[(root + layout.NODE_CANDIDATES) >>> 2]) i32[(above + layout.NODE_CANDIDATES) >>> 2] = 1 << slot;
    // Last, so that a concurrent walk sees the new root only when it is complete.
    i32[(heap + layout.HEADER_ROOT) >>> 2] = ref;
  }
}

/** Takes a node from the list of free ones, or appends one to the region, which must have room for it. */
function newNode(memory: Memory, heap: usize, parent: u32, first: u32, level: u32): usize {
  const { i32 } = memory;
  const list = heap + (level ? layout.HEADER_FREE_NODES : layout.HEADER_FREE_LEAVES);
  const free = i32[list >>> 2];
  const node = heap + (free ? free : i32[(heap + layout.HEADER_USED) >>> 2]);
  const bytes = level ? layout.NODE_BYTES : layout.LEAF_BYTES;
  // A free node keeps its link. So if this call is undone, the restored head of the list leads to it again.
  if (free) i32[list >>> 2] = i32[(node + (level ? layout.NODE_NEXT : layout.LEAF_NEXT)) >>> 2];
  else fillBytes(memory, node, 0, bytes);
  i32[(node + layout.NODE_PARENT) >>> 2] = parent;
  i32[(node + layout.NODE_FIRST) >>> 2] = first;
  i32[(node + layout.NODE_SHAPE) >>> 2] = level << layout.LEVEL_SHIFT;
  // Last, since a walk without the lock ignores refs at or above HEADER_USED.
  if (!free) i32[(heap + layout.HEADER_USED) >>> 2] = ((node - heap) as u32) + bytes;
  return node;
}
