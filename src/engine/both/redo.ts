// Redoes a commit in which a worker died. mend.ts has restored the saved fields, and nothing else needs to be restored:
// a commit that is redone from the start gives the same result, wherever it was interrupted.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import type { u32, usize } from "../ts/builtins.ts";
import { commitFlush, commitPassed, commitRange, commitRefill } from "../ts/commit.ts";
import { commitReturn, linkRecord, unlinkRecord } from "../ts/commit-record.ts";
import { close } from "./journal.ts";
import { mappedLeafOf } from "./tree.ts";

/**
 * Redoes the commit in the journal. A `reset`, or a `passOver` that clears no bit, leaves no bits there: restoring the
 * fields has undone it.
 */
export function redo(memory: Memory, heap: usize): void {
  const { i32, f64 } = memory;
  if (!PALLOC_SHARED) return;
  const saved: u32 = layout.JOURNAL_FREE | layout.JOURNAL_COUNTS | layout.JOURNAL_FIELDS;
  const op = i32[(heap + layout.JOURNAL_OP) >>> 2] & ~saved;
  const chunk = i32[(heap + layout.JOURNAL_CHUNK) >>> 2];
  const index = i32[(heap + layout.JOURNAL_INDEX) >>> 2];
  const scavEnd = f64[(heap + layout.JOURNAL_SCAV_END) >>> 3];
  const leaf = mappedLeafOf(memory, heap, chunk);
  // NEW and DROP are tested last, because they also go with other bits.
  if (op & (layout.JOURNAL_CLAIM | layout.JOURNAL_UNCLAIM | layout.JOURNAL_SCAVENGE)) {
    const npages = i32[(heap + layout.JOURNAL_NPAGES) >>> 2] >>> 0;
    const scavenged = i32[(heap + layout.JOURNAL_SCAVENGED) >>> 2];
    const runs = i32[(heap + layout.JOURNAL_RUNS) >>> 2];
    commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, runs, scavEnd);
  } else if (op & layout.JOURNAL_CLEAR) commitPassed(memory, heap, leaf, op, chunk, scavEnd);
  else if (op & layout.JOURNAL_REFILL) commitRefill(memory, heap, leaf, op, chunk, index);
  else if (op & layout.JOURNAL_FLUSH) commitFlush(memory, heap, leaf, op, chunk, index);
  else if (op & layout.JOURNAL_RETURN) commitReturn(memory, heap);
  else if (op & layout.JOURNAL_NEW) linkRecord(memory, heap, layout.JOURNAL_NEW);
  else if (op & layout.JOURNAL_DROP) unlinkRecord(memory, heap);
  else close(memory, heap);
}
