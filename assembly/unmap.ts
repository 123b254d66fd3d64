// Unmapping. Pages become holes. Nodes that are left without a mapped page are taken out of the tree, and are free for
// the next `map`.

import * as layout from "../src/engine/layout";
import { assertHeld } from "./assertions";
import { count } from "./commit";
import { close, saveFields, write } from "./journal";
import { markRange } from "./mark";
import { clearCandidate, countScavenged, dataOf, mappedLeafOf } from "./tree";

/**
 * Unmaps the pages of a range, which must all be mapped and free. `start` and `top` are what HEADER_START and
 * HEADER_TOP become. Returns how many of the pages were unscavenged.
 */
export function unmap(heap: usize, chunk: u32, index: u32, npages: u32, start: u32, top: f64): u32 {
  const leaf = mappedLeafOf(heap, chunk);
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  // `commitUnmap` reads all of this from the journal, so that `redo` can call it too.
  store<u32>(heap, scavenged, layout.JOURNAL_SCAVENGED);
  store<u32>(heap, start, layout.JOURNAL_START);
  store<f64>(heap, top, layout.JOURNAL_TOP);
  write(heap, layout.JOURNAL_CLAIM | layout.JOURNAL_UNMAP, chunk, index, npages);
  // To the summaries, a hole is a page in use.
  markRange(heap, leaf, chunk, index, npages, true);
  commitUnmap(heap);
  return npages - scavenged;
}

/**
 * Commits the unmapping of the range in the journal: first of the pages, then of the nodes, one by one. A redo goes on
 * with the part that the worker died in.
 */
export function commitUnmap(heap: usize): void {
  assertHeld(heap);
  if (load<u32>(heap, layout.JOURNAL_OP) & layout.JOURNAL_UNMAP) unmapRange(heap);
  prune(heap);
}

/** Unmaps the pages of the range. */
// @ts-ignore: decorator
@inline
function unmapRange(heap: usize): void {
  saveFields(heap, layout.JOURNAL_CLAIM | layout.JOURNAL_UNMAP);
  let left = load<u32>(heap, layout.JOURNAL_NPAGES);
  const top = load<f64>(heap, layout.JOURNAL_TOP);
  count(heap, -left, layout.HEADER_PAGES);
  count(heap, -load<u32>(heap, layout.JOURNAL_SCAVENGED), layout.HEADER_RELEASED);
  count(heap, 1, layout.HEADER_CHANGES);
  store<u32>(heap, load<u32>(heap, layout.JOURNAL_START), layout.HEADER_START);
  store<u32>(heap, <u32>((<i64>top + (layout.CHUNK_PAGES - 1)) >> layout.CHUNK_SHIFT), layout.HEADER_END);
  store<f64>(heap, top, layout.HEADER_TOP);
  if (load<f64>(heap, layout.HEADER_SCAV_END) > top) store<f64>(heap, top, layout.HEADER_SCAV_END);
  const search = (<i64>load<u32>(heap, layout.HEADER_SEARCH_CHUNK)) << layout.CHUNK_SHIFT;
  if (search + load<u32>(heap, layout.HEADER_SEARCH_INDEX) >= <i64>top) {
    store<u32>(heap, layout.NO_CHUNK, layout.HEADER_SEARCH_CHUNK);
    store<u32>(heap, 0, layout.HEADER_SEARCH_INDEX);
  }
  let chunk = load<u32>(heap, layout.JOURNAL_CHUNK);
  let index = load<u32>(heap, layout.JOURNAL_INDEX);
  for (let leaf = nodeAt(heap, chunk); ; ) {
    const n = min(left, layout.CHUNK_PAGES - index);
    unmapIn(heap, leaf, chunk, index, n);
    left -= n;
    if (!left) break;
    index = 0;
    if (!(++chunk & (layout.FANOUT - 1))) leaf = nodeAt(heap, chunk);
  }
  store<u32>(heap, layout.JOURNAL_PRUNE, layout.JOURNAL_OP);
}

/**
 * Unmaps pages of a chunk of the leaf, whose alloc bits are set already. A redo may find a chunk that has lost its bit
 * in NODE_SHAPE, with the rest half done.
 */
// @ts-ignore: decorator
@inline
function unmapIn(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  const data = dataOf(leaf, chunk);
  const bit = 1 << (chunk & (layout.FANOUT - 1));
  const shape = load<u32>(leaf, layout.NODE_SHAPE);
  let mapped: u64 = 0;
  if (shape & bit) {
    const end = index + npages;
    while (index < end) {
      const word = data + ((index >> 6) << 3);
      const bits = min(64 - (index & 63), end - index);
      const range = (~(<u64>0) >> (64 - bits)) << index;
      store<u64>(word, load<u64>(word, layout.DATA_SCAVENGED) | range, layout.DATA_SCAVENGED);
      index += bits;
    }
    for (let word = data; word < data + layout.BITMAP_BYTES; word += 8) {
      mapped |= ~(load<u64>(word) & load<u64>(word, layout.DATA_SCAVENGED));
    }
  }
  const partial = load<u32>(leaf, layout.LEAF_PARTIAL);
  if (mapped) {
    store<u32>(leaf, partial | bit, layout.LEAF_PARTIAL);
  } else {
    store<u32>(leaf, shape & ~bit, layout.NODE_SHAPE);
    store<u32>(leaf, partial & ~bit, layout.LEAF_PARTIAL);
    memory.fill(data, 0, layout.DATA_BYTES);
    clearCandidate(heap, leaf, chunk);
    count(heap, -1, layout.HEADER_CHUNKS);
  }
}

