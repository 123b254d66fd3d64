// Commits of records: their lists, and what they own.
//
// assembly/ has a text of its own, whose helpers are functions that are inlined.

import { assertHeld } from "../both/assertions.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { saveAll } from "./save.ts";

/** Makes the record that the journal describes, and puts it first in the list of its kind. */
export function linkRecord(memory: Memory, heap: number, next: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2]) saveAll(memory, heap, layout.JOURNAL_NEW);
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

/** Drops the record that the journal describes. */
export function unlinkRecord(memory: Memory, heap: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  if (PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2]) saveAll(memory, heap, layout.JOURNAL_DROP);
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
 * Commits the return of held pages: the cache JOURNAL_TO owns the pages in JOURNAL_CACHE again. The hold is dropped
 * next.
 */
export function commitReturn(memory: Memory, heap: number): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  const header = heap >>> 2;
  if (PALLOC_SHARED && i32[header + layout.HEADER_SHARED / 4]) saveAll(memory, heap, layout.JOURNAL_RETURN);
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
