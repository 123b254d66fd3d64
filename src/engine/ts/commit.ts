// Commits. A commit is the second step of a call, after everything that can be undone. It calls no function once it
// changes more than the journal, so no stack overflow can interrupt it, and it happens completely or not at all. That
// is why the code here repeats functions of other files inline.
//
// assembly/ has a text of its own, whose helpers are functions that are inlined.

import { assertHeld } from "../both/assertions.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { ctz, popcnt } from "./bits.ts";
import { saveAll, saveCounts, saveFree } from "./save.ts";

/**
 * Commits a change of a range. With JOURNAL_CLAIM the range is now in use, with JOURNAL_UNCLAIM it is free, with
 * JOURNAL_SCAVENGE its free pages are scavenged. `scavenged` is how many of its pages were scavenged before, or become
 * scavenged. `runs` is the number of runs released, or 0 if the change does not count as a release. With JOURNAL_NEW
 * the record JOURNAL_REF holds the range from now on. With JOURNAL_DROP it no longer does.
 */
export function commitRange(
  memory: Memory,
  heap: number,
  firstLeaf: number,
  op: number,
  first: number,
  from: number,
  npages: number,
  scavenged: number,
  runs: number,
  scavEnd: number,
): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32, f64 } = memory;
  const header = heap >>> 2;
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4])
    saveCommit(memory, heap, op, first, from, npages, scavenged, runs, scavEnd);
  if (op & layout.JOURNAL_CLAIM) {
    const inUse = i32[header + layout.HEADER_IN_USE / 4] + npages;
    i32[header + layout.HEADER_IN_USE / 4] = inUse;
    if (inUse > i32[header + layout.HEADER_PEAK_IN_USE / 4])
      i32[header + layout.HEADER_PEAK_IN_USE / 4] = inUse;
    if (scavenged) {
      const released = i32[header + layout.HEADER_RELEASED / 4] - scavenged;
      const retained = i32[header + layout.HEADER_PAGES / 4] - released;
      i32[header + layout.HEADER_RELEASED / 4] = released;
      if (retained > i32[header + layout.HEADER_PEAK_RETAINED / 4])
        i32[header + layout.HEADER_PEAK_RETAINED / 4] = retained;
    }
    if (op & layout.JOURNAL_COUNTED) {
      i32[header + layout.HEADER_LAST_SCAVENGED / 4] = scavenged;
      f64[(heap + layout.HEADER_ALLOCS) >>> 3]++;
    } else {
      i32[header + layout.HEADER_CHANGES / 4]++;
    }
  } else if (op & layout.JOURNAL_UNCLAIM) {
    i32[header + layout.HEADER_IN_USE / 4] -= npages;
    if (op & layout.JOURNAL_COUNTED) f64[(heap + layout.HEADER_FREES) >>> 3]++;
    else i32[header + layout.HEADER_CHANGES / 4]++;
    const chunk = i32[header + layout.HEADER_SEARCH_CHUNK / 4];
    if (first < chunk || (first === chunk && from < i32[header + layout.HEADER_SEARCH_INDEX / 4])) {
      i32[header + layout.HEADER_SEARCH_CHUNK / 4] = first;
      i32[header + layout.HEADER_SEARCH_INDEX / 4] = from;
    }
  }
  const set = op & layout.JOURNAL_SCAVENGE;
  if (scavenged) {
    if (set) i32[header + layout.HEADER_RELEASED / 4] += scavenged;
    if (runs) {
      f64[(heap + layout.HEADER_SCAVENGES) >>> 3] += runs;
      f64[(heap + layout.HEADER_SCAVENGED_TOTAL) >>> 3] += scavenged;
    } else if (set) i32[header + layout.HEADER_CHANGES / 4]++;
  }
  if (scavenged || op & layout.JOURNAL_UNCLAIM) {
    let leaf = firstLeaf;
    let chunk = first;
    let index = from;
    for (let left = npages; ; ) {
      const n = left < layout.CHUNK_PAGES - index ? left : layout.CHUNK_PAGES - index;
      const end = index + n;
      const data = (leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES) >>> 2;
      if (leaf && !scavenged) {
        let node = leaf;
        for (let shift = 0; ; shift += layout.FANOUT_SHIFT) {
          const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
          i32[(node + layout.NODE_CANDIDATES) >>> 2] =
            marks | (1 << ((chunk >>> shift) & (layout.FANOUT - 1)));
          const parent = i32[(node + layout.NODE_PARENT) >>> 2];
          if (marks || !parent) break;
          node = heap + parent;
        }
      }
      while (leaf && scavenged && index < end) {
        const word = data + (index >>> 5);
        const bits = end - index < 32 - (index & 31) ? end - index : 32 - (index & 31);
        const range = (-1 >>> (32 - bits)) << index;
        if (set) i32[word + layout.DATA_SCAVENGED / 4] |= range & ~i32[word];
        else i32[word + layout.DATA_SCAVENGED / 4] &= ~range;
        index += bits;
      }
      left -= n;
      if (!left) break;
      chunk++;
      index = 0;
      leaf = 0;
      if (chunk < i32[header + layout.HEADER_START / 4] || chunk >= i32[header + layout.HEADER_END / 4])
        continue;
      let ref = i32[header + layout.HEADER_ROOT / 4];
      for (
        let level = i32[(heap + ref + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT;
        level && ref;
        level--
      ) {
        ref =
          i32[
            ((heap + ref + layout.NODE_CHILDREN) >>> 2) +
              ((chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1))
          ];
      }
      if (ref && (i32[(heap + ref + layout.NODE_SHAPE) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1)
        leaf = heap + ref;
    }
  }
  if (op & layout.JOURNAL_MOVE) f64[(heap + layout.HEADER_SCAV_END) >>> 3] = scavEnd;
  if (op & (layout.JOURNAL_NEW | layout.JOURNAL_DROP)) {
    const record = (heap + i32[header + layout.JOURNAL_REF / 4]) >>> 2;
    i32[record + layout.RECORD_CHUNK / 4] = first;
    i32[record + layout.RECORD_INDEX / 4] = from;
    i32[record + layout.RECORD_NPAGES / 4] = op & layout.JOURNAL_NEW ? npages : 0;
    if (op & layout.JOURNAL_DECLINED) i32[header + layout.HEADER_SCAV_STRICT / 4] = 1;
    if (op & layout.JOURNAL_UNCOUNT) f64[(heap + layout.HEADER_ALLOCS) >>> 3]--;
  }
  // Ends the commit. If a record is to be dropped next, the journal still says so.
  i32[header + layout.JOURNAL_OP / 4] = op & layout.JOURNAL_DROP;
}

/** Writes down in a shared heap what `commitRange` is about to do, and saves the fields that it changes. */
export function saveCommit(
  memory: Memory,
  heap: number,
  op: number,
  chunk: number,
  index: number,
  npages: number,
  scavenged: number,
  runs: number,
  scavEnd: number,
): void {
  const { i32, f64 } = memory;
  const header = heap >>> 2;
  i32[header + layout.JOURNAL_CHUNK / 4] = chunk;
  i32[header + layout.JOURNAL_INDEX / 4] = index;
  i32[header + layout.JOURNAL_NPAGES / 4] = npages;
  i32[header + layout.JOURNAL_SCAVENGED / 4] = scavenged;
  i32[header + layout.JOURNAL_RUNS / 4] = runs;
  f64[(heap + layout.JOURNAL_SCAV_END) >>> 3] = scavEnd;
  // A commit that changes only counts saves only those.
  if (op === (layout.JOURNAL_UNCLAIM | layout.JOURNAL_COUNTED)) saveFree(memory, heap, op);
  else if (op === (layout.JOURNAL_CLAIM | layout.JOURNAL_COUNTED)) saveCounts(memory, heap, op);
  else saveAll(memory, heap, op);
}

/** Moves scavAddr below a chunk of the leaf. With JOURNAL_CLEAR, also clears the chunk's candidate bit. */
export function commitPassed(
  memory: Memory,
  heap: number,
  leaf: number,
  op: number,
  chunk: number,
  scavEnd: number,
): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32, f64 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2]) {
    i32[(heap + layout.JOURNAL_CHUNK) >>> 2] = chunk;
    f64[(heap + layout.JOURNAL_SCAV_END) >>> 3] = scavEnd;
    saveAll(memory, heap, op);
  }
  f64[(heap + layout.HEADER_SCAV_END) >>> 3] = scavEnd;
  if (op & layout.JOURNAL_CLEAR) {
    let node = leaf;
    for (let shift = 0; ; shift += layout.FANOUT_SHIFT) {
      const marks =
        i32[(node + layout.NODE_CANDIDATES) >>> 2] & ~(1 << ((chunk >>> shift) & (layout.FANOUT - 1)));
      i32[(node + layout.NODE_CANDIDATES) >>> 2] = marks;
      const parent = i32[(node + layout.NODE_PARENT) >>> 2];
      // A node that has another candidate keeps its bit in the parent.
      if (marks || !parent) break;
      node = heap + parent;
    }
  }
  i32[(heap + layout.JOURNAL_OP) >>> 2] = 0;
}

