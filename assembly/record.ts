// Records. A record describes pages that the bitmaps show as in use although no caller has them from `alloc`: a page
// cache owns them, or a hook is running on them. Records are part of the state, so that `restore` and `recover` can
// free these pages.

import * as layout from "../src/engine/layout";
import { assertHeld } from "./assertions";
import { commitRange, unplaceRecord } from "./commit";
import { close, saveFields, write, writePages, writeRecord } from "./journal";
import { markRange } from "./mark";
import { countScavenged, leafOf } from "./tree";

/**
 * Makes a record of pages in use, or of none. Reuses a dead record. If there is none, the region must have room for a
 * record. Returns the ref.
 */
export function newRecord(heap: usize, kind: u32, owner: u32, chunk: u32, index: u32, npages: u32): u32 {
  return makeRecord(heap, kind, owner, chunk, index, npages, 0);
}

/**
 * Does the same, and leaves `next` in the journal: JOURNAL_NEW if the caller goes on to give pages to the record, else
 * 0.
 */
export function makeRecord(
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  next: u32,
): u32 {
  const dead = load<u32>(heap, layout.HEADER_DEAD_RECORDS);
  const ref = dead ? dead : load<u32>(heap, layout.HEADER_USED);
  // `linkRecord` reads all of this from the journal, so that `redo` can call it too.
  store<u32>(heap, ref, layout.JOURNAL_REF);
  store<u32>(heap, dead ? load<u32>(heap + dead, layout.RECORD_NEXT) : <u32>layout.UNMADE, layout.JOURNAL_DEAD);
  store<u32>(heap, kind, layout.JOURNAL_KIND);
  store<u32>(heap, owner, layout.JOURNAL_OWNER);
  store<u32>(heap, chunk, layout.JOURNAL_CHUNK);
  store<u32>(heap, index, layout.JOURNAL_INDEX);
  store<u32>(heap, npages, layout.JOURNAL_NPAGES);
  linkRecord(heap, next);
  return ref;
}

/** Makes the record that the journal describes, and puts it first in the list of its kind. */
export function linkRecord(heap: usize, next: u32): void {
  assertHeld(heap);
  saveFields(heap, layout.JOURNAL_NEW);
  const ref = load<u32>(heap, layout.JOURNAL_REF);
  const record = heap + ref;
  const kind = load<u32>(heap, layout.JOURNAL_KIND);
  const list = heap + (kind == layout.KIND_CACHE ? layout.HEADER_RECORDS : layout.HEADER_HOLDS);
  const after = load<u32>(list);
  // True for a new record. A redo goes the same way, as HEADER_USED has been restored.
  if (load<u32>(heap, layout.HEADER_USED) == ref) {
    store<u32>(heap, ref + layout.RECORD_BYTES, layout.HEADER_USED);
    memory.fill(record, 0, layout.RECORD_BYTES);
  } else {
    store<u32>(heap, load<u32>(heap, layout.JOURNAL_DEAD), layout.HEADER_DEAD_RECORDS);
    store<u32>(record, 0, layout.RECORD_PREV);
  }
  store<u32>(record, after, layout.RECORD_NEXT);
  store<u32>(record, kind, layout.RECORD_KIND);
  store<u32>(record, load<u32>(heap, layout.JOURNAL_OWNER), layout.RECORD_OWNER);
  store<u32>(record, load<u32>(heap, layout.JOURNAL_CHUNK), layout.RECORD_CHUNK);
  store<u32>(record, load<u32>(heap, layout.JOURNAL_INDEX), layout.RECORD_INDEX);
  store<u32>(record, load<u32>(heap, layout.JOURNAL_NPAGES), layout.RECORD_NPAGES);
  if (after) store<u32>(heap + after, ref, layout.RECORD_PREV);
  store<u32>(list, ref);
  store<u32>(heap, next, layout.JOURNAL_OP);
}

