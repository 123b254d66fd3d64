// Marking: alloc bits, and what is derived from them. It can be broken off anywhere and undone.

import * as layout from "../src/engine/layout";
import { clearRange, setRange } from "./bits";
import { dataOf, leafOf, resummarize, updateAbove, updateSummary } from "./tree";

/** Brings a range into use, all of which is free, or frees one that is all in use. `leaf` covers its first chunk. */
export function markRange(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32, inUse: bool): void {
  let left = npages;
  let changed = false;
  for (;;) {
    const n = min(left, layout.CHUNK_PAGES - index);
    const data = dataOf(leaf, chunk);
    if (inUse) setRange(data, index, n);
    else clearRange(data, index, n);
    if (updateSummary(leaf, chunk, index, n, inUse)) changed = true;
    left -= n;
    const leaves = !left || (chunk & (layout.FANOUT - 1)) == layout.FANOUT - 1;
    if (leaves && changed) {
      updateAbove(heap, leaf);
      changed = false;
    }
    if (!left) return;
    chunk++;
    index = 0;
    if (leaves) leaf = leafOf(heap, chunk);
  }
}

/** The same for those pages of the block at `index` that have a 1 in `pages`. */
export function markBlock(heap: usize, leaf: usize, chunk: u32, index: u32, pages: u64, inUse: bool): void {
  const word = dataOf(leaf, chunk) + (index >> 3);
  const alloc = load<u64>(word);
  store<u64>(word, inUse ? alloc | pages : alloc & ~pages);
  if (resummarize(leaf, chunk)) updateAbove(heap, leaf);
}
