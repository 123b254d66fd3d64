// Commits. A commit is the second step of a call, after everything that can be undone. It calls no function, so no
// stack overflow can interrupt it, and it happens completely or not at all.
//
// The twin has a text of its own, as it cannot say what must be inlined.

import { assertHeld } from "../build/both/assertions";
import { count, lowerSearch, toTop } from "../build/both/fields";
import { close, isShared } from "../build/both/journal";
import { dataOf } from "../build/both/sums";
import * as layout from "../src/engine/layout";
import { saveCounts, saveFields, saveFree } from "./save";

/**
 * Commits a change of a range. With JOURNAL_CLAIM the range is now in use, with JOURNAL_UNCLAIM it is free, with
 * JOURNAL_SCAVENGE its free pages are scavenged. `scavenged` is how many of its pages were scavenged before, or become
 * scavenged. `runs` is the number of runs released, or 0 if the change does not count as a release. With JOURNAL_NEW
 * the record JOURNAL_REF holds the range from now on. With JOURNAL_DROP it no longer does.
 */
export function commitRange(
  heap: usize,
  firstLeaf: usize,
  op: u32,
  first: u32,
  from: u32,
  npages: u32,
  scavenged: u32,
  runs: u32,
  scavEnd: f64,
): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  if (isShared(heap)) saveCommit(heap, op, first, from, npages, scavenged, runs, scavEnd);
  if (op & layout.JOURNAL_CLAIM) {
    countTaken(heap, npages, scavenged);
    if (op & layout.JOURNAL_COUNTED) {
      store<u32>(heap, scavenged, layout.HEADER_LAST_SCAVENGED);
      total(heap, 1, layout.HEADER_ALLOCS);
    } else {
      count(heap, 1, layout.HEADER_CHANGES);
    }
  } else if (op & layout.JOURNAL_UNCLAIM) {
    count(heap, -npages, layout.HEADER_IN_USE);
    if (op & layout.JOURNAL_COUNTED) total(heap, 1, layout.HEADER_FREES);
    else count(heap, 1, layout.HEADER_CHANGES);
    lowerSearch(heap, first, from);
  }
  if (scavenged) {
    if (runs) {
      countReleased(heap, scavenged, runs);
    } else if (op & layout.JOURNAL_SCAVENGE) {
      count(heap, scavenged, layout.HEADER_RELEASED);
      count(heap, 1, layout.HEADER_CHANGES);
    }
  }
  if (scavenged || op & layout.JOURNAL_UNCLAIM) changeChunks(heap, firstLeaf, op, first, from, npages, scavenged != 0);
  if (op & layout.JOURNAL_MOVE) store<f64>(heap, scavEnd, layout.HEADER_SCAV_END);
  if (op & (layout.JOURNAL_NEW | layout.JOURNAL_DROP)) {
    const record = heap + load<u32>(heap, layout.JOURNAL_REF);
    store<u32>(record, first, layout.RECORD_CHUNK);
    store<u32>(record, from, layout.RECORD_INDEX);
    store<u32>(record, op & layout.JOURNAL_NEW ? npages : 0, layout.RECORD_NPAGES);
    if (op & layout.JOURNAL_DECLINED) store<u32>(heap, 1, layout.HEADER_SCAV_STRICT);
    if (op & layout.JOURNAL_UNCOUNT) total(heap, -1, layout.HEADER_ALLOCS);
  }
  // Ends the commit. If a record is to be dropped next, the journal still says so.
  store<u32>(heap, op & layout.JOURNAL_DROP, layout.JOURNAL_OP);
}

/** Writes down in a shared heap what `commitRange` is about to do, and saves the fields that it changes. */
// @ts-ignore: decorator
@inline
export function saveCommit(
  heap: usize,
  op: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  scavenged: u32,
  runs: u32,
  scavEnd: f64,
): void {
  store<u32>(heap, chunk, layout.JOURNAL_CHUNK);
  store<u32>(heap, index, layout.JOURNAL_INDEX);
  store<u32>(heap, npages, layout.JOURNAL_NPAGES);
  store<u32>(heap, scavenged, layout.JOURNAL_SCAVENGED);
  store<u32>(heap, runs, layout.JOURNAL_RUNS);
  store<f64>(heap, scavEnd, layout.JOURNAL_SCAV_END);
  // A commit that changes only counts saves only those.
  if (op == (layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED)) saveFree(heap, op);
  else if (op == (layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED)) saveCounts(heap, op);
  else saveFields(heap, op);
}

/** Moves scavAddr below a chunk of the leaf. With JOURNAL_CLEAR, also clears the chunk's candidate bit. */
export function commitPassed(heap: usize, leaf: usize, op: u32, chunk: u32, scavEnd: f64): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  if (isShared(heap)) {
    store<u32>(heap, chunk, layout.JOURNAL_CHUNK);
    store<f64>(heap, scavEnd, layout.JOURNAL_SCAV_END);
    saveFields(heap, op);
  }
  store<f64>(heap, scavEnd, layout.HEADER_SCAV_END);
  if (op & layout.JOURNAL_CLEAR) {
    let node = leaf;
    for (let shift: u32 = 0; ; shift += layout.FANOUT_SHIFT) {
      const marks = load<u32>(node, layout.NODE_CANDIDATES) & ~(1 << ((chunk >> shift) & (layout.FANOUT - 1)));
      store<u32>(node, marks, layout.NODE_CANDIDATES);
      const parent = load<u32>(node, layout.NODE_PARENT);
      // A node that has another candidate keeps its bit in the parent.
      if (marks || !parent) break;
      node = heap + parent;
    }
  }
  close(heap);
}

