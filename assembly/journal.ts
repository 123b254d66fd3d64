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
} from "../src/layout";

/** Opens the journal. Returns the address from which the call reads and changes the header's fields. */
export function open(heap: usize): usize {
  const draft = load<u32>(heap, HEADER_DRAFT);
  if (draft) copyFields(heap + draft, heap);
  return heap + draft;
}

/** Writes the entry. */
export function write(heap: usize, op: u32, chunk: u32, index: u32, npages: u32): void {
  store<u32>(heap, chunk, JOURNAL_CHUNK);
  store<u32>(heap, index, JOURNAL_INDEX);
  store<u32>(heap, npages, JOURNAL_NPAGES);
  store<u32>(heap, op, JOURNAL_OP);
}

/** Takes over the drafted fields and empties the journal. */
export function close(heap: usize): void {
  const draft = load<u32>(heap, HEADER_DRAFT);
  if (draft) copyFields(heap, heap + draft);
  store<u32>(heap, 0, JOURNAL_OP);
}

function copyFields(to: usize, from: usize): void {
  for (let field: usize = FIELDS; field < <usize>FIELDS_END; field += 16) {
    v128.store(to + field, v128.load(from + field));
  }
}
