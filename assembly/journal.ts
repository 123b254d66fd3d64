// The journal. In a shared heap a call opens it, which saves the header's fields. The call changes those as it decides,
// writes down with `write` what it is about to do to the rest of the heap, and carries that out with `apply`. `recover`
// (src/recover.ts) puts the fields back for a worker that died before `write`, and carries out the entry of one that died
// after: every step can be repeated.

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
} from "../src/layout";

/** Opens the journal for a free. */
export function openFree(heap: usize): void {
  if (!load<u32>(heap, HEADER_SHARED)) return;
  v128.store(heap, v128.load(heap, FIELDS), FIELDS + UNDO);
  store<u32>(heap, load<u32>(heap, HEADER_IN_USE), HEADER_IN_USE + UNDO);
  store<u32>(heap, JOURNAL_FREE, JOURNAL_OP);
}

/** Opens the journal for a call that changes no fields but counts. */
export function open(heap: usize): void {
  if (!load<u32>(heap, HEADER_SHARED)) return;
  v128.store(heap, v128.load(heap, FIELDS), FIELDS + UNDO);
  v128.store(heap, v128.load(heap, FIELDS + 16), FIELDS + UNDO + 16);
  v128.store(heap, v128.load(heap, FIELDS + 32), FIELDS + UNDO + 32);
  store<u32>(heap, JOURNAL_COUNTS, JOURNAL_OP);
}

/** Opens the journal for a call that changes any fields. */
export function openWhole(heap: usize): void {
  if (!load<u32>(heap, HEADER_SHARED)) return;
  for (let field = heap + FIELDS; field < heap + FIELDS_END; field += 16) {
    v128.store(field, v128.load(field), UNDO);
  }
  store<u32>(heap, JOURNAL_FIELDS, JOURNAL_OP);
}

/** Completes the entry. */
export function write(heap: usize, op: u32, chunk: u32, index: u32, npages: u32): void {
  store<u32>(heap, chunk, JOURNAL_CHUNK);
  store<u32>(heap, index, JOURNAL_INDEX);
  store<u32>(heap, npages, JOURNAL_NPAGES);
  store<u32>(heap, op, JOURNAL_OP);
}

/** Empties the journal: the call has been carried out. */
export function close(heap: usize): void {
  store<u32>(heap, 0, JOURNAL_OP);
}
