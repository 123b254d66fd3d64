// Records. A record describes pages that the bitmaps show as in use although no caller has them from `alloc`: a page
// cache owns them, or a hook is running on them. Records are part of the state, so that `restore` and `recover` can
// free these pages.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { assertHeld } from "./assertions.ts";
import { commitRange } from "./commit.ts";
import { saveFields, write, writePages64, writeRecord } from "./journal.ts";
import { markRange } from "./mark.ts";
import { countScavenged, leafOf } from "./tree.ts";

/**
 * Makes a record of pages in use, or of none. Reuses a dead record. If there is none, the region must have room for a
 * record. Returns the ref.
 */
export function newRecord(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  return makeRecord(memory, heap, kind, owner, chunk, index, npages, 0);
}

/**
 * Does the same, and leaves `next` in the journal: JOURNAL_NEW if the caller goes on to give pages to the record, else
 * 0.
 */
export function makeRecord(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
  next: number,
): number {
  const { i32 } = memory;
  const dead = i32[(heap + layout.HEADER_DEAD_RECORDS) >>> 2];
  const ref = dead || i32[(heap + layout.HEADER_USED) >>> 2];
  // `linkRecord` reads all of this from the journal, so that `redo` can call it too.
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
  i32[(heap + layout.JOURNAL_DEAD) >>> 2] = dead
    ? i32[(heap + dead + layout.RECORD_NEXT) >>> 2]
    : layout.UNMADE;
  i32[(heap + layout.JOURNAL_KIND) >>> 2] = kind;
  i32[(heap + layout.JOURNAL_OWNER) >>> 2] = owner;
  i32[(heap + layout.JOURNAL_CHUNK) >>> 2] = chunk;
  i32[(heap + layout.JOURNAL_INDEX) >>> 2] = index;
  i32[(heap + layout.JOURNAL_NPAGES) >>> 2] = npages;
  linkRecord(memory, heap, next);
  return ref;
}

/** Makes the record that the journal describes, and puts it first in the list of its kind. */
export function linkRecord(memory: Memory, heap: number, next: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2]) saveFields(memory, heap, layout.JOURNAL_NEW);
  const ref = i32[(heap + layout.JOURNAL_REF) >>> 2];
  const record = (heap + ref) >>> 2;
  const kind = i32[(heap + layout.JOURNAL_KIND) >>> 2];
  const list = (heap + (kind === layout.KIND_CACHE ? layout.HEADER_RECORDS : layout.HEADER_HOLDS)) >>> 2;
  const after = i32[list];
  // True for a new record. A redo goes the same way, as HEADER_USED has been restored.
  if (i32[(heap + layout.HEADER_USED) >>> 2] === ref) {
    i32[(heap + layout.HEADER_USED) >>> 2] = ref + layout.RECORD_BYTES;
    i32.fill(0, record, record + layout.RECORD_BYTES / 4);
  } else {
    i32[(heap + layout.HEADER_DEAD_RECORDS) >>> 2] = i32[(heap + layout.JOURNAL_DEAD) >>> 2];
    i32[record + layout.RECORD_PREV / 4] = 0;
  }
  i32[record + layout.RECORD_NEXT / 4] = after;
  i32[record + layout.RECORD_KIND / 4] = kind;
  i32[record + layout.RECORD_OWNER / 4] = i32[(heap + layout.JOURNAL_OWNER) >>> 2];
  i32[record + layout.RECORD_CHUNK / 4] = i32[(heap + layout.JOURNAL_CHUNK) >>> 2];
  i32[record + layout.RECORD_INDEX / 4] = i32[(heap + layout.JOURNAL_INDEX) >>> 2];
  i32[record + layout.RECORD_NPAGES / 4] = i32[(heap + layout.JOURNAL_NPAGES) >>> 2];
  if (after) i32[(heap + after + layout.RECORD_PREV) >>> 2] = ref;
  i32[list] = ref;
  i32[(heap + layout.JOURNAL_OP) >>> 2] = next;
}