/**
 * Commits a refill: the cache JOURNAL_REF owns the pages in JOURNAL_CACHE. With JOURNAL_COUNTED these pages have just
 * come into use.
 */
export function commitRefill(heap: usize, leaf: usize, op: u32, chunk: u32, index: u32): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  if (isShared(heap)) {
    store<u32>(heap, chunk, layout.JOURNAL_CHUNK);
    store<u32>(heap, index, layout.JOURNAL_INDEX);
    saveFields(heap, op);
  }
  const cache = load<u64>(heap, layout.JOURNAL_CACHE);
  const scav = load<u64>(heap, layout.JOURNAL_SCAV);
  const ref = load<u32>(heap, layout.JOURNAL_REF);
  const record = heap + ref;
  if (op & layout.JOURNAL_COUNTED) {
    countTaken(heap, <u32>popcnt(cache), <u32>popcnt(scav));
    total(heap, 1, layout.HEADER_ALLOCS);
    const word = dataOf(leaf, chunk) + (index >> 3);
    store<u64>(word, load<u64>(word, layout.DATA_SCAVENGED) & ~cache, layout.DATA_SCAVENGED);
  }
  placeRecord(heap, leaf, ref, chunk, index);
  store<u32>(record, chunk, layout.RECORD_CHUNK);
  store<u32>(record, index, layout.RECORD_INDEX);
  store<u32>(record, layout.CACHE_PAGES, layout.RECORD_NPAGES);
  store<u64>(record, cache, layout.RECORD_CACHE);
  store<u64>(record, scav, layout.RECORD_SCAV);
  close(heap);
}

/**
 * Commits a flush: the pages in JOURNAL_CACHE are now free. The cache JOURNAL_REF owned them, and its record is dropped
 * next.
 */
export function commitFlush(heap: usize, leaf: usize, op: u32, chunk: u32, index: u32): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  saveFields(heap, op);
  const cache = load<u64>(heap, layout.JOURNAL_CACHE);
  const scav = load<u64>(heap, layout.JOURNAL_SCAV);
  lowerSearch(heap, chunk, index + <u32>ctz(cache));
  count(heap, -(<u32>popcnt(cache)), layout.HEADER_IN_USE);
  count(heap, <u32>popcnt(scav), layout.HEADER_RELEASED);
  total(heap, 1, layout.HEADER_FREES);
  const word = dataOf(leaf, chunk) + (index >> 3);
  store<u64>(word, load<u64>(word, layout.DATA_SCAVENGED) | scav, layout.DATA_SCAVENGED);
  if (cache != scav) markCandidate(heap, leaf, chunk);
  store<u64>(heap + load<u32>(heap, layout.JOURNAL_REF), 0, layout.RECORD_CACHE);
  store<u32>(heap, layout.JOURNAL_DROP, layout.JOURNAL_OP);
}

/**
 * Moves a cache to the list of its new block. Removes empty caches from that list, because every free in the block
 * walks it. The region must have room for an index.
 */
// @ts-ignore: decorator
@inline
function placeRecord(heap: usize, leaf: usize, ref: u32, chunk: u32, index: u32): void {
  let blocks = load<u32>(leaf, layout.LEAF_BLOCKS);
  if (!blocks) {
    blocks = load<u32>(heap, layout.HEADER_USED);
    memory.fill(heap + blocks, 0, layout.BLOCKS_BYTES);
    // If a worker dies between these stores, mend.ts zeroes LEAF_BLOCKS again, because it is not below the restored
    // HEADER_USED.
    store<u32>(leaf, blocks, layout.LEAF_BLOCKS);
    store<u32>(heap, blocks + layout.BLOCKS_BYTES, layout.HEADER_USED);
  }
  unplaceRecord(heap, ref);
  const slot = blocks + (((chunk & (layout.FANOUT - 1)) << 5) | ((index >> 6) << 2));
  let link = heap + slot;
  for (let other = load<u32>(link); other; other = load<u32>(link)) {
    if (load<u64>(heap + other, layout.RECORD_CACHE)) {
      link = heap + other + layout.RECORD_BESIDE;
    } else {
      store<u32>(heap + other, 0, layout.RECORD_SLOT);
      store<u32>(link, load<u32>(heap + other, layout.RECORD_BESIDE));
    }
  }
  store<u32>(heap + ref, load<u32>(heap + slot), layout.RECORD_BESIDE);
  store<u32>(heap + ref, slot, layout.RECORD_SLOT);
  store<u32>(heap + slot, ref);
}

