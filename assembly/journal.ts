// The journal: a call on a heap opens it, decides, writes down what it is about to do, and carries that out with `apply`,
// which also finishes the entry of a worker that has died. Up to `write` nothing of the heap has changed; from there on
// every step can be repeated.

import {
  COUNTS,
  FIELDS,
  FIELDS_END,
  HEADER_DRAFT,
  JOURNAL_BRIEF,
  JOURNAL_CHUNK,
  JOURNAL_INDEX,
  JOURNAL_NPAGES,
  JOURNAL_OP,
} from "../src/layout";

/** Opens the journal for an entry of JOURNAL_BRIEF. Returns the address from which the call reads and changes counts. */
export function open(heap: usize): usize {
  const draft = load<u32>(heap, HEADER_DRAFT);
  if (draft) copyCounts(heap + draft, heap);
  return heap + draft;
}

/** Opens the journal. Returns the address from which the call reads and changes the header's fields. */
export function openWhole(heap: usize): usize {
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

/** Takes over what was drafted and empties the journal. */
export function close(heap: usize): void {
  const draft = load<u32>(heap, HEADER_DRAFT);
  if (draft) {
    if (load<u32>(heap, JOURNAL_OP) & ~JOURNAL_BRIEF) copyFields(heap, heap + draft);
    else copyCounts(heap, heap + draft);
  }
  store<u32>(heap, 0, JOURNAL_OP);
}

/** Copies the counts. */
function copyCounts(to: usize, from: usize): void {
  v128.store(to, v128.load(from, COUNTS), COUNTS);
  v128.store(to, v128.load(from, COUNTS + 16), COUNTS + 16);
  v128.store(to, v128.load(from, COUNTS + 32), COUNTS + 32);
}

/** Copies all fields. */
function copyFields(to: usize, from: usize): void {
  for (let field: usize = FIELDS; field < <usize>FIELDS_END; field += 16) {
    v128.store(to + field, v128.load(from + field));
  }
}