/**
 * Commits a refill: the cache JOURNAL_REF owns the pages in JOURNAL_CACHE. With JOURNAL_COUNTED these pages have just
 * come into use.
 */
export function commitRefill(
  memory: Memory,
  heap: number,
  leaf: number,
  op: number,
  chunk: number,
  index: number,
): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32, f64 } = memory;
  const header = heap >>> 2;
  const cached =
    popcnt(i32[header + layout.JOURNAL_CACHE / 4]) + popcnt(i32[header + layout.JOURNAL_CACHE / 4 + 1]);
  const scavenged =
    popcnt(i32[header + layout.JOURNAL_SCAV / 4]) + popcnt(i32[header + layout.JOURNAL_SCAV / 4 + 1]);
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4]) {
    i32[header + layout.JOURNAL_CHUNK / 4] = chunk;
    i32[header + layout.JOURNAL_INDEX / 4] = index;
    saveAll(memory, heap, op);
  }
  if (op & layout.JOURNAL_COUNTED) {
    const inUse = i32[header + layout.HEADER_IN_USE / 4] + cached;
    i32[header + layout.HEADER_IN_USE / 4] = inUse;
    if (inUse > i32[header + layout.HEADER_PEAK_IN_USE / 4])
      i32[header + layout.HEADER_PEAK_IN_USE / 4] = inUse;
    const released = i32[header + layout.HEADER_RELEASED / 4] - scavenged;
    const retained = i32[header + layout.HEADER_PAGES / 4] - released;
    i32[header + layout.HEADER_RELEASED / 4] = released;
    if (retained > i32[header + layout.HEADER_PEAK_RETAINED / 4])
      i32[header + layout.HEADER_PEAK_RETAINED / 4] = retained;
    f64[(heap + layout.HEADER_ALLOCS) >>> 3]++;
    const word =
      ((leaf +
        layout.LEAF_DATA +
        (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES +
        layout.DATA_SCAVENGED) >>>
        2) +
      (index >>> 5);
    i32[word] &= ~i32[header + layout.JOURNAL_CACHE / 4];
    i32[word + 1] &= ~i32[header + layout.JOURNAL_CACHE / 4 + 1];
  }
  // Moves the cache from its old list to that of its new block. Removes empty caches from the new list, because every
  // free in the block walks it.
  const ref = i32[header + layout.JOURNAL_REF / 4];
  const record = (heap + ref) >>> 2;
  if (!i32[(leaf + layout.LEAF_BLOCKS) >>> 2]) {
    const blocks = i32[header + layout.HEADER_USED / 4];
    i32.fill(0, (heap + blocks) >>> 2, ((heap + blocks) >>> 2) + layout.BLOCKS_BYTES / 4);
    // If a worker dies between these stores, mend.ts zeroes LEAF_BLOCKS again, because it is not below the restored
    // HEADER_USED.
    i32[(leaf + layout.LEAF_BLOCKS) >>> 2] = blocks;
    i32[header + layout.HEADER_USED / 4] = blocks + layout.BLOCKS_BYTES;
  }
  const old = i32[record + layout.RECORD_SLOT / 4];
  if (old) {
    let link = (heap + old) >>> 2;
    while (i32[link] && i32[link] !== ref) link = (heap + i32[link] + layout.RECORD_BESIDE) >>> 2;
    if (i32[link]) i32[link] = i32[record + layout.RECORD_BESIDE / 4];
    i32[record + layout.RECORD_SLOT / 4] = 0;
  }
  const slot =
    i32[(leaf + layout.LEAF_BLOCKS) >>> 2] + (((chunk & (layout.FANOUT - 1)) << 5) | ((index >>> 6) << 2));
  let link = (heap + slot) >>> 2;
  for (let other = i32[link]; other; other = i32[link]) {
    const words = (heap + other) >>> 2;
    if (i32[words + layout.RECORD_CACHE / 4] | i32[words + layout.RECORD_CACHE / 4 + 1]) {
      link = words + layout.RECORD_BESIDE / 4;
    } else {
      i32[words + layout.RECORD_SLOT / 4] = 0;
      i32[link] = i32[words + layout.RECORD_BESIDE / 4];
    }
  }
  i32[record + layout.RECORD_BESIDE / 4] = i32[(heap + slot) >>> 2];
  i32[record + layout.RECORD_SLOT / 4] = slot;
  i32[(heap + slot) >>> 2] = ref;
  i32[record + layout.RECORD_CHUNK / 4] = chunk;
  i32[record + layout.RECORD_INDEX / 4] = index;
  i32[record + layout.RECORD_NPAGES / 4] = layout.CACHE_PAGES;
  for (let half = 0; half < 2; half++) {
    i32[record + layout.RECORD_CACHE / 4 + half] = i32[header + layout.JOURNAL_CACHE / 4 + half];
    i32[record + layout.RECORD_SCAV / 4 + half] = i32[header + layout.JOURNAL_SCAV / 4 + half];
  }
  i32[header + layout.JOURNAL_OP / 4] = 0;
}

