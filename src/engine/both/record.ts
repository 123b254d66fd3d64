// Records. A record describes pages that the bitmaps show as in use although no caller has them from `alloc`: a page
// cache owns them, or a hook is running on them. Records are part of the state, so that `restore` and `recover` can
// free these pages.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import type { bool, f64, u32, u64, usize } from "../ts/builtins.ts";
import { commitRange } from "../ts/commit.ts";
import { commitReturn, linkRecord, unlinkRecord } from "../ts/commit-record.ts";
import { pageOf } from "../ts/pages.ts";
import { writePages64 } from "../ts/save.ts";
import { write, writeRecord } from "./journal.ts";
import { markRange } from "./mark.ts";
import { countScavenged, leafOf } from "./tree.ts";

/**
 * Makes a record of pages in use, or of none. Reuses a dead record. If there is none, the region must have room for a
 * record. Returns the ref.
 */
export function newRecord(
  memory: Memory,
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
): u32 {
  return makeRecord(memory, heap, kind, owner, chunk, index, npages, 0);
}

/**
 * Does the same, and leaves `next` in the journal: JOURNAL_NEW if the caller goes on to give pages to the record, else
 * 0.
 */
export function makeRecord(
  memory: Memory,
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  next: u32,
): u32 {
  const { i32 } = memory;
  const dead = i32[(heap + layout.HEADER_DEAD_RECORDS) >>> 2];
  const ref = dead ? dead : i32[(heap + layout.HEADER_USED) >>> 2];
  const after = dead ? i32[(heap + dead + layout.RECORD_NEXT) >>> 2] : (layout.UNMADE as u32);
  // `linkRecord` reads all of this from the journal, so that `redo` can call it too.
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
  i32[(heap + layout.JOURNAL_DEAD) >>> 2] = after;
  i32[(heap + layout.JOURNAL_KIND) >>> 2] = kind;
  i32[(heap + layout.JOURNAL_OWNER) >>> 2] = owner;
  i32[(heap + layout.JOURNAL_CHUNK) >>> 2] = chunk;
  i32[(heap + layout.JOURNAL_INDEX) >>> 2] = index;
  i32[(heap + layout.JOURNAL_NPAGES) >>> 2] = npages;
  linkRecord(memory, heap, next);
  return ref;
}

/** Drops a record that owns no pages. If `unmade`, also gives back its room, which must be the last in the region. */
export function dropRecord(memory: Memory, heap: usize, ref: u32, unmade: bool): void {
  const { i32 } = memory;
  const record = heap + ref;
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
  // Copies the links to the journal, because `unlinkRecord` clears the record. A redo could no longer read them there.
  i32[(heap + layout.JOURNAL_NEXT) >>> 2] = i32[(record + layout.RECORD_NEXT) >>> 2];
  i32[(heap + layout.JOURNAL_PREV) >>> 2] = i32[(record + layout.RECORD_PREV) >>> 2];
  i32[(heap + layout.JOURNAL_KIND) >>> 2] = i32[(record + layout.RECORD_KIND) >>> 2];
  i32[(heap + layout.JOURNAL_DEAD) >>> 2] = unmade ? (layout.UNMADE as u32) : 0;
  unlinkRecord(memory, heap);
}

/**
 * Takes free pages for a hook to run on, and makes the record that holds them. Moves scavAddr to `scavEnd`. Counts as
 * an alloc if the hook is `sys.used`. Returns the ref.
 */
export function hold(
  memory: Memory,
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  scavEnd: f64,
): u32 {
  const leaf = leafOf(memory, heap, chunk);
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  const ref = makeRecord(memory, heap, kind, owner, 0, 0, 0, layout.JOURNAL_NEW);
  const counted: u32 = kind === layout.KIND_REUSING ? layout.JOURNAL_COUNTED : 0;
  const op = layout.JOURNAL_CLAIM | layout.JOURNAL_NEW | layout.JOURNAL_MOVE | counted;
  writeRecord(memory, heap, ref);
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, true);
  commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, 0, scavEnd);
  return ref;
}