/** Drops a record that owns no pages. If `unmade`, also gives back its room, which must be the last in the region. */
export function dropRecord(heap: usize, ref: u32, unmade: bool): void {
  const record = heap + ref;
  store<u32>(heap, ref, layout.JOURNAL_REF);
  // Copies the links to the journal, because `unlinkRecord` clears the record. A redo could no longer read them there.
  store<u32>(heap, load<u32>(record, layout.RECORD_NEXT), layout.JOURNAL_NEXT);
  store<u32>(heap, load<u32>(record, layout.RECORD_PREV), layout.JOURNAL_PREV);
  store<u32>(heap, load<u32>(record, layout.RECORD_KIND), layout.JOURNAL_KIND);
  store<u32>(heap, unmade ? <u32>layout.UNMADE : 0, layout.JOURNAL_DEAD);
  unlinkRecord(heap);
}

/** Drops the record that the journal describes. */
export function unlinkRecord(heap: usize): void {
  assertHeld(heap);
  saveFields(heap, layout.JOURNAL_DROP);
  const ref = load<u32>(heap, layout.JOURNAL_REF);
  const record = heap + ref;
  const next = load<u32>(heap, layout.JOURNAL_NEXT);
  const prev = load<u32>(heap, layout.JOURNAL_PREV);
  const list = load<u32>(heap, layout.JOURNAL_KIND) == layout.KIND_CACHE ? layout.HEADER_RECORDS : layout.HEADER_HOLDS;
  unplaceRecord(heap, ref);
  if (next) store<u32>(heap + next, prev, layout.RECORD_PREV);
  if (prev) store<u32>(heap + prev, next, layout.RECORD_NEXT);
  else store<u32>(heap + list, next);
  // A dead record is all 0 except RECORD_NEXT. Only one line of a record is ever written. Clearing that line in a loop
  // is faster than a fill.
  for (let at = record + layout.RECORD_NEXT; at < record + layout.RECORD_NEXT + layout.LINE_BYTES; at += 16) {
    v128.store(at, i64x2.splat(0));
  }
  if (load<u32>(heap, layout.JOURNAL_DEAD) == <u32>layout.UNMADE) {
    store<u32>(heap, ref, layout.HEADER_USED);
  } else {
    store<u32>(record, load<u32>(heap, layout.HEADER_DEAD_RECORDS), layout.RECORD_NEXT);
    store<u32>(heap, ref, layout.HEADER_DEAD_RECORDS);
  }
  close(heap);
}

/**
 * Takes free pages for a hook to run on, and makes the record that holds them. Moves scavAddr to `scavEnd`. Counts as
 * an alloc if the hook is `sys.used`. Returns the ref.
 */
export function hold(
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  scavEnd: f64,
): u32 {
  const leaf = leafOf(heap, chunk);
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  const ref = makeRecord(heap, kind, owner, 0, 0, 0, layout.JOURNAL_NEW);
  const counted: u32 = kind == layout.KIND_REUSING ? layout.JOURNAL_COUNTED : 0;
  const op = layout.JOURNAL_CLAIM | layout.JOURNAL_NEW | layout.JOURNAL_MOVE | counted;
  writeRecord(heap, ref);
  write(heap, op, chunk, index, npages);
  markRange(heap, leaf, chunk, index, npages, true);
  commitRange(heap, leaf, op, chunk, index, npages, scavenged, 0, scavEnd);
  return ref;
}

