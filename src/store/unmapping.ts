// Unmapping. Pages become holes. Nodes that are left without a mapped page are taken out of the tree, and are free for
// the next `map`. No engine has a text of its own for this: calls are rare.

import * as layout from "../engine/layout.ts";
import type { State } from "./state.ts";

/**
 * Commits the unmapping of the range in the journal, whose pages are marked as in use: first of the pages, then of the
 * nodes, one by one. A redo goes on with the part that the worker died in. Once this has begun to change the heap it
 * calls no function, as any commit. Caller must hold the lock.
 */
export function commitUnmap(state: State): void {
  const heap = state.at;
  const { i32, f64 } = state.engine.memory;
  const header = heap >>> 2;
  const isShared = PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4];
  const op = i32[header + layout.JOURNAL_OP / 4];
  const first = i32[header + layout.JOURNAL_CHUNK / 4];
  const from = i32[header + layout.JOURNAL_INDEX / 4];
  const npages = i32[header + layout.JOURNAL_NPAGES / 4] >>> 0;
  let chunk = first;
  if (op & layout.JOURNAL_UNMAP) {
    if (isShared) {
      for (let word = header + layout.FIELDS / 4; word < header + layout.FIELDS_END / 4; word++)
        i32[word + layout.UNDO / 4] = i32[word];
      i32[header + layout.JOURNAL_OP / 4] = op | layout.JOURNAL_FIELDS;
    }
    const top = f64[(heap + layout.JOURNAL_TOP) >>> 3];
    i32[header + layout.HEADER_PAGES / 4] -= npages;
    i32[header + layout.HEADER_RELEASED / 4] -= i32[header + layout.JOURNAL_SCAVENGED / 4];
    i32[header + layout.HEADER_CHANGES / 4]++;
    i32[header + layout.HEADER_START / 4] = i32[header + layout.JOURNAL_START / 4];
    i32[header + layout.HEADER_END / 4] = (top + layout.CHUNK_PAGES - 1) / layout.CHUNK_PAGES;
    f64[(heap + layout.HEADER_TOP) >>> 3] = top;
    if (f64[(heap + layout.HEADER_SCAV_END) >>> 3] > top) f64[(heap + layout.HEADER_SCAV_END) >>> 3] = top;
    const search = i32[header + layout.HEADER_SEARCH_CHUNK / 4] * layout.CHUNK_PAGES;
    if (search + i32[header + layout.HEADER_SEARCH_INDEX / 4] >= top) {
      i32[header + layout.HEADER_SEARCH_CHUNK / 4] = layout.NO_CHUNK;
      i32[header + layout.HEADER_SEARCH_INDEX / 4] = 0;
    }
    let leaf = 0;
    let index = from;
    for (let left = npages; ; chunk++) {
      if (!leaf || !(chunk & (layout.FANOUT - 1))) {
        let ref = i32[header + layout.HEADER_ROOT / 4];
        for (let level = i32[(heap + ref + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT; level; level--) {
          const slot = (chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
          ref = i32[((heap + ref + layout.NODE_CHILDREN) >>> 2) + slot];
        }
        leaf = heap + ref;
      }
      const n = left < layout.CHUNK_PAGES - index ? left : layout.CHUNK_PAGES - index;
      const data = (leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES) >>> 2;
      const bit = 1 << (chunk & (layout.FANOUT - 1));
      let mapped = 0;
      // A redo may find a chunk that has lost its bit already, with the rest half done.
      if (i32[(leaf + layout.NODE_SHAPE) >>> 2] & bit) {
        for (const end = index + n; index < end; ) {
          const bits = end - index < 32 - (index & 31) ? end - index : 32 - (index & 31);
          i32[data + (index >>> 5) + layout.DATA_SCAVENGED / 4] |= (-1 >>> (32 - bits)) << index;
          index += bits;
        }
        for (let word = data; word < data + layout.BITMAP_BYTES / 4; word++)
          mapped |= ~(i32[word] & i32[word + layout.DATA_SCAVENGED / 4]);
      }
      if (mapped) {
        i32[(leaf + layout.LEAF_PARTIAL) >>> 2] |= bit;
      } else {
        i32[(leaf + layout.NODE_SHAPE) >>> 2] &= ~bit;
        i32[(leaf + layout.LEAF_PARTIAL) >>> 2] &= ~bit;
        for (let word = data; word < data + layout.DATA_BYTES / 4; word++) i32[word] = 0;
        let node = leaf;
        for (let shift = 0; ; shift += layout.FANOUT_SHIFT) {
          const marks =
            i32[(node + layout.NODE_CANDIDATES) >>> 2] & ~(1 << ((chunk >>> shift) & (layout.FANOUT - 1)));
          i32[(node + layout.NODE_CANDIDATES) >>> 2] = marks;
          const parent = i32[(node + layout.NODE_PARENT) >>> 2];
          if (marks || !parent) break;
          node = heap + parent;
        }
        i32[header + layout.HEADER_CHUNKS / 4]--;
      }
      left -= n;
      if (!left) break;
      index = 0;
    }
    i32[header + layout.JOURNAL_OP / 4] = layout.JOURNAL_PRUNE;
  }

  // Takes the nodes over the range that have no mapped page below them out of the tree.
  const end = first + ((from + npages + layout.CHUNK_PAGES - 1) >>> layout.CHUNK_SHIFT);
  // A worker may have died while it took out a node. That one comes first, as the journal describes it.
  let found = op & layout.JOURNAL_PRUNE && op & layout.JOURNAL_FIELDS;
  for (chunk = first; found || chunk < end; found = 0) {
    if (!found) {
      let ref = 0;
      let level = 0;
      // The word that refers to the node.
      let link = layout.HEADER_ROOT;
      for (let below = i32[(heap + link) >>> 2]; below; ) {
        ref = below;
        level = i32[(heap + ref + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT;
        if (!level) break;
        const slot = (chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
        below = i32[((heap + ref + layout.NODE_CHILDREN) >>> 2) + slot];
        if (below) link = ref + layout.NODE_CHILDREN + 4 * slot;
      }
      const node = (heap + ref) >>> 2;
      let filled = level ? 0 : i32[node + layout.NODE_SHAPE / 4];
      for (let slot = 0; level && slot < layout.FANOUT; slot++)
        filled |= i32[node + layout.NODE_CHILDREN / 4 + slot];
      if (!ref || filled) {
        chunk = (chunk | (layout.FANOUT - 1)) + 1;
        continue;
      }
      i32[header + layout.JOURNAL_REF / 4] = ref;
      i32[header + layout.JOURNAL_PREV / 4] = link;
      i32[header + layout.JOURNAL_KIND / 4] = level;
    }
    if (isShared) {
      for (let word = header + layout.FIELDS / 4; word < header + layout.FIELDS_END / 4; word++)
        i32[word + layout.UNDO / 4] = i32[word];
      i32[header + layout.JOURNAL_OP / 4] = layout.JOURNAL_PRUNE | layout.JOURNAL_FIELDS;
    }
    const ref = i32[header + layout.JOURNAL_REF / 4];
    const level = i32[header + layout.JOURNAL_KIND / 4];
    const node = (heap + ref) >>> 2;
    const list = header + (level ? layout.HEADER_FREE_NODES : layout.HEADER_FREE_LEAVES) / 4;
    i32[node + (level ? layout.NODE_NEXT : layout.LEAF_NEXT) / 4] = i32[list];
    i32[list] = ref;
    i32[(heap + i32[header + layout.JOURNAL_PREV / 4]) >>> 2] = 0;
    i32[node + layout.NODE_PARENT / 4] = 0;
    i32[node + layout.NODE_FIRST / 4] = 0;
    i32[node + layout.NODE_SHAPE / 4] = 0;
    const blocks = level ? 0 : i32[node + layout.LEAF_BLOCKS / 4];
    // The caches that are still in the lists of the leaf have no pages left.
    for (let link = blocks; link < (blocks && blocks + layout.BLOCKS_BYTES); link += 4) {
      let cache = i32[(heap + link) >>> 2];
      for (; cache; cache = i32[(heap + cache + layout.RECORD_BESIDE) >>> 2])
        i32[(heap + cache + layout.RECORD_SLOT) >>> 2] = 0;
      i32[(heap + link) >>> 2] = 0;
    }
    i32[header + layout.JOURNAL_OP / 4] = layout.JOURNAL_PRUNE;
  }
  i32[header + layout.JOURNAL_OP / 4] = 0;
}