/** Takes the nodes over the range that have no mapped page below them out of the tree. */
// @ts-ignore: decorator
@inline
function prune(heap: usize): void {
  // A worker may have died while it took out a node. That one comes first.
  if (load<u32>(heap, layout.JOURNAL_OP) & layout.JOURNAL_FIELDS) takeOut(heap);
  let chunk = load<u32>(heap, layout.JOURNAL_CHUNK);
  const pages = <i64>load<u32>(heap, layout.JOURNAL_INDEX) + load<u32>(heap, layout.JOURNAL_NPAGES);
  const end = chunk + <u32>((pages + (layout.CHUNK_PAGES - 1)) >> layout.CHUNK_SHIFT);
  while (chunk < end) {
    const node = nodeAt(heap, chunk);
    if (node && isEmpty(node)) {
      describe(heap, node);
      takeOut(heap);
    } else {
      chunk = (chunk | (layout.FANOUT - 1)) + 1;
    }
  }
  close(heap);
}

/** Reports whether a node has no mapped page below it. */
// @ts-ignore: decorator
@inline
function isEmpty(node: usize): bool {
  const shape = load<u32>(node, layout.NODE_SHAPE);
  let below = shape & ((1 << layout.LEVEL_SHIFT) - 1);
  if (shape >> layout.LEVEL_SHIFT) {
    for (let part = node; part < node + 4 * layout.FANOUT; part += 4) below |= load<u32>(part, layout.NODE_CHILDREN);
  }
  return !below;
}

/** Writes down a node that is to be taken out: its level, and the word that refers to it. */
// @ts-ignore: decorator
@inline
function describe(heap: usize, node: usize): void {
  const above = load<u32>(node, layout.NODE_PARENT);
  const level = load<u32>(node, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT;
  const slot = (load<u32>(node, layout.NODE_FIRST) >> (layout.FANOUT_SHIFT * (level + 1))) & (layout.FANOUT - 1);
  store<u32>(heap, <u32>(node - heap), layout.JOURNAL_REF);
  store<u32>(heap, above ? above + layout.NODE_CHILDREN + (slot << 2) : layout.HEADER_ROOT, layout.JOURNAL_PREV);
  store<u32>(heap, level, layout.JOURNAL_KIND);
}

/** Takes the node that the journal describes out of the tree, and puts it first in the list of free ones. */
// @ts-ignore: decorator
@inline
function takeOut(heap: usize): void {
  saveFields(heap, layout.JOURNAL_PRUNE);
  const ref = load<u32>(heap, layout.JOURNAL_REF);
  const level = load<u32>(heap, layout.JOURNAL_KIND);
  const node = heap + ref;
  const list = heap + (level ? layout.HEADER_FREE_NODES : layout.HEADER_FREE_LEAVES);
  store<u32>(node + (level ? layout.NODE_NEXT : layout.LEAF_NEXT), load<u32>(list));
  store<u32>(list, ref);
  store<u32>(heap + load<u32>(heap, layout.JOURNAL_PREV), 0);
  store<u32>(node, 0, layout.NODE_PARENT);
  store<u32>(node, 0, layout.NODE_FIRST);
  store<u32>(node, 0, layout.NODE_SHAPE);
  const blocks = level ? 0 : load<u32>(node, layout.LEAF_BLOCKS);
  if (blocks) {
    // The caches that are still in its lists have no pages left.
    for (let link = heap + blocks; link < heap + blocks + layout.BLOCKS_BYTES; link += 4) {
      for (let cache = load<u32>(link); cache; cache = load<u32>(heap + cache, layout.RECORD_BESIDE)) {
        store<u32>(heap + cache, 0, layout.RECORD_SLOT);
      }
      store<u32>(link, 0);
    }
  }
  store<u32>(heap, layout.JOURNAL_PRUNE, layout.JOURNAL_OP);
}

/** Returns the lowest node over a chunk, which is the leaf unless it has been taken out; 0 in an empty tree. */
// @ts-ignore: decorator
@inline
function nodeAt(heap: usize, chunk: u32): usize {
  let ref = load<u32>(heap, layout.HEADER_ROOT);
  let node: usize = 0;
  let level = ref ? load<u32>(heap + ref, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT : 0;
  for (; ref; level--) {
    node = heap + ref;
    if (!level) break;
    const slot = (chunk >> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
    ref = load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
  }
  return node;
}
