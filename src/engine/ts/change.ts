// Changes of pages within one chunk, which most allocs and frees are. What takes a mark and a commit in a longer range
// happens here in one go: the leaf is found once, and the summaries above change only where they must. As in a commit,
// what cannot be undone calls no function.
//
// assembly/ has a text of its own, whose helpers are functions that are inlined.

import { assertHeld } from "../both/assertions.ts";
import { write } from "../both/journal.ts";
import { assertMapped, assertPages, assertSummary } from "../both/mark.ts";
import { dataOf, endOf, maxOf, pack, startOf, sumOf } from "../both/sums.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, freeAbove, freeBelow, isFull, popcntRange, setRange } from "./bits.ts";
import { commitRange, saveCommit } from "./commit.ts";
import { setSummary } from "./merge.ts";
import { summarize } from "./summary.ts";

/** Allocates free pages of one chunk. Updates all that `markRange` and `commitRange` do. */
export function claim(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  const op = layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED;
  const { i32, f64 } = memory;
  const header = heap >>> 2;
  const data = dataOf(leaf, chunk);
  const isSome = i32[header + layout.HEADER_RELEASED / 4];
  const scavenged = isSome ? popcntRange(memory, data + layout.DATA_SCAVENGED, index, npages) : 0;
  mark(memory, heap, leaf, op, chunk, index, npages, true);
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4])
    saveCommit(memory, heap, op, chunk, index, npages, scavenged, 0, 0);
  const inUse = i32[header + layout.HEADER_IN_USE / 4] + npages;
  i32[header + layout.HEADER_IN_USE / 4] = inUse;
  if (inUse > i32[header + layout.HEADER_PEAK_IN_USE / 4])
    i32[header + layout.HEADER_PEAK_IN_USE / 4] = inUse;
  i32[header + layout.HEADER_LAST_SCAVENGED / 4] = scavenged;
  f64[(heap + layout.HEADER_ALLOCS) >>> 3]++;
  if (scavenged) {
    const released = i32[header + layout.HEADER_RELEASED / 4] - scavenged;
    const retained = i32[header + layout.HEADER_PAGES / 4] - released;
    i32[header + layout.HEADER_RELEASED / 4] = released;
    if (retained > i32[header + layout.HEADER_PEAK_RETAINED / 4])
      i32[header + layout.HEADER_PEAK_RETAINED / 4] = retained;
    const end = index + npages;
    for (let i = index; i < end; ) {
      const bits = end - i < 32 - (i & 31) ? end - i : 32 - (i & 31);
      i32[((data + layout.DATA_SCAVENGED) >>> 2) + (i >>> 5)] &= ~((-1 >>> (32 - bits)) << i);
      i += bits;
    }
  }
  i32[header + layout.JOURNAL_OP / 4] = 0;
}

/** Frees pages of one chunk that are in use, in the same way. */
export function unclaim(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  const op = layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED;
  const { i32, f64 } = memory;
  const header = heap >>> 2;
  mark(memory, heap, leaf, op, chunk, index, npages, false);
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4])
    saveCommit(memory, heap, op, chunk, index, npages, 0, 0, 0);
  i32[header + layout.HEADER_IN_USE / 4] -= npages;
  f64[(heap + layout.HEADER_FREES) >>> 3]++;
  const searched = i32[header + layout.HEADER_SEARCH_CHUNK / 4];
  if (chunk < searched || (chunk === searched && index < i32[header + layout.HEADER_SEARCH_INDEX / 4])) {
    i32[header + layout.HEADER_SEARCH_CHUNK / 4] = chunk;
    i32[header + layout.HEADER_SEARCH_INDEX / 4] = index;
  }
  let node = leaf;
  for (let shift = 0; ; shift += layout.FANOUT_SHIFT) {
    const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    i32[(node + layout.NODE_CANDIDATES) >>> 2] = marks | (1 << ((chunk >>> shift) & (layout.FANOUT - 1)));
    const parent = i32[(node + layout.NODE_PARENT) >>> 2];
    // A node that had a bit set already has its own bit set in all nodes above.
    if (marks || !parent) break;
    node = heap + parent;
  }
  i32[header + layout.JOURNAL_OP / 4] = 0;
}

/** Changes the alloc bits and the summaries of either. */
function mark(
  memory: Memory,
  heap: number,
  leaf: number,
  op: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): void {
  if (PALLOC_DEBUG) {
    assertHeld(memory, heap);
    assertMapped(memory, leaf, chunk);
    assertPages(memory, leaf, chunk, index, npages, !inUse);
  }
  const data = dataOf(leaf, chunk);
  const was = sumOf(memory, leaf, chunk);
  write(memory, heap, op, chunk, index, npages);
  if (inUse) setRange(memory, data, index, npages);
  else clearRange(memory, data, index, npages);

  const end = index + npages;
  const rest = layout.CHUNK_PAGES - end;
  let sum = 0;
  if (was === (inUse ? layout.SUM_FREE : 0)) {
    // All pages were as these were, so the bitmap has nothing to add.
    sum = inUse
      ? pack(index, Math.max(index, rest), rest)
      : pack(index ? 0 : npages, npages, rest ? 0 : npages);
  } else {
    const below = freeBelow(memory, data, index);
    const above = freeAbove(memory, data, end);
    // The free run around the pages, as it was before an alloc, or is after a free.
    const run = below + npages + above;
    // The start changes only if all pages below the run are free, and the end only if all above it are.
    const first = below !== index ? startOf(was) : inUse ? below : run;
    const last = above !== rest ? endOf(was) : inUse ? above : run;
    const longest = maxOf(was);
    // Only the bitmap can tell how long the next longest run is. If the run was shorter, the longest is still there.
    if (!inUse || run !== longest) sum = pack(first, inUse ? longest : Math.max(longest, run), last);
    else if (!isFull(memory, data)) sum = summarize(memory, data);
  }
  if (sum !== was) setSummary(memory, heap, leaf, chunk, was, sum);
  if (PALLOC_DEBUG) assertSummary(memory, leaf, chunk);
}

/** Releases the run `hit` of a chunk, packed as findScavengeCandidate does, and moves scavAddr. Returns its pages. */
export function releaseRun(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  hit: number,
  scavEnd: number,
): number {
  const npages = hit >>> 16;
  const op = layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE;
  commitRange(memory, heap, leaf, op, chunk, hit & 0xffff, npages, npages, 1, scavEnd);
  return npages;
}
