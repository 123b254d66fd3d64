// Changes of pages within one chunk, which most allocs and frees are. What takes a mark and a commit in a longer range
// happens here in one go: the leaf is found once, and a new summary is not read back from memory. Once `change` has
// changed anything it calls no function, so no stack overflow can interrupt it. So only a shared heap needs a journal.
//
// The twin has a text of its own, as it cannot say what must be inlined.

import { assertHeld } from "../build/both/assertions";
import { count, lowerSearch } from "../build/both/fields";
import { close, isShared, write } from "../build/both/journal";
import { assertMapped, assertPages, assertSummary } from "../build/both/mark";
import { dataOf, endOf, maxOf, pack, startOf, sumOf } from "../build/both/sums";
import * as layout from "../src/engine/layout";
import { clearBits, countBits, countFreeAbove, countFreeBelow, isFull, setBits } from "./bits";
import { commitRange, countReleased, countTaken, markCandidate, saveCommit, total } from "./commit";
import { setSummary } from "./merge";
import { sumUp } from "./summary";

/** Allocates free pages of one chunk. Updates all that `markRange` and `commitRange` do. */
export function claim(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  change(heap, leaf, chunk, index, npages, true);
}

/** Frees pages of one chunk that are in use, in the same way. */
export function unclaim(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): void {
  change(heap, leaf, chunk, index, npages, false);
}

/** Does either. As it is inlined, the compiler leaves out what the other needs. */
// @ts-ignore: decorator
@inline
function change(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32, inUse: bool): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  if (PALLOC_DEBUG) assertMapped(leaf, chunk);
  if (PALLOC_DEBUG) assertPages(leaf, chunk, index, npages, !inUse);
  const op: u32 = (inUse ? layout.JOURNAL_CLAIM : layout.JOURNAL_UNCLAIM) | layout.JOURNAL_COUNTED;
  const data = dataOf(leaf, chunk);
  const was = sumOf(leaf, chunk);
  const some = inUse && load<u32>(heap, layout.HEADER_RELEASED) != 0;
  const scavenged = some ? countBits(data + layout.DATA_SCAVENGED, index, npages) : 0;
  if (isShared(heap)) write(heap, op, chunk, index, npages);
  if (inUse) setBits(data, index, npages);
  else clearBits(data, index, npages);

  const end = index + npages;
  const rest = layout.CHUNK_PAGES - end;
  let sum: u32 = 0;
  if (was == (inUse ? layout.SUM_FREE : 0)) {
    // All pages were as these were, so the bitmap has nothing to add.
    sum = inUse ? pack(index, max(index, rest), rest) : pack(index ? 0 : npages, npages, rest ? 0 : npages);
  } else {
    const below = countFreeBelow(data, index);
    const above = countFreeAbove(data, end);
    // The free run around the pages, as it was before an alloc, or is after a free.
    const run = below + npages + above;
    // The start changes only if all pages below the run are free, and the end only if all above it are.
    const first = below != index ? startOf(was) : inUse ? below : run;
    const last = above != rest ? endOf(was) : inUse ? above : run;
    const longest = maxOf(was);
    // Only the bitmap can tell how long the next longest run is. If the run was shorter, the longest is still there.
    if (!inUse || run != longest) sum = pack(first, inUse ? longest : max(longest, run), last);
    else if (!isFull(data)) sum = sumUp(data);
  }
  if (sum != was) setSummary(heap, leaf, chunk, was, sum);
  if (PALLOC_DEBUG) assertSummary(leaf, chunk);

  if (isShared(heap)) saveCommit(heap, op, chunk, index, npages, scavenged, 0, 0);
  if (inUse) {
    countTaken(heap, npages, scavenged);
    store<u32>(heap, scavenged, layout.HEADER_LAST_SCAVENGED);
    total(heap, 1, layout.HEADER_ALLOCS);
    if (scavenged) clearBits(data + layout.DATA_SCAVENGED, index, npages);
  } else {
    count(heap, -npages, layout.HEADER_IN_USE);
    total(heap, 1, layout.HEADER_FREES);
    lowerSearch(heap, chunk, index);
    markCandidate(heap, leaf, chunk);
  }
  if (isShared(heap)) close(heap);
}

/** Releases the run `hit` of a chunk, packed as findScavengeCandidate does, and moves scavAddr. Returns its pages. */
// @ts-ignore: decorator
@inline
export function releaseRun(heap: usize, leaf: usize, chunk: u32, hit: u32, scavEnd: f64): i32 {
  const index = hit & 0xffff;
  const npages = hit >> 16;
  if (isShared(heap)) {
    commitRange(heap, leaf, layout.JOURNAL_SCAVENGE | layout.JOURNAL_MOVE, chunk, index, npages, npages, 1, scavEnd);
  } else {
    // The same without a journal. It calls no function, and pages of a candidate are all free and unscavenged.
    countReleased(heap, npages, 1);
    setBits(dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, npages);
    store<f64>(heap, scavEnd, layout.HEADER_SCAV_END);
  }
  return npages;
}
