// Marking changes alloc bits and the summaries derived from them. Wherever it is interrupted, mend.ts undoes it from
// the journal.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { assert } from "./assertions.ts";
import { clearRange, popcntRange, setRange } from "./bits.ts";
import { summarize } from "./summary.ts";
import { dataOf, leafOf, resummarize, sumOf, updateAbove, updateSummary } from "./tree.ts";

/**
 * Sets the alloc bits of a free range, or clears those of a range in use, and updates the summaries. `firstLeaf` covers
 * the first chunk.
 */
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
    if (PALLOC_DEBUG) {
      assertMapped(memory, leaf, chunk);
      assertPages(memory, leaf, chunk, index, n, !inUse);
    }
    if (inUse) setRange(memory, data, index, n);
    else clearRange(memory, data, index, n);
    if (updateSummary(memory, leaf, chunk, index, n, inUse)) changed = true;
    if (PALLOC_DEBUG) assertSummary(memory, leaf, chunk);
    left -= n;
    // The nodes above a leaf are updated once, after its last chunk.
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

/** Does the same for the pages of the block at `index` that have a 1 in `lower` (the first 32) or `upper`. */
export function markBlock(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  pagesLower: number,
  pagesUpper: number,
  inUse: boolean,
): void {
  const { i32 } = memory;
  if (PALLOC_DEBUG) assertMapped(memory, leaf, chunk);
  const word = (dataOf(leaf, chunk) >>> 2) + (index >>> 5);
  i32[word] = inUse ? i32[word] | pagesLower : i32[word] & ~pagesLower;
  i32[word + 1] = inUse ? i32[word + 1] | pagesUpper : i32[word + 1] & ~pagesUpper;
  // The pages need not be one run, so `updateSummary` does not apply.
  if (resummarize(memory, leaf, chunk)) updateAbove(memory, heap, leaf);
}

/** Asserts that the chunk is one of the leaf's, and mapped. */
export function assertMapped({ i32 }: Memory, leaf: number, chunk: number): void {
  const isLeaf = leaf && i32[(leaf + layout.NODE_FIRST) >>> 2] === (chunk & -layout.FANOUT);
  const shape = i32[(leaf + layout.NODE_SHAPE) >>> 2];
  assert(
    Boolean(isLeaf) && ((shape >>> (chunk & (layout.FANOUT - 1))) & 1) === 1,
    `chunk ${chunk} is mapped`,
  );
}

/** Asserts that all pages of a range within a chunk are in use, or all free. */
export function assertPages(
  memory: Memory,
  leaf: number,
  chunk: number,
  index: number,
  n: number,
  inUse: boolean,
): void {
  const used = popcntRange(memory, dataOf(leaf, chunk), index, n);
  assert(used === (inUse ? n : 0), `all pages of the range are ${inUse ? "in use" : "free"}`);
}

/** Asserts that the summary of a chunk is what its bits say. */
export function assertSummary(memory: Memory, leaf: number, chunk: number): void {
  assert(
    sumOf(memory, leaf, chunk) === summarize(memory, dataOf(leaf, chunk)),
    `the summary of chunk ${chunk} is what its bits say`,
  );
}
