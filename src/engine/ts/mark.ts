// Marking: alloc bits, and what is derived from them. It can be broken off anywhere and undone.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, setRange } from "./bits.ts";
import { dataOf, leafOf, resummarize, updateAbove, updateSummary } from "./tree.ts";

/** Brings a range into use, all of which is free, or frees one that is all in use. `firstLeaf` covers its first chunk. */
export function markRange(
  memory: Memory,
  heap: number,
  firstLeaf: number,
  first: number,
  from: number,
  npages: number,
  inUse: boolean,
): void {
  let leaf = firstLeaf;
  let chunk = first;
  let index = from;
  let left = npages;
  let changed = false;
  for (;;) {
    const n = Math.min(left, layout.CHUNK_PAGES - index);
    const data = dataOf(leaf, chunk);
    if (inUse) setRange(memory, data, index, n);
    else clearRange(memory, data, index, n);
    if (updateSummary(memory, leaf, chunk, index, n, inUse)) changed = true;
    left -= n;
    const leaves = !left || (chunk & (layout.FANOUT - 1)) === layout.FANOUT - 1;
    if (leaves && changed) {
      updateAbove(memory, heap, leaf);
      changed = false;
    }
    if (!left) return;
    chunk++;
    index = 0;
    if (leaves) leaf = leafOf(memory, heap, chunk);
  }
}

/** The same for those pages of the block at `index` that JOURNAL_CACHE has a 1 for. */
export function markBlock(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  inUse: boolean,
): void {
  const { i32 } = memory;
  const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
  for (let half = 0; half < 2; half++) {
    const pages = i32[((heap + layout.JOURNAL_CACHE) >>> 2) + half];
    i32[word + half] = inUse ? i32[word + half] | pages : i32[word + half] & ~pages;
  }
  if (resummarize(memory, leaf, chunk)) updateAbove(memory, heap, leaf);
}
