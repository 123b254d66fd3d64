// The journal: a call on a heap opens it, decides, writes down what it is about to do, and carries that out with `apply`,
// which also finishes the entry of a worker that has died. Up to `write` nothing of the heap has changed; from there on
// every step can be repeated.

import {
  COUNTS,
  COUNTS_END,
  FIELDS,
  FIELDS_END,
  HEADER_DRAFT,
  JOURNAL_BRIEF,
  JOURNAL_CHUNK,
  JOURNAL_INDEX,
  JOURNAL_NPAGES,
  JOURNAL_OP,
} from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Opens the journal for an entry of JOURNAL_BRIEF. Returns the address from which the call reads and changes counts. */
export function open(memory: Memory, heap: number): number {
  const draft = memory.i32[(heap + HEADER_DRAFT) >>> 2];
  if (draft) copy(memory, heap + draft, heap, COUNTS, COUNTS_END);
  return heap + draft;
}

/** Opens the journal. Returns the address from which the call reads and changes the header's fields. */
export function openWhole(memory: Memory, heap: number): number {
  const draft = memory.i32[(heap + HEADER_DRAFT) >>> 2];
  if (draft) copy(memory, heap + draft, heap, FIELDS, FIELDS_END);
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

/** Takes over what was drafted and empties the journal. */
export function close(memory: Memory, heap: number): void {
  const { i32 } = memory;
  const draft = i32[(heap + HEADER_DRAFT) >>> 2];
  if (draft) {
    if (i32[(heap + JOURNAL_OP) >>> 2] & ~JOURNAL_BRIEF) copy(memory, heap, heap + draft, FIELDS, FIELDS_END);
    else copy(memory, heap, heap + draft, COUNTS, COUNTS_END);
  }
  i32[(heap + JOURNAL_OP) >>> 2] = 0;
}

/** Copies the fields [first, end). So few are copied faster one by one. */
function copy({ i32 }: Memory, to: number, from: number, first: number, end: number): void {
  const distance = (to - from) >> 2;
  const last = (from + end) >>> 2;
  for (let word = (from + first) >>> 2; word < last; word++) i32[word + distance] = i32[word];
}
