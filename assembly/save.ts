// What a call saves in the journal: the pages that a cache gets or gives back, and the fields that a commit changes.
//
// All functions here are inlined, because commits use them: a commit must not call, as any call may overflow the stack.
//
// The twin has a text of its own, as its words have 32 bits and it has no vectors.

import { isShared } from "../build/both/journal";
import * as layout from "../src/engine/layout";

/**
 * Writes down the pages that a cache gets or gives back, and which of them are scavenged. `ref` is the record that
 * `commitRefill` fills, or that `commitFlush` or `commitReturn` empties.
 */
// @ts-ignore: decorator
@inline
export function writePages(heap: usize, ref: u32, cache: u64, scav: u64): void {
  store<u32>(heap, ref, layout.JOURNAL_REF);
  store<u64>(heap, cache, layout.JOURNAL_CACHE);
  store<u64>(heap, scav, layout.JOURNAL_SCAV);
}

/** Does the same. In the twin, the other takes halves and this one bigints. */
// @ts-ignore: decorator
@inline
export function writePages64(heap: usize, ref: u32, cache: u64, scav: u64): void {
  writePages(heap, ref, cache, scav);
}

/** Begins the commit of a free. */
// @ts-ignore: decorator
@inline
export function saveFree(heap: usize, op: u32): void {
  if (!isShared(heap)) return;
  v128.store(heap, v128.load(heap, layout.FIELDS), layout.FIELDS + layout.UNDO);
  store<u32>(heap, load<u32>(heap, layout.HEADER_IN_USE), layout.HEADER_IN_USE + layout.UNDO);
  store<u32>(heap, op | layout.JOURNAL_FREE, layout.JOURNAL_OP);
}

/** Begins a commit that changes only counts. */
// @ts-ignore: decorator
@inline
export function saveCounts(heap: usize, op: u32): void {
  if (!isShared(heap)) return;
  v128.store(heap, v128.load(heap, layout.FIELDS), layout.FIELDS + layout.UNDO);
  v128.store(heap, v128.load(heap, layout.FIELDS + 16), layout.FIELDS + layout.UNDO + 16);
  v128.store(heap, v128.load(heap, layout.FIELDS + 32), layout.FIELDS + layout.UNDO + 32);
  store<u32>(heap, op | layout.JOURNAL_COUNTS, layout.JOURNAL_OP);
}

/** Begins a commit that may change any field. */
// @ts-ignore: decorator
@inline
export function saveFields(heap: usize, op: u32): void {
  if (isShared(heap)) saveAll(heap, op);
}

/** Does the same in any heap, for a change that is undone by restoring the fields. */
// @ts-ignore: decorator
@inline
export function saveAll(heap: usize, op: u32): void {
  for (let field = heap + layout.FIELDS; field < heap + layout.FIELDS_END; field += 16) {
    v128.store(field, v128.load(field), layout.UNDO);
  }
  // Last: from here on, mend.ts restores the fields.
  store<u32>(heap, op | layout.JOURNAL_FIELDS, layout.JOURNAL_OP);
}
