// The journal. A call writes down what it is about to mark, marks it, and commits: src/engine/layout.ts says what that
// means. If it is interrupted before the commit, src/store/mend.ts undoes what it has marked. If a worker dies within a
// commit, mend.ts puts the saved fields back and carries the commit out again.
//
// Whatever has this decorator is part of the commits that use it: those must not call, as any call may overflow the
// stack.

import * as layout from "../src/engine/layout";
import { assertHeld } from "./assertions";

/** Writes down the range that is about to be marked. */
// @ts-ignore: decorator
@inline
export function write(heap: usize, op: u32, chunk: u32, index: u32, npages: u32): void {
  assertHeld(heap);
  store<u32>(heap, chunk, layout.JOURNAL_CHUNK);
  store<u32>(heap, index, layout.JOURNAL_INDEX);
  store<u32>(heap, npages, layout.JOURNAL_NPAGES);
  store<u32>(heap, op, layout.JOURNAL_OP);
}

/** Writes down whose range it is: the record that `commitRange` fills (JOURNAL_NEW) or empties (JOURNAL_DROP). */
// @ts-ignore: decorator
@inline
export function writeRecord(heap: usize, ref: u32): void {
  store<u32>(heap, ref, layout.JOURNAL_REF);
}

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

/** Begins the commit of a free. */
// @ts-ignore: decorator
@inline
export function saveFree(heap: usize, op: u32): void {
  if (!load<u32>(heap, layout.HEADER_SHARED)) return;
  v128.store(heap, v128.load(heap, layout.FIELDS), layout.FIELDS + layout.UNDO);
  store<u32>(heap, load<u32>(heap, layout.HEADER_IN_USE), layout.HEADER_IN_USE + layout.UNDO);
  store<u32>(heap, op | layout.JOURNAL_FREE, layout.JOURNAL_OP);
}

/** Begins a commit that changes no fields but counts. */
// @ts-ignore: decorator
@inline
export function saveCounts(heap: usize, op: u32): void {
  if (!load<u32>(heap, layout.HEADER_SHARED)) return;
  v128.store(heap, v128.load(heap, layout.FIELDS), layout.FIELDS + layout.UNDO);
  v128.store(heap, v128.load(heap, layout.FIELDS + 16), layout.FIELDS + layout.UNDO + 16);
  v128.store(heap, v128.load(heap, layout.FIELDS + 32), layout.FIELDS + layout.UNDO + 32);
  store<u32>(heap, op | layout.JOURNAL_COUNTS, layout.JOURNAL_OP);
}

/** Begins a commit that changes any fields. */
// @ts-ignore: decorator
@inline
export function saveFields(heap: usize, op: u32): void {
  if (load<u32>(heap, layout.HEADER_SHARED)) saveAll(heap, op);
}

/** The same in any heap, for what is undone from the saved fields. */
// @ts-ignore: decorator
@inline
export function saveAll(heap: usize, op: u32): void {
  for (let field = heap + layout.FIELDS; field < heap + layout.FIELDS_END; field += 16) {
    v128.store(field, v128.load(field), layout.UNDO);
  }
  store<u32>(heap, op | layout.JOURNAL_FIELDS, layout.JOURNAL_OP);
}

/** Ends the call: it has been carried out. */
// @ts-ignore: decorator
@inline
export function close(heap: usize): void {
  store<u32>(heap, 0, layout.JOURNAL_OP);
}
