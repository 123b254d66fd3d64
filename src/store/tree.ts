// Going over the chunks of a heap, from JavaScript, by following the tree.

import * as layout from "../engine/layout.ts";
import { type PageRange, placeOf, runsOf } from "../engine/pages.ts";
import type { State } from "./state.ts";

/** The chunks that have been grown over, ascending. Caller must hold the lock. */
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
 * Visits the pages from `first` to `end`, chunk by chunk: where the chunk's bitmaps are in linear memory, 0 for a hole,
 * and which of its pages are meant. Caller must hold the lock.
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

/** The runs of pages that are mapped, of the chunk whose bitmaps are there in linear memory. */
export function mappedRuns({ engine }: State, data: number): PageRange[] {
  const { i32 } = engine.memory;
  const first = data >>> 2;
  const holes = (word: number) => i32[word] & i32[word + layout.DATA_SCAVENGED / 4];
  const isMapped = (i: number) => !((holes(first + (i >>> 5)) >>> (i & 31)) & 1);
  // Hardly any chunk has holes: that is seen faster by words.
  for (let word = first; word < first + layout.BITMAP_BYTES / 4; word++) {
    if (holes(word)) return runsOf(isMapped, layout.CHUNK_PAGES);
  }
  return [[0, layout.CHUNK_PAGES]];
}
