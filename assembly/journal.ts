// The journal. A call writes down what it is about to mark, marks it, and commits: src/engine/layout.ts says what that means. If it
// is broken off before the commit, src/store/mend.ts undoes what it has marked; if a worker dies within one, it puts the saved
// fields back and carries the commit out again.
//
// Whatever has this decorator is part of the commits that use it: those must not call, as any call may overflow the stack.

import {
  FIELDS,
  FIELDS_END,
  HEADER_IN_USE,
  HEADER_SHARED,
  JOURNAL_CHUNK,
  JOURNAL_COUNTS,
  JOURNAL_FIELDS,
  JOURNAL_FREE,
  JOURNAL_INDEX,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  UNDO,
} from "../src/engine/layout";

/** Writes down the range that is about to be marked. */
// @ts-ignore: decorator
@inline
export function write(heap: usize, op: u32, chunk: u32, index: u32, npages: u32): void {
  store<u32>(heap, chunk, JOURNAL_CHUNK);
  store<u32>(heap, index, JOURNAL_INDEX);
  store<u32>(heap, npages, JOURNAL_NPAGES);
  store<u32>(heap, op, JOURNAL_OP);
}

/** Begins the commit of a free. */
// @ts-ignore: decorator
@inline
export function saveFree(heap: usize, op: u32): void {
  if (!load<u32>(heap, HEADER_SHARED)) return;
  v128.store(heap, v128.load(heap, FIELDS), FIELDS + UNDO);
  store<u32>(heap, load<u32>(heap, HEADER_IN_USE), HEADER_IN_USE + UNDO);
  store<u32>(heap, op | JOURNAL_FREE, JOURNAL_OP);
}

/** Begins a commit that changes no fields but counts. */
// @ts-ignore: decorator
@inline
export function saveCounts(heap: usize, op: u32): void {
  if (!load<u32>(heap, HEADER_SHARED)) return;
  v128.store(heap, v128.load(heap, FIELDS), FIELDS + UNDO);
  v128.store(heap, v128.load(heap, FIELDS + 16), FIELDS + UNDO + 16);
  v128.store(heap, v128.load(heap, FIELDS + 32), FIELDS + UNDO + 32);
  store<u32>(heap, op | JOURNAL_COUNTS, JOURNAL_OP);
}

/** Begins a commit that changes any fields. */
// @ts-ignore: decorator
@inline
export function saveFields(heap: usize, op: u32): void {
  if (load<u32>(heap, HEADER_SHARED)) saveAll(heap, op);
}

/** The same in any heap, for what is undone from the saved fields. */
// @ts-ignore: decorator
@inline
export function saveAll(heap: usize, op: u32): void {
  for (let field = heap + FIELDS; field < heap + FIELDS_END; field += 16) {
    v128.store(field, v128.load(field), UNDO);
  }
  store<u32>(heap, op | JOURNAL_FIELDS, JOURNAL_OP);
}

/** Ends the call: it has been carried out. */
// @ts-ignore: decorator
@inline
export function close(heap: usize): void {
  store<u32>(heap, 0, JOURNAL_OP);
}
