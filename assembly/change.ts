// Changes of pages within one chunk, which most allocs and frees are. What takes a mark and a commit in a longer range
// happens here in one go: the leaf is found once, and a new summary is not read back from memory. Once `change` has
// changed anything it calls no function, so no stack overflow can interrupt it. So only a shared heap needs a journal.

import * as layout from "../src/engine/layout";
import { assertHeld } from "./assertions";
import { clearBits, countFreeAbove, countFreeBelow, isFull, setBits } from "./bits";
import { count, countTaken, lowerSearch, saveCommit, total } from "./commit";
import { close, isShared, write } from "./journal";
import { assertMapped, assertPages, assertSummary } from "./mark";
import { endOf, maxOf, pack, startOf, sumUp } from "./summary";
import { dataOf, markCandidate, raiseLongest, updateAboveLeaf } from "./tree";

/**
 * Allocates free pages of one chunk, or frees pages in use. Updates all that `markRange` and `commitRange` do.
 * `scavenged` is how many of the pages are scavenged; 0 if they are in use.
 */
export function change(
  heap: usize,
  leaf: usize,
  chunk: u32,
  index: u32,
  npages: u32,
  inUse: bool,
  scavenged: u32,
): void {
  assertHeld(heap);
  assertMapped(leaf, chunk);
  assertPages(leaf, chunk, index, npages, !inUse);
  const op: u32 = inUse ? layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED : layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED;
  const slot = chunk & (layout.FANOUT - 1);
  const part = leaf + (slot << 2);
  const data = dataOf(leaf, chunk);
  const was = load<u32>(part, layout.LEAF_SUMS);
  if (isShared(heap)) write(heap, op, chunk, index, npages);
  if (inUse) setBits(data, index, npages);
  else clearBits(data, index, npages);

  const end = index + npages;
  const below = countFreeBelow(data, index);
  const above = countFreeAbove(data, end);
  // The free run around the pages, as it was before an alloc, or is after a free.
  const run = below + npages + above;
  // The start changes only if all pages below the run are free, and the end only if all above it are.
  const first = below != index ? startOf(was) : inUse ? below : run;
  const last = end + above != layout.CHUNK_PAGES ? endOf(was) : inUse ? above : run;
  const longest = maxOf(was);
  if (!inUse && first == startOf(was) && last == endOf(was)) {
    if (run > longest) {
      store<u32>(part, pack(first, run, last), layout.LEAF_SUMS);
      raiseLongest(heap, leaf, run);
    }
  } else {
    let sum: u32 = 0;
    // Only the bitmap can tell how long the next longest run is. If the run was shorter, the longest is still there.
    if (!inUse || run != longest) sum = pack(first, inUse ? longest : max(longest, run), last);
    else if (!isFull(data)) sum = sumUp(data);
    if (sum != was) {
      const lower = v128.load(leaf, layout.LEAF_SUMS);
      const upper = v128.load(leaf, layout.LEAF_SUMS + 16);
      store<u32>(part, sum, layout.LEAF_SUMS);
      updateAboveLeaf(
        heap,
        leaf,
        v128.bitselect(i32x4.splat(sum), lower, i32x4.eq(i32x4.splat(slot), i32x4(0, 1, 2, 3))),
        v128.bitselect(i32x4.splat(sum), upper, i32x4.eq(i32x4.splat(slot), i32x4(4, 5, 6, 7))),
      );
    }
  }
  assertSummary(leaf, chunk);

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
