// Going over the chunks of a heap, from JavaScript, by following the tree.

import {
  CHUNK_PAGES,
  DATA_BYTES,
  FANOUT,
  HEADER_ROOT,
  LEAF_DATA,
  LEVEL_SHIFT,
  NODE_CHILDREN,
  NODE_FIRST,
  NODE_SHAPE,
} from "../engine/layout.ts";
import { placeOf } from "../engine/pages.ts";
import type { Core } from "../heap/core.ts";
import type { State } from "./state.ts";

/** The chunks that have been grown over, ascending. The lock is held. */
export function chunksOf(core: Core, ref = core.get(HEADER_ROOT), found: number[] = []): number[] {
  if (!ref) return found;
  const shape = core.get(ref + NODE_SHAPE);
  for (let slot = 0; slot < FANOUT; slot++) {
    if (shape >>> LEVEL_SHIFT) chunksOf(core, core.get(ref + NODE_CHILDREN + 4 * slot), found);
    else if ((shape >>> slot) & 1) found.push(core.get(ref + NODE_FIRST) + slot);
  }
  return found;
}

/**
 * Visits the pages from `first` to `end`, chunk by chunk: where the chunk's bitmaps are in linear memory, 0 for a hole, and
 * which of its pages are meant. The lock is held.
 */
export function eachPart(
  state: State,
  first: number,
  end: number,
  visit: (data: number, index: number, npages: number) => void,
): void {
  for (let page = first; page < end; ) {
    const { chunk, index } = placeOf(page);
    const npages = Math.min(end - page, CHUNK_PAGES - index);
    const leaf = state.engine.mappedLeafOf(state.at, chunk) >>> 0;
    visit(leaf && leaf + LEAF_DATA + (chunk % FANOUT) * DATA_BYTES, index, npages);
    page += npages;
  }
}