/** Takes a cache out of its block's list, if it is in one. */
// @ts-ignore: decorator
@inline
export function unplaceRecord(heap: usize, ref: u32): void {
  const slot = load<u32>(heap + ref, layout.RECORD_SLOT);
  if (slot) {
    let link = heap + slot;
    let next = load<u32>(link);
    // A redo may find the cache out of the list already.
    while (next && next != ref) {
      link = heap + next + layout.RECORD_BESIDE;
      next = load<u32>(link);
    }
    if (next) store<u32>(link, load<u32>(heap + ref, layout.RECORD_BESIDE));
    store<u32>(heap + ref, 0, layout.RECORD_SLOT);
  }
}

/**
 * Updates the chunks of a range. If `scavenged`, sets the scavenged bits of its free pages (JOURNAL_SCAVENGE) or clears
 * those of all its pages. Otherwise sets the candidate bits of its chunks. `leaf` is 0 if the first chunk is a hole.
 */
// @ts-ignore: decorator
@inline
function changeChunks(
  heap: usize,
  leaf: usize,
  op: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  scavenged: bool,
): void {
  const set = (op & layout.JOURNAL_SCAVENGE) != 0;
  let left = npages;
  for (;;) {
    const n = min(left, layout.CHUNK_PAGES - index);
    if (leaf && !scavenged) {
      markCandidate(heap, leaf, chunk);
    } else if (leaf) {
      const data = dataOf(leaf, chunk);
      const end = index + n;
      while (index < end) {
        const word = data + ((index >> 6) << 3);
        const bits = min(64 - (index & 63), end - index);
        const range = (~(<u64>0) >> (64 - bits)) << index;
        const was = load<u64>(word, layout.DATA_SCAVENGED);
        store<u64>(word, set ? was | (range & ~load<u64>(word)) : was & ~range, layout.DATA_SCAVENGED);
        index += bits;
      }
    }
    left -= n;
    if (!left) break;
    chunk++;
    index = 0;
    leaf = mappedLeafAt(heap, chunk);
  }
}

/** Adds to an f64 of the header. */
// @ts-ignore: decorator
@inline
export function total(heap: usize, amount: f64, counter: usize): void {
  store<f64>(heap + counter, load<f64>(heap + counter) + amount);
}

/** Counts pages that come into use. `scavenged` of them had been released. */
// @ts-ignore: decorator
@inline
export function countTaken(heap: usize, npages: u32, scavenged: u32): void {
  const inUse = load<u32>(heap, layout.HEADER_IN_USE) + npages;
  store<u32>(heap, inUse, layout.HEADER_IN_USE);
  if (inUse > load<u32>(heap, layout.HEADER_PEAK_IN_USE)) store<u32>(heap, inUse, layout.HEADER_PEAK_IN_USE);
  if (scavenged) {
    const released = load<u32>(heap, layout.HEADER_RELEASED) - scavenged;
    store<u32>(heap, released, layout.HEADER_RELEASED);
    const retained = load<u32>(heap, layout.HEADER_PAGES) - released;
    if (retained > load<u32>(heap, layout.HEADER_PEAK_RETAINED)) {
      store<u32>(heap, retained, layout.HEADER_PEAK_RETAINED);
    }
  }
}

/** Counts pages that are released in `runs` runs. */
// @ts-ignore: decorator
@inline
export function countReleased(heap: usize, npages: u32, runs: u32): void {
  count(heap, npages, layout.HEADER_RELEASED);
  total(heap, runs, layout.HEADER_SCAVENGES);
  total(heap, npages, layout.HEADER_SCAVENGED_TOTAL);
}

/** Moves scavAddr to the top of the heap. Pages that a hook has declined can be scavenged again. */
export function reset(heap: usize): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  saveFields(heap, 0);
  toTop(heap);
  store<u32>(heap, 1, layout.HEADER_SCAV_RESET);
  close(heap);
}

/** Does what `mappedLeafOf` does, inline. */
// @ts-ignore: decorator
@inline
function mappedLeafAt(heap: usize, chunk: u32): usize {
  let node: usize = 0;
  if (chunk >= load<u32>(heap, layout.HEADER_START) && chunk < load<u32>(heap, layout.HEADER_END)) {
    node = heap + load<u32>(heap, layout.HEADER_ROOT);
    for (let level = load<u32>(node, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT; level; level--) {
      const slot = (chunk >> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
      node = heap + load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
      if (node == heap) break;
    }
    if (node == heap || !((load<u32>(node, layout.NODE_SHAPE) >> (chunk & (layout.FANOUT - 1))) & 1)) node = 0;
  }
  return node;
}

/** Sets the candidate bit of a chunk of the leaf, and those of the nodes above. */
// @ts-ignore: decorator
@inline
export function markCandidate(heap: usize, leaf: usize, chunk: u32): void {
  let node = leaf;
  for (let shift: u32 = 0; ; shift += layout.FANOUT_SHIFT) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    store<u32>(node, marks | (1 << ((chunk >> shift) & (layout.FANOUT - 1))), layout.NODE_CANDIDATES);
    const parent = load<u32>(node, layout.NODE_PARENT);
    // A node that had a bit set already has its own bit set in all nodes above.
    if (marks || !parent) break;
    node = heap + parent;
  }
}