/** Drops a record that owns no pages. If `unmade`, also gives back its room, which must be the last in the region. */
export function dropRecord(memory: Memory, heap: number, ref: number, unmade: boolean): void {
  const { i32 } = memory;
  const record = heap + ref;
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
  // Copies the links to the journal, because `unlinkRecord` clears the record. A redo could no longer read them there.
  i32[(heap + layout.JOURNAL_NEXT) >>> 2] = i32[(record + layout.RECORD_NEXT) >>> 2];
  i32[(heap + layout.JOURNAL_PREV) >>> 2] = i32[(record + layout.RECORD_PREV) >>> 2];
  i32[(heap + layout.JOURNAL_KIND) >>> 2] = i32[(record + layout.RECORD_KIND) >>> 2];
  i32[(heap + layout.JOURNAL_DEAD) >>> 2] = unmade ? layout.UNMADE : 0;
  unlinkRecord(memory, heap);
}

/** Drops the record that the journal describes. */
export function unlinkRecord(memory: Memory, heap: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2])
    saveFields(memory, heap, layout.JOURNAL_DROP);
  const ref = i32[(heap + layout.JOURNAL_REF) >>> 2];
  const record = (heap + ref) >>> 2;
  const next = i32[(heap + layout.JOURNAL_NEXT) >>> 2];
  const prev = i32[(heap + layout.JOURNAL_PREV) >>> 2];
  const list =
    i32[(heap + layout.JOURNAL_KIND) >>> 2] === layout.KIND_CACHE
      ? layout.HEADER_RECORDS
      : layout.HEADER_HOLDS;
  const slot = i32[record + layout.RECORD_SLOT / 4];
  if (slot) {
    let link = (heap + slot) >>> 2;
    while (i32[link] && i32[link] !== ref) link = (heap + i32[link] + layout.RECORD_BESIDE) >>> 2;
    if (i32[link]) i32[link] = i32[record + layout.RECORD_BESIDE / 4];
    i32[record + layout.RECORD_SLOT / 4] = 0;
  }
  if (next) i32[(heap + next + layout.RECORD_PREV) >>> 2] = prev;
  if (prev) i32[(heap + prev + layout.RECORD_NEXT) >>> 2] = next;
  else i32[(heap + list) >>> 2] = next;
  // A dead record is all 0 except RECORD_NEXT. Only one line of a record is ever written. Clearing that line in a loop
  // is faster than a fill.
  for (let at = layout.RECORD_NEXT / 4; at < (layout.RECORD_NEXT + layout.LINE_BYTES) / 4; at++)
    i32[record + at] = 0;
  if (i32[(heap + layout.JOURNAL_DEAD) >>> 2] === layout.UNMADE) {
    i32[(heap + layout.HEADER_USED) >>> 2] = ref;
  } else {
    i32[record + layout.RECORD_NEXT / 4] = i32[(heap + layout.HEADER_DEAD_RECORDS) >>> 2];
    i32[(heap + layout.HEADER_DEAD_RECORDS) >>> 2] = ref;
  }
  i32[(heap + layout.JOURNAL_OP) >>> 2] = 0;
}

/**
 * Takes free pages for a hook to run on, and makes the record that holds them. Moves scavAddr to `scavEnd`. Counts as
 * an alloc if the hook is `sys.used`. Returns the ref.
 */
export function hold(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
  scavEnd: number,
): number {
  const leaf = leafOf(memory, heap, chunk);
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  const ref = makeRecord(memory, heap, kind, owner, 0, 0, 0, layout.JOURNAL_NEW);
  const op =
    layout.JOURNAL_CLAIM |
    layout.JOURNAL_NEW |
    layout.JOURNAL_MOVE |
    (kind === layout.KIND_REUSING ? layout.JOURNAL_COUNTED : 0);
  writeRecord(memory, heap, ref);
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, true);
  commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, 0, scavEnd);
  return ref;
}

