// Records: pages that the bitmaps show as in use but that nobody got from `alloc`, because a page cache owns them or a
// hook is running on them. They are part of the state, so that it tells the whole truth at any moment.

import {
  CHUNK_PAGES,
  HEADER_ALLOCS,
  HEADER_DEAD_RECORDS,
  HEADER_HOLDS,
  HEADER_IN_USE,
  HEADER_LAST_SCAVENGED,
  HEADER_RECORDS,
  HEADER_SCAV_END,
  HEADER_SCAV_STRICT,
  HEADER_USED,
  HOLD_DECLINED,
  HOLD_RELEASED,
  HOLD_UNDONE,
  HOLD_USED,
  JOURNAL_CLAIM,
  JOURNAL_DEAD,
  JOURNAL_DROP,
  JOURNAL_KIND,
  JOURNAL_NEW,
  JOURNAL_NEXT,
  JOURNAL_OWNER,
  JOURNAL_PREV,
  JOURNAL_REF,
  JOURNAL_RETURN,
  JOURNAL_SCAVENGE,
  JOURNAL_TO,
  JOURNAL_UNCLAIM,
  KIND_CACHE,
  KIND_REUSING,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_PREV,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { apply } from "./apply.ts";
import { popcntRange } from "./bits.ts";
import { count, countReleased, countTaken, lowerSearch, total } from "./fields.ts";
import { openWhole, write } from "./journal.ts";
import { countScavenged, leafOf } from "./tree.ts";

/**
 * Changes the header, and fills in the journal, for a record that is to be made: of a dead one, or else the region has room
 * for it. Returns its ref.
 */
export function planRecord(memory: Memory, heap: number, kind: number, owner: number): number {
  const { i32 } = memory;
  let ref = i32[(heap + HEADER_DEAD_RECORDS) >>> 2];
  if (ref) {
    i32[(heap + HEADER_DEAD_RECORDS) >>> 2] = i32[(heap + ref + RECORD_NEXT) >>> 2];
  } else {
    ref = i32[(heap + HEADER_USED) >>> 2];
    i32[(heap + HEADER_USED) >>> 2] = ref + RECORD_BYTES;
  }
  i32[(heap + JOURNAL_REF) >>> 2] = ref;
  i32[(heap + JOURNAL_NEXT) >>> 2] = i32[(heap + HEADER_RECORDS) >>> 2];
  i32[(heap + JOURNAL_KIND) >>> 2] = kind;
  i32[(heap + JOURNAL_OWNER) >>> 2] = owner;
  i32[(heap + HEADER_RECORDS) >>> 2] = ref;
  if (kind !== KIND_CACHE) count(memory, heap, 1, HEADER_HOLDS);
  return ref;
}

/** The same for a record that is to be dropped. */
export function planDrop(memory: Memory, heap: number, ref: number): void {
  const { i32 } = memory;
  const record = heap + ref;
  const next = i32[(record + RECORD_NEXT) >>> 2];
  const prev = i32[(record + RECORD_PREV) >>> 2];
  i32[(heap + JOURNAL_REF) >>> 2] = ref;
  i32[(heap + JOURNAL_NEXT) >>> 2] = next;
  i32[(heap + JOURNAL_PREV) >>> 2] = prev;
  i32[(heap + JOURNAL_DEAD) >>> 2] = i32[(heap + HEADER_DEAD_RECORDS) >>> 2];
  i32[(heap + HEADER_DEAD_RECORDS) >>> 2] = ref;
  if (!prev) i32[(heap + HEADER_RECORDS) >>> 2] = next;
  if (i32[(record + RECORD_KIND) >>> 2] !== KIND_CACHE) count(memory, heap, -1, HEADER_HOLDS);
}

/** Makes a record of pages that are in use; a cache gets what JOURNAL_CACHE and JOURNAL_SCAV say. Returns its ref. */
export function newRecord(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  openWhole(memory, heap);
  const ref = planRecord(memory, heap, kind, owner);
  write(memory, heap, JOURNAL_NEW, chunk, index, npages);
  apply(memory, heap, 0);
  return ref;
}

/**
 * Takes free pages and makes the record that holds them while a hook runs: for `sys.unused`, which also moves scavAddr, or
 * for `sys.used`, which is an alloc. Returns its ref.
 */
export function hold(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
  scavEnd: number,
): number {
  openWhole(memory, heap);
  const leaf = leafOf(memory, heap, chunk);
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  countTaken(memory, heap, npages, scavenged);
  memory.f64[(heap + HEADER_SCAV_END) >>> 3] = scavEnd;
  if (kind === KIND_REUSING) {
    memory.i32[(heap + HEADER_LAST_SCAVENGED) >>> 2] = scavenged;
    total(memory, heap, 1, HEADER_ALLOCS);
  }
  const ref = planRecord(memory, heap, kind, owner);
  write(memory, heap, JOURNAL_CLAIM | JOURNAL_NEW, chunk, index, npages);
  apply(memory, heap, leaf);
  return ref;
}

/** Ends a hold as one of the HOLD_ numbers says. */
export function endHold(memory: Memory, heap: number, ref: number, outcome: number): void {
  const { i32 } = memory;
  openWhole(memory, heap);
  const record = heap + ref;
  const chunk = i32[(record + RECORD_CHUNK) >>> 2];
  const index = i32[(record + RECORD_INDEX) >>> 2];
  const npages = i32[(record + RECORD_NPAGES) >>> 2];
  let op = JOURNAL_DROP;
  planDrop(memory, heap, ref);
  if (outcome !== HOLD_USED) {
    op |= JOURNAL_UNCLAIM;
    lowerSearch(memory, heap, chunk, index);
    count(memory, heap, -npages, HEADER_IN_USE);
  }
  if (outcome === HOLD_RELEASED) {
    op |= JOURNAL_SCAVENGE;
    countReleased(memory, heap, npages, 1);
  }
  if (outcome === HOLD_DECLINED) i32[(heap + HEADER_SCAV_STRICT) >>> 2] = 1;
  if (outcome === HOLD_UNDONE) total(memory, heap, -1, HEADER_ALLOCS);
  write(memory, heap, op, chunk, index, npages);
  apply(memory, heap, leafOf(memory, heap, chunk));
}

/** Ends a hold of pages that were a cache's, which gets back what JOURNAL_CACHE and JOURNAL_SCAV say. */
export function returnHold(memory: Memory, heap: number, ref: number, cache: number): void {
  openWhole(memory, heap);
  planDrop(memory, heap, ref);
  memory.i32[(heap + JOURNAL_TO) >>> 2] = cache;
  write(memory, heap, JOURNAL_DROP | JOURNAL_RETURN, 0, 0, 0);
  apply(memory, heap, 0);
}

/** Whether a page of the range is in a page cache, or held while a hook runs on it. */
export function owned(memory: Memory, heap: number, chunk: number, index: number, npages: number): boolean {
  const { i32 } = memory;
  const from = chunk * CHUNK_PAGES + index;
  for (let ref = i32[(heap + HEADER_RECORDS) >>> 2]; ref; ref = i32[(heap + ref + RECORD_NEXT) >>> 2]) {
    const record = heap + ref;
    const first = i32[(record + RECORD_CHUNK) >>> 2] * CHUNK_PAGES + i32[(record + RECORD_INDEX) >>> 2];
    const start = Math.max(from - first, 0);
    const end = Math.min(from + npages - first, i32[(record + RECORD_NPAGES) >>> 2]);
    if (start >= end) continue;
    if (i32[(record + RECORD_KIND) >>> 2] !== KIND_CACHE) return true;
    if (popcntRange(memory, record + RECORD_CACHE, start, end - start)) return true;
  }
  return false;
}