/** Ends a hold with one of the HOLD_ outcomes. */
export function endHold(memory: Memory, heap: usize, ref: u32, outcome: u32): void {
  const { i32 } = memory;
  const record = heap + ref;
  const chunk = i32[(record + layout.RECORD_CHUNK) >>> 2];
  const index = i32[(record + layout.RECORD_INDEX) >>> 2];
  const npages = i32[(record + layout.RECORD_NPAGES) >>> 2];
  if (outcome !== layout.HOLD_USED && npages) {
    const leaf = leafOf(memory, heap, chunk);
    let op: u32 = layout.JOURNAL_UNCLAIM | layout.JOURNAL_DROP;
    if (outcome === layout.HOLD_RELEASED) op |= layout.JOURNAL_SCAVENGE;
    if (outcome === layout.HOLD_DECLINED) op |= layout.JOURNAL_DECLINED;
    if (outcome === layout.HOLD_UNDONE) op |= layout.JOURNAL_UNCOUNT;
    writeRecord(memory, heap, ref);
    write(memory, heap, op, chunk, index, npages);
    markRange(memory, heap, leaf, chunk, index, npages, false);
    const released = outcome === layout.HOLD_RELEASED;
    commitRange(memory, heap, leaf, op, chunk, index, npages, released ? npages : 0, released ? 1 : 0, 0);
  }
  dropRecord(memory, heap, ref, false);
}

/**
 * Ends a hold of pages that a cache had. The cache gets back the pages with a 1 in `pages`. `scav` says which of them
 * are scavenged.
 */
export function returnHold(memory: Memory, heap: usize, ref: u32, cache: u32, pages: u64, scav: u64): void {
  const { i32 } = memory;
  writePages64(memory, heap, ref, pages, scav);
  i32[(heap + layout.JOURNAL_TO) >>> 2] = cache;
  commitReturn(memory, heap);
  dropRecord(memory, heap, ref, false);
}

/** Reports whether a page cache of the leaf owns a page of a range within a chunk. */
export function isCached(
  memory: Memory,
  heap: usize,
  leaf: usize,
  chunk: u32,
  first: u32,
  npages: u32,
): bool {
  const { i32 } = memory;
  const blocks = heap + i32[(leaf + layout.LEAF_BLOCKS) >>> 2] + ((chunk & (layout.FANOUT - 1)) << 5);
  const end = first + npages;
  for (let index = first; index < end; ) {
    const n = Math.min(32 - (index & 31), end - index);
    const range = (0xffffffff >>> (32 - n)) << index;
    // The half of a cache's 64 bits that has these pages.
    const half = layout.RECORD_CACHE + ((index >>> 3) & 4);
    let ref = i32[(blocks + ((index >>> 6) << 2)) >>> 2];
    while (ref) {
      if (i32[(heap + ref + half) >>> 2] & range) return true;
      ref = i32[(heap + ref + layout.RECORD_BESIDE) >>> 2];
    }
    index += n;
  }
  return false;
}

/** Reports whether a page of the range is held while a hook runs on it. */
export function isHeld(memory: Memory, heap: usize, chunk: u32, index: u32, npages: u32): bool {
  const { i32 } = memory;
  const from = pageOf(chunk, index);
  let ref = i32[(heap + layout.HEADER_HOLDS) >>> 2];
  while (ref) {
    const record = heap + ref;
    const first = pageOf(
      i32[(record + layout.RECORD_CHUNK) >>> 2],
      i32[(record + layout.RECORD_INDEX) >>> 2],
    );
    if (first < from + npages && from < first + i32[(record + layout.RECORD_NPAGES) >>> 2]) return true;
    ref = i32[(record + layout.RECORD_NEXT) >>> 2];
  }
  return false;
}
