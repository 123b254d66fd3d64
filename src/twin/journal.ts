// The journal. In a shared heap a call opens it, which saves the header's fields. The call changes those as it decides,
// writes down with `write` what it is about to do to the rest of the heap, and carries that out with `apply`. `recover`
// (../recover.ts) puts the fields back for a worker that died before `write`, and carries out the entry of one that died
// after: every step can be repeated.

import {
  FIELDS,
  FIELDS_END,
  HEADER_ALLOCS,
  HEADER_FREES,
  HEADER_RELEASED,
  HEADER_SEARCH_CHUNK,
  HEADER_SHARED,
  JOURNAL_CHUNK,
  JOURNAL_COUNTS,
  JOURNAL_FIELDS,
  JOURNAL_FREE,
  JOURNAL_INDEX,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  UNDO,
} from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Opens the journal for a free. Saves each count by itself and whole: a loop over words takes 25 ns more. */
export function openFree({ i32, f64 }: Memory, heap: number): void {
  if (!i32[(heap + HEADER_SHARED) >>> 2]) return;
  const from = (heap + HEADER_SEARCH_CHUNK) >>> 2;
  const to = from + UNDO / 4;
  f64[(heap + HEADER_FREES + UNDO) >>> 3] = f64[(heap + HEADER_FREES) >>> 3];
  i32[to] = i32[from];
  i32[to + 1] = i32[from + 1];
  i32[to + 2] = i32[from + 2];
  i32[(heap + JOURNAL_OP) >>> 2] = JOURNAL_FREE;
}

/** Opens the journal for a call that changes no fields but counts. */
export function open(memory: Memory, heap: number): void {
  const { i32, f64 } = memory;
  if (!i32[(heap + HEADER_SHARED) >>> 2]) return;
  openFree(memory, heap);
  const from = (heap + HEADER_RELEASED) >>> 2;
  const to = from + UNDO / 4;
  i32[to] = i32[from];
  i32[to + 1] = i32[from + 1];
  i32[to + 2] = i32[from + 2];
  i32[to + 3] = i32[from + 3];
  i32[to + 4] = i32[from + 4];
  f64[(heap + HEADER_ALLOCS + UNDO) >>> 3] = f64[(heap + HEADER_ALLOCS) >>> 3];
  i32[(heap + JOURNAL_OP) >>> 2] = JOURNAL_COUNTS;
}

/** Opens the journal for a call that changes any fields. */
export function openWhole({ i32 }: Memory, heap: number): void {
  if (!i32[(heap + HEADER_SHARED) >>> 2]) return;
  const end = (heap + FIELDS_END) >>> 2;
  for (let word = (heap + FIELDS) >>> 2; word < end; word++) i32[word + UNDO / 4] = i32[word];
  i32[(heap + JOURNAL_OP) >>> 2] = JOURNAL_FIELDS;
}

/** Completes the entry. */
export function write(
  { i32 }: Memory,
  heap: number,
  op: number,
  chunk: number,
  index: number,
  npages: number,
): void {
  i32[(heap + JOURNAL_CHUNK) >>> 2] = chunk;
  i32[(heap + JOURNAL_INDEX) >>> 2] = index;
  i32[(heap + JOURNAL_NPAGES) >>> 2] = npages;
  i32[(heap + JOURNAL_OP) >>> 2] = op;
}

/** Empties the journal: the call has been carried out. */
export function close({ i32 }: Memory, heap: number): void {
  i32[(heap + JOURNAL_OP) >>> 2] = 0;
}