/** Ends a hold with one of the HOLD_ outcomes. */
export function endHold(memory: Memory, heap: number, ref: number, outcome: number): void {
  const { i32 } = memory;
  const record = heap + ref;
  const chunk = i32[(record + layout.RECORD_CHUNK) >>> 2];
  const index = i32[(record + layout.RECORD_INDEX) >>> 2];
  const npages = i32[(record + layout.RECORD_NPAGES) >>> 2];
  if (outcome !== layout.HOLD_USED && npages) {
    const leaf = leafOf(memory, heap, chunk);
    let op = layout.JOURNAL_UNCLAIM | layout.JOURNAL_DROP;
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
export function returnHold(
  memory: Memory,
  heap: number,
  ref: number,
  cache: number,
  pages: bigint,
  scav: bigint,
): void {
  writePages64(memory, heap, ref, pages, scav);
  memory.i32[(heap + layout.JOURNAL_TO) >>> 2] = cache;
  commitReturn(memory, heap);
  dropRecord(memory, heap, ref, false);
}

/**
 * Commits the return of held pages: the cache JOURNAL_TO owns the pages in JOURNAL_CACHE again. The hold is dropped
 * next.
 */
export function commitReturn(memory: Memory, heap: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  const header = heap >>> 2;
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4])
    saveFields(memory, heap, layout.JOURNAL_RETURN);
  const cache = (heap + i32[header + layout.JOURNAL_TO / 4]) >>> 2;
  for (let half = 0; half < 2; half++) {
    const pages = i32[header + layout.JOURNAL_CACHE / 4 + half];
    const scav = i32[header + layout.JOURNAL_SCAV / 4 + half];
    i32[cache + layout.RECORD_SCAV / 4 + half] = (i32[cache + layout.RECORD_SCAV / 4 + half] & ~pages) | scav;
    i32[cache + layout.RECORD_CACHE / 4 + half] |= pages;
  }
  i32[(heap + i32[header + layout.JOURNAL_REF / 4] + layout.RECORD_NPAGES) >>> 2] = 0;
  i32[header + layout.JOURNAL_OP / 4] = layout.JOURNAL_DROP;
}

/** Reports whether a page cache of the leaf owns a page of a range within a chunk. */
export function isCached(
  { i32 }: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  first: number,
  npages: number,
): boolean {
  const blocks =
    ((heap + i32[(leaf + layout.LEAF_BLOCKS) >>> 2]) >>> 2) + ((chunk & (layout.FANOUT - 1)) << 3);
  const end = first + npages;
  for (let index = first; index < end; ) {
    const n = Math.min(32 - (index & 31), end - index);
    const range = (-1 >>> (32 - n)) << index;
    const half = layout.RECORD_CACHE + ((index >>> 3) & 4);
    for (let ref = i32[blocks + (index >>> 6)]; ref; ref = i32[(heap + ref + layout.RECORD_BESIDE) >>> 2]) {
      if (i32[(heap + ref + half) >>> 2] & range) return true;
    }
    index += n;
  }
  return false;
}

/** Reports whether a page of the range is held while a hook runs on it. */
export function isHeld({ i32 }: Memory, heap: number, chunk: number, index: number, npages: number): boolean {
  const from = chunk * layout.CHUNK_PAGES + index;
  for (
    let ref = i32[(heap + layout.HEADER_HOLDS) >>> 2];
    ref;
    ref = i32[(heap + ref + layout.RECORD_NEXT) >>> 2]
  ) {
    const record = heap + ref;
    const first =
      i32[(record + layout.RECORD_CHUNK) >>> 2] * layout.CHUNK_PAGES +
      i32[(record + layout.RECORD_INDEX) >>> 2];
    if (first < from + npages && from < first + i32[(record + layout.RECORD_NPAGES) >>> 2]) return true;
  }
  return false;
}
