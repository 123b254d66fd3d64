// Visits the chunks of a heap and its free nodes, from JavaScript.

import * as layout from "../engine/layout.ts";
import { type PageRange, placeOf, runsOf } from "../engine/pages.ts";
import type { State } from "./state.ts";

/** The lists of free nodes: those of leaves, and those of nodes of level 1 and up. */
export const freeLists = [
  {
    kind: "free leaf",
    head: layout.HEADER_FREE_LEAVES,
    next: layout.LEAF_NEXT,
    bytes: layout.LEAF_BYTES,
    /** The bytes [from, to) that are 0 in a free node. */
    zeros: [
      [layout.NODE_PARENT, layout.LEAF_BLOCKS],
      [layout.LEAF_PARTIAL, layout.LEAF_NEXT],
      [layout.LEAF_DATA, layout.LEAF_BYTES],
    ],
  },
  {
    kind: "free node",
    head: layout.HEADER_FREE_NODES,
    next: layout.NODE_NEXT,
    bytes: layout.NODE_BYTES,
    zeros: [[layout.NODE_PARENT, layout.NODE_NEXT]],
  },
];

/** Returns the refs of the nodes in a list of free ones, of the first `most` at most. Caller must hold the lock. */
export function refsIn(state: State, list: (typeof freeLists)[number], most = Infinity): number[] {
  const refs: number[] = [];
  for (let ref = state.get(list.head); ref && refs.length < most; ref = state.get(ref + list.next))
    refs.push(ref);
  return refs;
}

/** Returns the indices of the mapped chunks, ascending. Caller must hold the lock. */
export function chunksOf(state: State, ref = state.get(layout.HEADER_ROOT), found: number[] = []): number[] {
  if (!ref) return found;
  const shape = state.get(ref + layout.NODE_SHAPE);
  for (let slot = 0; slot < layout.FANOUT; slot++) {
    if (shape >>> layout.LEVEL_SHIFT)
      chunksOf(state, state.get(ref + layout.NODE_CHILDREN + 4 * slot), found);
    else if ((shape >>> slot) & 1) found.push(state.get(ref + layout.NODE_FIRST) + slot);
  }
  return found;
}

/**
 * Returns the lowest mapped chunk from `chunk` upward or, with `down`, the highest from it downward; -1 if there is
 * none. Caller must hold the lock.
 */
export function nearestChunk(
  state: State,
  chunk: number,
  down: boolean,
  ref = state.get(layout.HEADER_ROOT),
): number {
  if (!ref) return -1;
  const shape = state.get(ref + layout.NODE_SHAPE);
  const level = shape >>> layout.LEVEL_SHIFT;
  const chunks = layout.FANOUT ** level;
  for (let i = 0; i < layout.FANOUT; i++) {
    const slot = down ? layout.FANOUT - 1 - i : i;
    const first = state.get(ref + layout.NODE_FIRST) + slot * chunks;
    if (down ? first > chunk : first + chunks <= chunk) continue;
    const isMapped = !level && (shape >>> slot) & 1;
    const found = level
      ? nearestChunk(state, chunk, down, state.get(ref + layout.NODE_CHILDREN + 4 * slot))
      : isMapped
        ? first
        : -1;
    if (found >= 0) return found;
  }
  return -1;
}

/**
 * Visits the pages [first, end) chunk by chunk. `visit` gets the address of the chunk's bitmaps in linear memory (0 for
 * a hole), and the pages within the chunk. Caller must hold the lock.
 */
export function eachPart(
  state: State,
  first: number,
  end: number,
  visit: (data: number, index: number, npages: number) => void,
): void {
  for (let page = first; page < end; ) {
    const { chunk, index } = placeOf(page);
    const npages = Math.min(end - page, layout.CHUNK_PAGES - index);
    const leaf = state.engine.mappedLeafOf(state.at, chunk) >>> 0;
    visit(leaf && leaf + layout.LEAF_DATA + (chunk % layout.FANOUT) * layout.DATA_BYTES, index, npages);
    page += npages;
  }
}

/** Returns the runs of mapped pages of a chunk. `data` is the address of its bitmaps in linear memory. */
export function mappedRuns({ engine }: State, data: number): PageRange[] {
  const { i32 } = engine.memory;
  const first = data >>> 2;
  const holes = (word: number) => i32[word] & i32[word + layout.DATA_SCAVENGED / 4];
  const isMapped = (i: number) => !((holes(first + (i >>> 5)) >>> (i & 31)) & 1);
  // Few chunks have holes, and whole words show that faster.
  for (let word = first; word < first + layout.BITMAP_BYTES / 4; word++) {
    if (holes(word)) return runsOf(isMapped, layout.CHUNK_PAGES);
  }
  return [[0, layout.CHUNK_PAGES]];
}
