// Records: pages that the bitmaps show as in use but that nobody got from `alloc`, because a page cache owns them or a
// hook is running on them. They are part of the state, so that it tells the whole truth at any moment.

import {
  CHUNK_SHIFT,
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
} from "../src/layout";
import { apply } from "./apply";
import { count, countReleased, countTaken, lowerSearch, total } from "./fields";
import { openWhole, write } from "./journal";
import { countScavenged, leafOf } from "./tree";

/**
 * Changes the header, and fills in the journal, for a record that is to be made: of a dead one, or else the region has room
 * for it. Returns its ref.
 */
export function planRecord(heap: usize, kind: u32, owner: u32): u32 {
  let ref = load<u32>(heap, HEADER_DEAD_RECORDS);
  if (ref) {
    store<u32>(heap, load<u32>(heap + ref, RECORD_NEXT), HEADER_DEAD_RECORDS);
  } else {
    ref = load<u32>(heap, HEADER_USED);
    store<u32>(heap, ref + RECORD_BYTES, HEADER_USED);
  }
  store<u32>(heap, ref, JOURNAL_REF);
  store<u32>(heap, load<u32>(heap, HEADER_RECORDS), JOURNAL_NEXT);
  store<u32>(heap, kind, JOURNAL_KIND);
  store<u32>(heap, owner, JOURNAL_OWNER);
  store<u32>(heap, ref, HEADER_RECORDS);
  if (kind != KIND_CACHE) count(heap, 1, HEADER_HOLDS);
  return ref;
}

/** The same for a record that is to be dropped. */
export function planDrop(heap: usize, ref: u32): void {
  const record = heap + ref;
  const next = load<u32>(record, RECORD_NEXT);
  const prev = load<u32>(record, RECORD_PREV);
  store<u32>(heap, ref, JOURNAL_REF);
  store<u32>(heap, next, JOURNAL_NEXT);
  store<u32>(heap, prev, JOURNAL_PREV);
  store<u32>(heap, load<u32>(heap, HEADER_DEAD_RECORDS), JOURNAL_DEAD);
  store<u32>(heap, ref, HEADER_DEAD_RECORDS);
  if (!prev) store<u32>(heap, next, HEADER_RECORDS);
  if (load<u32>(record, RECORD_KIND) != KIND_CACHE) count(heap, -1, HEADER_HOLDS);
}

/** Makes a record of pages that are in use; a cache gets what JOURNAL_CACHE and JOURNAL_SCAV say. Returns its ref. */
export function newRecord(heap: usize, kind: u32, owner: u32, chunk: u32, index: u32, npages: u32): u32 {
  openWhole(heap);
  const ref = planRecord(heap, kind, owner);
  write(heap, JOURNAL_NEW, chunk, index, npages);
  apply(heap, 0);
  return ref;
}

/**
 * Takes free pages and makes the record that holds them while a hook runs: for `sys.unused`, which also moves scavAddr, or
 * for `sys.used`, which is an alloc. Returns its ref.
 */
export function hold(
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  scavEnd: f64,
): u32 {
  openWhole(heap);
  const leaf = leafOf(heap, chunk);
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  countTaken(heap, npages, scavenged);
  store<f64>(heap, scavEnd, HEADER_SCAV_END);
  if (kind == KIND_REUSING) {
    store<u32>(heap, scavenged, HEADER_LAST_SCAVENGED);
    total(heap, 1, HEADER_ALLOCS);
  }
  const ref = planRecord(heap, kind, owner);
  write(heap, JOURNAL_CLAIM | JOURNAL_NEW, chunk, index, npages);
  apply(heap, leaf);
  return ref;
}

/** Ends a hold as one of the HOLD_ numbers says. */
export function endHold(heap: usize, ref: u32, outcome: u32): void {
  openWhole(heap);
  const record = heap + ref;
  const chunk = load<u32>(record, RECORD_CHUNK);
  const index = load<u32>(record, RECORD_INDEX);
  const npages = load<u32>(record, RECORD_NPAGES);
  let op: u32 = JOURNAL_DROP;
  planDrop(heap, ref);
  if (outcome != HOLD_USED) {
    op |= JOURNAL_UNCLAIM;
    lowerSearch(heap, chunk, index);
    count(heap, -npages, HEADER_IN_USE);
  }
  if (outcome == HOLD_RELEASED) {
    op |= JOURNAL_SCAVENGE;
    countReleased(heap, npages, 1);
  }
  if (outcome == HOLD_DECLINED) store<u32>(heap, 1, HEADER_SCAV_STRICT);
  if (outcome == HOLD_UNDONE) total(heap, -1, HEADER_ALLOCS);
  write(heap, op, chunk, index, npages);
  apply(heap, leafOf(heap, chunk));
}

/** Ends a hold of pages that were a cache's, which gets back what JOURNAL_CACHE and JOURNAL_SCAV say. */
export function returnHold(heap: usize, ref: u32, cache: u32): void {
  openWhole(heap);
  planDrop(heap, ref);
  store<u32>(heap, cache, JOURNAL_TO);
  write(heap, JOURNAL_DROP | JOURNAL_RETURN, 0, 0, 0);
  apply(heap, 0);
}

/** Whether a page of the range is in a page cache, or held while a hook runs on it. */
export function owned(heap: usize, chunk: u32, index: u32, npages: u32): bool {
  const from = ((<i64>chunk) << CHUNK_SHIFT) + index;
  for (let ref = load<u32>(heap, HEADER_RECORDS); ref; ref = load<u32>(heap + ref, RECORD_NEXT)) {
    const record = heap + ref;
    const first = ((<i64>load<u32>(record, RECORD_CHUNK)) << CHUNK_SHIFT) + load<u32>(record, RECORD_INDEX);
    const start = max(from - first, 0);
    const end = min(from + npages - first, <i64>load<u32>(record, RECORD_NPAGES));
    if (start >= end) continue;
    if (load<u32>(record, RECORD_KIND) != KIND_CACHE) return true;
    if (load<u64>(record, RECORD_CACHE) & ((~(<u64>0) >> (64 - (end - start))) << start)) return true;
  }
  return false;
}
