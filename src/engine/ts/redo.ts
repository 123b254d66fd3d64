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
  JOURNAL_SCAV_END,
  JOURNAL_SCAVENGE,
  JOURNAL_SCAVENGED,
  JOURNAL_SEARCH,
  JOURNAL_UNCLAIM,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { commitFlush, commitPassed, commitRange, commitRefill } from "./commit.ts";
import { close } from "./journal.ts";
import { commitReturn, linkRecord, unlinkRecord } from "./record.ts";
import { mappedLeafOf } from "./tree.ts";

/** Carries out the commit that the journal tells of. */
export function redo(memory: Memory, heap: number): void {
  const { i32, f64 } = memory;
  const op = i32[(heap + JOURNAL_OP) >>> 2] & ~(JOURNAL_FREE | JOURNAL_COUNTS | JOURNAL_FIELDS);
  const chunk = i32[(heap + JOURNAL_CHUNK) >>> 2];
  const index = i32[(heap + JOURNAL_INDEX) >>> 2];
  const scavEnd = f64[(heap + JOURNAL_SCAV_END) >>> 3];
  const search = f64[(heap + JOURNAL_SEARCH) >>> 3];
  const leaf = mappedLeafOf(memory, heap, chunk);
  if (op & (JOURNAL_CLAIM | JOURNAL_UNCLAIM | JOURNAL_SCAVENGE)) {
    const npages = i32[(heap + JOURNAL_NPAGES) >>> 2] >>> 0;
    const scavenged = i32[(heap + JOURNAL_SCAVENGED) >>> 2];
    const runs = i32[(heap + JOURNAL_RUNS) >>> 2];
    commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, runs, search, scavEnd);
  } else if (op & JOURNAL_CLEAR) commitPassed(memory, heap, leaf, op, chunk, scavEnd);
  else if (op & JOURNAL_REFILL) commitRefill(memory, heap, leaf, op, chunk, index, search);
  else if (op & JOURNAL_FLUSH) commitFlush(memory, heap, leaf, op, chunk, index);
  else if (op & JOURNAL_RETURN) commitReturn(memory, heap);
  else if (op & JOURNAL_NEW) linkRecord(memory, heap, JOURNAL_NEW);
  else if (op & JOURNAL_DROP) unlinkRecord(memory, heap);
  else close(memory, heap);
}
