// Carrying out a commit again, for a worker that died within one. The fields have been put back, and nothing else needs
// to be: every commit gives the same when it is done again, from the start, after it was interrupted anywhere.

import * as layout from "../src/engine/layout";
import { commitFlush, commitPassed, commitRange, commitRefill } from "./commit";
import { close } from "./journal";
import { commitReturn, linkRecord, unlinkRecord } from "./record";
import { mappedLeafOf } from "./tree";

/** Carries out the commit that the journal tells of. */
export function redo(heap: usize): void {
  const saved: u32 = layout.JOURNAL_FREE | layout.JOURNAL_COUNTS | layout.JOURNAL_FIELDS;
  const op = load<u32>(heap, layout.JOURNAL_OP) & ~saved;
  const chunk = load<u32>(heap, layout.JOURNAL_CHUNK);
  const index = load<u32>(heap, layout.JOURNAL_INDEX);
  const scavEnd = load<f64>(heap, layout.JOURNAL_SCAV_END);
  const leaf = mappedLeafOf(heap, chunk);
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