/**
 * Commits a flush: the pages in JOURNAL_CACHE are now free. The cache JOURNAL_REF owned them, and its record is dropped
 * next.
 */
export function commitFlush(
  memory: Memory,
  heap: number,
  leaf: number,
  op: number,
  chunk: number,
  index: number,
): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32, f64 } = memory;
  const header = heap >>> 2;
  const lower = i32[header + layout.JOURNAL_CACHE / 4];
  const upper = i32[header + layout.JOURNAL_CACHE / 4 + 1];
  const cached = popcnt(lower) + popcnt(upper);
  const scavenged =
    popcnt(i32[header + layout.JOURNAL_SCAV / 4]) + popcnt(i32[header + layout.JOURNAL_SCAV / 4 + 1]);
  const from = index + (lower ? ctz(lower) : 32 + ctz(upper));
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4]) saveAll(memory, heap, op);
  const search = i32[header + layout.HEADER_SEARCH_CHUNK / 4];
  if (chunk < search || (chunk === search && from < i32[header + layout.HEADER_SEARCH_INDEX / 4])) {
    i32[header + layout.HEADER_SEARCH_CHUNK / 4] = chunk;
    i32[header + layout.HEADER_SEARCH_INDEX / 4] = from;
  }
  i32[header + layout.HEADER_IN_USE / 4] -= cached;
  i32[header + layout.HEADER_RELEASED / 4] += scavenged;
  f64[(heap + layout.HEADER_FREES) >>> 3]++;
  const word =
    ((leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES + layout.DATA_SCAVENGED) >>>
      2) +
    (index >>> 5);
  const record = (heap + i32[header + layout.JOURNAL_REF / 4]) >>> 2;
  for (let half = 0; half < 2; half++) {
    i32[word + half] |= i32[header + layout.JOURNAL_SCAV / 4 + half];
    i32[record + layout.RECORD_CACHE / 4 + half] = 0;
  }
  if (cached !== scavenged) {
    let node = leaf;
    for (let shift = 0; ; shift += layout.FANOUT_SHIFT) {
      const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
      i32[(node + layout.NODE_CANDIDATES) >>> 2] = marks | (1 << ((chunk >>> shift) & (layout.FANOUT - 1)));
      const parent = i32[(node + layout.NODE_PARENT) >>> 2];
      if (marks || !parent) break;
      node = heap + parent;
    }
  }
  i32[header + layout.JOURNAL_OP / 4] = layout.JOURNAL_DROP;
}

/** Moves scavAddr to the top of the heap. Pages that a hook has declined can be scavenged again. */
export function reset(memory: Memory, heap: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32, f64 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2]) saveAll(memory, heap, 0);
  f64[(heap + layout.HEADER_SCAV_END) >>> 3] = f64[(heap + layout.HEADER_TOP) >>> 3];
  i32[(heap + layout.HEADER_SCAV_STRICT) >>> 2] = 0;
  i32[(heap + layout.HEADER_SCAV_GENERATION) >>> 2]++;
  i32[(heap + layout.HEADER_SCAV_RESET) >>> 2] = 1;
  i32[(heap + layout.JOURNAL_OP) >>> 2] = 0;
}
