// Marking changes alloc bits and the summaries derived from them. Wherever it is interrupted, mend.ts undoes it from
// the journal.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, freeAbove, freeBelow, popcntRange, setRange } from "../ts/bits.ts";
import { assert, type bool, type u32, type usize } from "../ts/builtins.ts";
import { setPart } from "../ts/merge.ts";
import { summarize } from "../ts/summary.ts";
import {
  dataOf,
  endOf,
  maxOf,
  pack,
  partEnd,
  partMax,
  partStart,
  setChunkSummary,
  startOf,
  sumOf,
} from "./sums.ts";
import { leafOf, levelOf } from "./tree.ts";

/**
 * Sets the alloc bits of a free range, or clears those of a range in use, and updates the summaries. `firstLeaf` covers
 * the first chunk.
 */
export function markRange(
  memory: Memory,
  heap: usize,
  firstLeaf: usize,
  first: u32,
  from: u32,
  npages: u32,
  inUse: bool,
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

/**
 * Updates the summary of a chunk of the leaf after a run of its pages has been allocated or freed. Returns whether the
 * summary changed. Looks at the whole bitmap only if an alloc has split the longest run.
 */
function updateSummary(memory: Memory, leaf: usize, chunk: u32, index: u32, npages: u32, inUse: bool): bool {
  const sum = sumOf(memory, leaf, chunk);
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  const below = freeBelow(memory, data, index);
  const above = freeAbove(memory, data, end);
  // The free run around the pages, as it was before an alloc, or is after a free.
  const run = below + npages + above;
  let longest = maxOf(sum);
  if (inUse) {
    // Only the bitmap can tell how long the next longest run is. If the run was shorter, the longest is still there.
    if (run === longest) return resummarize(memory, leaf, chunk);
  } else {
    longest = Math.max(longest, run);
  }
  // The start changes only if all pages below the run are free, and the end only if all above it are.
  const first = below !== index ? startOf(sum) : inUse ? below : run;
  const last = end + above !== layout.CHUNK_PAGES ? endOf(sum) : inUse ? above : run;
  return setChunkSummary(memory, leaf, chunk & (layout.FANOUT - 1), pack(first, longest, last));
}

/** Recomputes the summaries above `node`. Stops at the first that stays the same. */
export function updateAbove(memory: Memory, heap: usize, node: usize): void {
  const { i32 } = memory;
  const level = levelOf(memory, node);
  const first = i32[(node + layout.NODE_FIRST) >>> 2];
  const start = partStart(memory, node, level, 0);
  const longest = partMax(memory, node, level, 0);
  const end = partEnd(memory, node, level, 0);
  setPart(memory, heap, node, layout.FANOUT_SHIFT * level, first, start, longest, end);
}

/** Recomputes the summary of a chunk of the leaf. Returns whether it changed. */
export function resummarize(memory: Memory, leaf: usize, chunk: u32): bool {
  return setChunkSummary(memory, leaf, chunk & (layout.FANOUT - 1), summarize(memory, dataOf(leaf, chunk)));
}

/** Asserts that the chunk is one of the leaf's, and mapped. */
export function assertMapped(memory: Memory, leaf: usize, chunk: u32): void {
  const { i32 } = memory;
  assert(leaf !== 0, "the chunk has a leaf");
  assert(i32[(leaf + layout.NODE_FIRST) >>> 2] === (chunk & -layout.FANOUT), "the leaf has the chunk");
  const shape = i32[(leaf + layout.NODE_SHAPE) >>> 2];
  assert(((shape >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0, "the chunk is mapped");
}

/** Asserts that all pages of a range within a chunk are in use, or all free. */
export function assertPages(memory: Memory, leaf: usize, chunk: u32, index: u32, n: u32, inUse: bool): void {
  const used = popcntRange(memory, dataOf(leaf, chunk), index, n);
  assert(used === (inUse ? n : 0), "all pages of the range are in use, or all free, as they must be");
}

/** Asserts that the summary of a chunk is what its bits say. */
export function assertSummary(memory: Memory, leaf: usize, chunk: u32): void {
  assert(
    sumOf(memory, leaf, chunk) === summarize(memory, dataOf(leaf, chunk)),
    "the summary is what the bits say",
  );
}
