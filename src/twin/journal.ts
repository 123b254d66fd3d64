// The journal: a call on a heap opens it, decides, writes down what it is about to do, and carries that out with `apply`,
// which also finishes the entry of a worker that has died. Up to `write` nothing of the heap has changed; from there on
// every step can be repeated.

import {
  FIELDS,
  FIELDS_END,
  HEADER_DRAFT,
  JOURNAL_CHUNK,
  JOURNAL_INDEX,
  JOURNAL_NPAGES,
  JOURNAL_OP,
} from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Opens the journal. Returns the address from which the call reads and changes the header's fields. */
export function open(memory: Memory, heap: number): number {
  const draft = memory.i32[(heap + HEADER_DRAFT) >>> 2];
  if (draft) copyFields(memory, heap + draft, heap);
  return heap + draft;
}

/** Writes the entry. */
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

/** Takes over the drafted fields and empties the journal. */
export function close(memory: Memory, heap: number): void {
  const draft = memory.i32[(heap + HEADER_DRAFT) >>> 2];
  if (draft) copyFields(memory, heap, heap + draft);
  memory.i32[(heap + JOURNAL_OP) >>> 2] = 0;
}

function copyFields({ i32 }: Memory, to: number, from: number): void {
  i32.copyWithin((to + FIELDS) >>> 2, (from + FIELDS) >>> 2, (from + FIELDS_END) >>> 2);
}
