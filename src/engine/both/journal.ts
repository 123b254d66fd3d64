// The journal. A call writes down what it is about to mark, marks it, and commits (see layout.ts). If it is interrupted
// before the commit, mend.ts undoes what it has marked. If a worker dies within a commit, mend.ts puts the saved fields
// back and carries the commit out again. save.ts has what a commit saves.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import type { bool, u32, usize } from "../ts/builtins.ts";
import { assertHeld } from "./assertions.ts";

/** Writes down the range that is about to be marked. */
// @inline
export function write(memory: Memory, heap: usize, op: u32, chunk: u32, index: u32, npages: u32): void {
  if (PALLOC_DEBUG) assertHeld(memory, heap);
  const { i32 } = memory;
  i32[(heap + layout.JOURNAL_CHUNK) >>> 2] = chunk;
  i32[(heap + layout.JOURNAL_INDEX) >>> 2] = index;
  i32[(heap + layout.JOURNAL_NPAGES) >>> 2] = npages;
  // Last, because it makes the entry valid.
  i32[(heap + layout.JOURNAL_OP) >>> 2] = op;
}

/** Writes down the record that `commitRange` gives the range to (JOURNAL_NEW) or takes it from (JOURNAL_DROP). */
// @inline
export function writeRecord(memory: Memory, heap: usize, ref: u32): void {
  const { i32 } = memory;
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
}

/** Whether other workers may use the heap. If so, this one may die within a commit, which is then done again. */
// @inline
export function isShared(memory: Memory, heap: usize): bool {
  const { i32 } = memory;
  return PALLOC_SHARED && i32[(heap + layout.HEADER_SHARED) >>> 2] !== 0;
}

/** Reports whether no call is under way, and no interrupted one must be mended. */
// @inline
export function isIdle(memory: Memory, heap: usize): bool {
  const { i32 } = memory;
  return !(i32[(heap + layout.HEADER_LOCK) >>> 2] | i32[(heap + layout.JOURNAL_OP) >>> 2]);
}

/** Ends the entry: the call is done. */
// @inline
export function close(memory: Memory, heap: usize): void {
  const { i32 } = memory;
  i32[(heap + layout.JOURNAL_OP) >>> 2] = 0;
}
