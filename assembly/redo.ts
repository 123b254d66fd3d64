// Carrying out a commit again, for a worker that died within one. The fields have been put back, and nothing else needs to
// be: every commit gives the same when it is done again, from the start, after it was broken off anywhere.

import {
  JOURNAL_CHUNK,
  JOURNAL_CLAIM,
  JOURNAL_CLEAR,
  JOURNAL_COUNTS,
  JOURNAL_DROP,
  JOURNAL_FIELDS,
  JOURNAL_FLUSH,
  JOURNAL_FREE,
  JOURNAL_INDEX,
  JOURNAL_NEW,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  JOURNAL_REFILL,
  JOURNAL_RETURN,
  JOURNAL_RUNS,
  JOURNAL_SCAVENGE,
  JOURNAL_SCAVENGED,
  JOURNAL_SCAV_END,
  JOURNAL_SEARCH,
  JOURNAL_UNCLAIM,
} from "../src/engine/layout";
import { commitFlush, commitPassed, commitRange, commitRefill } from "./commit";
import { close } from "./journal";
import { commitReturn, linkRecord, unlinkRecord } from "./record";
import { mappedLeafOf } from "./tree";

/** Carries out the commit that the journal tells of. */
export function redo(heap: usize): void {
  const op = load<u32>(heap, JOURNAL_OP) & ~(JOURNAL_FREE | JOURNAL_COUNTS | JOURNAL_FIELDS);
  const chunk = load<u32>(heap, JOURNAL_CHUNK);
  const index = load<u32>(heap, JOURNAL_INDEX);
  const scavEnd = load<f64>(heap, JOURNAL_SCAV_END);
  const search = <i64>load<f64>(heap, JOURNAL_SEARCH);
  const leaf = mappedLeafOf(heap, chunk);
  if (op & (JOURNAL_CLAIM | JOURNAL_UNCLAIM | JOURNAL_SCAVENGE)) {
    const npages = load<u32>(heap, JOURNAL_NPAGES);
    const scavenged = load<u32>(heap, JOURNAL_SCAVENGED);
    commitRange(heap, leaf, op, chunk, index, npages, scavenged, load<u32>(heap, JOURNAL_RUNS), search, scavEnd);
  } else if (op & JOURNAL_CLEAR) commitPassed(heap, leaf, op, chunk, scavEnd);
  else if (op & JOURNAL_REFILL) commitRefill(heap, leaf, op, chunk, index, search);
  else if (op & JOURNAL_FLUSH) commitFlush(heap, leaf, op, chunk, index);
  else if (op & JOURNAL_RETURN) commitReturn(heap);
  else if (op & JOURNAL_NEW) linkRecord(heap, JOURNAL_NEW);
  else if (op & JOURNAL_DROP) unlinkRecord(heap);
  else close(heap);
}
