// Redoes a commit in which a worker died. mend.ts has restored the saved fields, and nothing else needs to be restored:
// a commit that is redone from the start gives the same result, wherever it was interrupted.

import * as layout from "../src/engine/layout";
import { commitFlush, commitPassed, commitRange, commitRefill } from "./commit";
import { close } from "./journal";
import { commitReturn, linkRecord, unlinkRecord } from "./record";
import { mappedLeafOf } from "./tree";

/**
 * Redoes the commit in the journal. A `reset`, or a `passOver` that clears no bit, leaves no bits there: restoring the
 * fields has undone it.
 */
export function redo(heap: usize): void {
  if (!PALLOC_SHARED) return;
  const saved: u32 = layout.JOURNAL_FREE | layout.JOURNAL_COUNTS | layout.JOURNAL_FIELDS;
  const op = load<u32>(heap, layout.JOURNAL_OP) & ~saved;
  const chunk = load<u32>(heap, layout.JOURNAL_CHUNK);
  const index = load<u32>(heap, layout.JOURNAL_INDEX);
  const scavEnd = load<f64>(heap, layout.JOURNAL_SCAV_END);
  const leaf = mappedLeafOf(heap, chunk);
  // NEW and DROP are tested last, because they also go with other bits.
  if (op & (layout.JOURNAL_CLAIM | layout.JOURNAL_UNCLAIM | layout.JOURNAL_SCAVENGE)) {
    const npages = load<u32>(heap, layout.JOURNAL_NPAGES);
    const scavenged = load<u32>(heap, layout.JOURNAL_SCAVENGED);
    commitRange(heap, leaf, op, chunk, index, npages, scavenged, load<u32>(heap, layout.JOURNAL_RUNS), scavEnd);
  } else if (op & layout.JOURNAL_CLEAR) commitPassed(heap, leaf, op, chunk, scavEnd);
  else if (op & layout.JOURNAL_REFILL) commitRefill(heap, leaf, op, chunk, index);
  else if (op & layout.JOURNAL_FLUSH) commitFlush(heap, leaf, op, chunk, index);
  else if (op & layout.JOURNAL_RETURN) commitReturn(heap);
  else if (op & layout.JOURNAL_NEW) linkRecord(heap, layout.JOURNAL_NEW);
  else if (op & layout.JOURNAL_DROP) unlinkRecord(heap);
  else close(heap);
}
