// Visits the chunks of a heap, from JavaScript, by following the tree.

import * as layout from "../engine/layout.ts";
import { type PageRange, placeOf, runsOf } from "../engine/pages.ts";
import type { State } from "./state.ts";

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
