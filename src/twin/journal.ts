// The journal: a call on a heap opens it, which saves the header's fields; changes those as it decides; writes down what it
// is about to do to the rest of the heap, and carries that out with `apply`. `recover` (../recover.ts) puts the fields back
// for a worker that has died before `write`, and carries out the entry of one that has died since: every step can be
// repeated.

import {
  COUNTS_END,
  FIELDS,
  FIELDS_END,
  HEADER_UNDO,
  JOURNAL_CHUNK,
  JOURNAL_COUNTS,
  JOURNAL_FIELDS,
  JOURNAL_INDEX,
  JOURNAL_NPAGES,
  JOURNAL_OP,
} from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Opens the journal for a call that changes no fields but counts. */
export function open(memory: Memory, heap: number): void {
  save(memory, heap, COUNTS_END, JOURNAL_COUNTS);
}

/** Opens the journal for a call that changes any fields. */
export function openWhole(memory: Memory, heap: number): void {
  save(memory, heap, FIELDS_END, JOURNAL_FIELDS);
}

/** Saves the fields before `end`, if the heap is shared. So few are copied faster one by one. */
function save({ i32 }: Memory, heap: number, end: number, op: number): void {
  const undo = i32[(heap + HEADER_UNDO) >>> 2] >> 2;
  if (!undo) return;
  const last = (heap + end) >>> 2;
  for (let word = (heap + FIELDS) >>> 2; word < last; word++) i32[word + undo] = i32[word];
  i32[(heap + JOURNAL_OP) >>> 2] = op;
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
