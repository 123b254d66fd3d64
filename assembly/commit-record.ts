// Commits of records: their lists, and what they own.
//
// The twin has a text of its own, as it cannot say what must be inlined.

import { assertHeld } from "../build/both/assertions";
import { close } from "../build/both/journal";
import * as layout from "../src/engine/layout";
import { unplaceRecord } from "./commit";
import { saveFields } from "./save";

/** Makes the record that the journal describes, and puts it first in the list of its kind. */
export function linkRecord(heap: usize, next: u32): void {
  if (PALLOC_DEBUG) assertHeld(heap);
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

/** Drops the record that the journal describes. */
export function unlinkRecord(heap: usize): void {
  if (PALLOC_DEBUG) assertHeld(heap);
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
 * Commits the return of held pages: the cache JOURNAL_TO owns the pages in JOURNAL_CACHE again. The hold is dropped
 * next.
 */
export function commitReturn(heap: usize): void {
  if (PALLOC_DEBUG) assertHeld(heap);
  saveFields(heap, layout.JOURNAL_RETURN);
  const cache = heap + load<u32>(heap, layout.JOURNAL_TO);
  const pages = load<u64>(heap, layout.JOURNAL_CACHE);
  const kept = load<u64>(cache, layout.RECORD_SCAV) & ~pages;
  store<u64>(cache, kept | load<u64>(heap, layout.JOURNAL_SCAV), layout.RECORD_SCAV);
  store<u64>(cache, load<u64>(cache, layout.RECORD_CACHE) | pages, layout.RECORD_CACHE);
  store<u32>(heap + load<u32>(heap, layout.JOURNAL_REF), 0, layout.RECORD_NPAGES);
  store<u32>(heap, layout.JOURNAL_DROP, layout.JOURNAL_OP);
}
