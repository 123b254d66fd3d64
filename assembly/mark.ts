// Marking changes alloc bits and the summaries derived from them. Wherever it is interrupted, mend.ts undoes it from
// the journal.

import * as layout from "../src/engine/layout";
import { clearRange, popcntRange, setRange } from "./bits";
import { summarize } from "./summary";
import { dataOf, leafOf, resummarize, updateAbove, updateSummary, sumOf } from "./tree";

/**
 * Sets the alloc bits of a free range, or clears those of a range in use, and updates the summaries. `firstLeaf` covers
 * the first chunk.
 */
export function markRange(heap: usize, firstLeaf: usize, first: u32, from: u32, npages: u32, inUse: bool): void {
  let leaf = firstLeaf;
  let chunk = first;
  let index = from;
  let left = npages;
  let changed = false;
  for (;;) {
    const n = min(left, layout.CHUNK_PAGES - index);
    const data = dataOf(leaf, chunk);
    assertMapped(leaf, chunk);
    assertPages(leaf, chunk, index, n, !inUse);
    if (inUse) setRange(data, index, n);
    else clearRange(data, index, n);
    if (updateSummary(leaf, chunk, index, n, inUse)) changed = true;
    assertSummary(leaf, chunk);
    left -= n;
    // The nodes above a leaf are updated once, after its last chunk.
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

/** Does the same for the pages of the block at `index` that have a 1 in `pages`. */
export function markBlock(heap: usize, leaf: usize, chunk: u32, index: u32, pages: u64, inUse: bool): void {
  assertMapped(leaf, chunk);
  const word = dataOf(leaf, chunk) + (index >> 3);
  const alloc = load<u64>(word);
  store<u64>(word, inUse ? alloc | pages : alloc & ~pages);
  // The pages need not be one run, so `updateSummary` does not apply.
  if (resummarize(leaf, chunk)) updateAbove(heap, leaf);
}

/** Asserts that the chunk is one of the leaf's, and mapped. */
// @ts-ignore: decorator
@inline
export function assertMapped(leaf: usize, chunk: u32): void {
  if (ASC_NO_ASSERT) return;
  assert(leaf != 0);
  assert(load<u32>(leaf, layout.NODE_FIRST) == (chunk & -layout.FANOUT));
  assert(((load<u32>(leaf, layout.NODE_SHAPE) >> (chunk & (layout.FANOUT - 1))) & 1) != 0);
}

/** Asserts that all pages of a range within a chunk are in use, or all free. */
// @ts-ignore: decorator
@inline
export function assertPages(leaf: usize, chunk: u32, index: u32, n: u32, inUse: bool): void {
  if (!ASC_NO_ASSERT) assert(popcntRange(dataOf(leaf, chunk), index, n) == (inUse ? n : 0));
}

/** Asserts that the summary of a chunk is what its bits say. */
// @ts-ignore: decorator
@inline
export function assertSummary(leaf: usize, chunk: u32): void {
  if (!ASC_NO_ASSERT) assert(sumOf(leaf, chunk) == summarize(dataOf(leaf, chunk)));
}
