// Unmapping. Pages become holes. Nodes that are left without a mapped page are taken out of the tree, and are free for
// the next `map`. Calls are rare, so both engines use this one text.

import * as layout from "../engine/layout.ts";
import type { State } from "./state.ts";

/**
 * Commits the unmapping of the range in the journal. Its pages are marked as in use. This makes holes of them, and then
 * takes the nodes without a mapped page out of the tree, one by one. Each of these parts is redone by itself: after a
 * worker has died, a second call goes on with the part that it died in. Caller must hold the lock.
 *
 * As in every commit, no function is called once the heap has begun to change. That is why this is one long function.
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

  // Part 1: the pages.
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
    // Rounded up to a whole chunk: the store drops the fraction.
    i32[header + layout.HEADER_END / 4] = (top + layout.CHUNK_PAGES - 1) / layout.CHUNK_PAGES;
    f64[(heap + layout.HEADER_TOP) >>> 3] = top;
    if (f64[(heap + layout.HEADER_SCAV_END) >>> 3] > top) f64[(heap + layout.HEADER_SCAV_END) >>> 3] = top;
    // No page below searchAddr is free. If it is not below the top, no page at all is.
    const search = i32[header + layout.HEADER_SEARCH_CHUNK / 4] * layout.CHUNK_PAGES;
    if (search + i32[header + layout.HEADER_SEARCH_INDEX / 4] >= top) {
      i32[header + layout.HEADER_SEARCH_CHUNK / 4] = layout.NO_CHUNK;
      i32[header + layout.HEADER_SEARCH_INDEX / 4] = 0;
    }

    // The bitmaps, chunk by chunk. The path from the root is followed once per leaf.
    let leaf = 0;
    let index = from;
    for (let left = npages; ; chunk++) {
      const part = chunk & (layout.FANOUT - 1);
      if (!leaf || !part) {
        let ref = i32[header + layout.HEADER_ROOT / 4];
        for (let level = i32[(heap + ref + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT; level; level--) {
          const slot = (chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
          ref = i32[((heap + ref + layout.NODE_CHILDREN) >>> 2) + slot];
        }
        leaf = heap + ref;
      }
      const n = left < layout.CHUNK_PAGES - index ? left : layout.CHUNK_PAGES - index;
      const data = (leaf + layout.LEAF_DATA + part * layout.DATA_BYTES) >>> 2;
      const bit = 1 << part;
      // Not 0 if the chunk keeps a mapped page.
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
        // The leaf's bits go first: a redo must not take words that are 0 already for free pages.
        i32[(leaf + layout.NODE_SHAPE) >>> 2] &= ~bit;
        i32[(leaf + layout.LEAF_PARTIAL) >>> 2] &= ~bit;
        for (let word = data; word < data + layout.DATA_BYTES / 4; word++) i32[word] = 0;
        // A hole has no candidate. A node above loses its bit too if no other part below it has one.
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

  // Part 2: the nodes over the range. Of each chunk, the lowest node over it goes if nothing is left below that node.
  const end = first + ((from + npages + layout.CHUNK_PAGES - 1) >>> layout.CHUNK_SHIFT);
  // A worker may have died while it took out a node. That one comes first, as the journal describes it.
  let found = op & layout.JOURNAL_PRUNE && op & layout.JOURNAL_FIELDS;
  for (chunk = first; found || chunk < end; found = 0) {
    if (!found) {
      // Follows the path to the chunk as far as there are nodes.
      let ref = 0;
      let level = 0;
      // Ref of the word that leads to the node.
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
      // If this node goes, the next turn looks over the same chunk: the node above may be empty then.
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
    // Caches that have used up their pages may still be in the lists of the leaf, which may get other chunks next.
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