/** Ends a hold with one of the HOLD_ outcomes. */
export function endHold(heap: usize, ref: u32, outcome: u32): void {
  const record = heap + ref;
  const chunk = load<u32>(record, layout.RECORD_CHUNK);
  const index = load<u32>(record, layout.RECORD_INDEX);
  const npages = load<u32>(record, layout.RECORD_NPAGES);
  if (outcome != layout.HOLD_USED && npages) {
    const leaf = leafOf(heap, chunk);
    let op: u32 = layout.JOURNAL_UNCLAIM | layout.JOURNAL_DROP;
    if (outcome == layout.HOLD_RELEASED) op |= layout.JOURNAL_SCAVENGE;
    if (outcome == layout.HOLD_DECLINED) op |= layout.JOURNAL_DECLINED;
    if (outcome == layout.HOLD_UNDONE) op |= layout.JOURNAL_UNCOUNT;
    writeRecord(heap, ref);
    write(heap, op, chunk, index, npages);
    markRange(heap, leaf, chunk, index, npages, false);
    const released = outcome == layout.HOLD_RELEASED;
    commitRange(heap, leaf, op, chunk, index, npages, released ? npages : 0, released ? 1 : 0, 0);
  }
  dropRecord(heap, ref, false);
}

/**
 * Ends a hold of pages that a cache had. The cache gets back the pages with a 1 in `pages`. `scav` says which of them
 * are scavenged.
 */
export function returnHold(heap: usize, ref: u32, cache: u32, pages: u64, scav: u64): void {
  writePages(heap, ref, pages, scav);
  store<u32>(heap, cache, layout.JOURNAL_TO);
  commitReturn(heap);
  dropRecord(heap, ref, false);
}

/**
 * Commits the return of held pages: the cache JOURNAL_TO owns the pages in JOURNAL_CACHE again. The hold is dropped
 * next.
 */
export function commitReturn(heap: usize): void {
  assertHeld(heap);
  saveFields(heap, layout.JOURNAL_RETURN);
  const cache = heap + load<u32>(heap, layout.JOURNAL_TO);
  const pages = load<u64>(heap, layout.JOURNAL_CACHE);
  const kept = load<u64>(cache, layout.RECORD_SCAV) & ~pages;
  store<u64>(cache, kept | load<u64>(heap, layout.JOURNAL_SCAV), layout.RECORD_SCAV);
  store<u64>(cache, load<u64>(cache, layout.RECORD_CACHE) | pages, layout.RECORD_CACHE);
  store<u32>(heap + load<u32>(heap, layout.JOURNAL_REF), 0, layout.RECORD_NPAGES);
  store<u32>(heap, layout.JOURNAL_DROP, layout.JOURNAL_OP);
}

/** Reports whether a page cache of the leaf owns a page of a range within a chunk. */
export function isCached(heap: usize, leaf: usize, chunk: u32, first: u32, npages: u32): bool {
  const blocks = heap + load<u32>(leaf, layout.LEAF_BLOCKS) + ((chunk & (layout.FANOUT - 1)) << 5);
  const end = first + npages;
  for (let index = first; index < end; ) {
    const bit = index & (layout.CACHE_PAGES - 1);
    const n = min(layout.CACHE_PAGES - bit, end - index);
    const range = (~(<u64>0) >> (64 - n)) << bit;
    for (let ref = load<u32>(blocks + ((index >> 6) << 2)); ref; ref = load<u32>(heap + ref, layout.RECORD_BESIDE)) {
      if (load<u64>(heap + ref, layout.RECORD_CACHE) & range) return true;
    }
    index += n;
  }
  return false;
}

/** Reports whether a page of the range is held while a hook runs on it. */
export function isHeld(heap: usize, chunk: u32, index: u32, npages: u32): bool {
  const from = ((<i64>chunk) << layout.CHUNK_SHIFT) + index;
  for (let ref = load<u32>(heap, layout.HEADER_HOLDS); ref; ref = load<u32>(heap + ref, layout.RECORD_NEXT)) {
    const record = heap + ref;
    const recordChunk = <i64>load<u32>(record, layout.RECORD_CHUNK);
    const first = (recordChunk << layout.CHUNK_SHIFT) + load<u32>(record, layout.RECORD_INDEX);
    if (first < from + npages && from < first + load<u32>(record, layout.RECORD_NPAGES)) return true;
  }
  return false;
}
