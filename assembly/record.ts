// Records: pages that the bitmaps show as in use but that nobody got from `alloc`, because a page cache owns them or a
// hook is running on them. They are part of the state, so that it tells the whole truth at any moment.

import {
  CACHE_PAGES,
  CHUNK_SHIFT,
  FANOUT,
  HEADER_DEAD_RECORDS,
  HEADER_HOLDS,
  HEADER_RECORDS,
  HEADER_USED,
  HOLD_DECLINED,
  HOLD_RELEASED,
  HOLD_UNDONE,
  HOLD_USED,
  JOURNAL_CACHE,
  JOURNAL_CHUNK,
  JOURNAL_CLAIM,
  JOURNAL_COUNTED,
  JOURNAL_DEAD,
  JOURNAL_DECLINED,
  JOURNAL_DROP,
  JOURNAL_INDEX,
  JOURNAL_KIND,
  JOURNAL_MOVE,
  JOURNAL_NEW,
  JOURNAL_NEXT,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  JOURNAL_OWNER,
  JOURNAL_PREV,
  JOURNAL_REF,
  JOURNAL_RETURN,
  JOURNAL_SCAV,
  JOURNAL_SCAVENGE,
  JOURNAL_TO,
  JOURNAL_UNCLAIM,
  JOURNAL_UNCOUNT,
  KIND_CACHE,
  KIND_REUSING,
  LEAF_BLOCKS,
  LINE_BYTES,
  RECORD_BESIDE,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_OWNER,
  RECORD_PREV,
  RECORD_SCAV,
  UNMADE,
} from "../src/engine/layout";
import { commitRange, unplaceRecord } from "./commit";
import { close, saveFields, write } from "./journal";
import { markRange } from "./mark";
import { countScavenged, leafOf } from "./tree";

/** Makes a record of pages that are in use, or of none: of a dead one, or else the region has room. Returns its ref. */
export function newRecord(heap: usize, kind: u32, owner: u32, chunk: u32, index: u32, npages: u32): u32 {
  return makeRecord(heap, kind, owner, chunk, index, npages, 0);
}

/** The same, with what the journal says next. */
export function makeRecord(
  heap: usize,
  kind: u32,
  owner: u32,
  chunk: u32,
  index: u32,
  npages: u32,
  next: u32,
): u32 {
  const dead = load<u32>(heap, HEADER_DEAD_RECORDS);
  const ref = dead ? dead : load<u32>(heap, HEADER_USED);
  store<u32>(heap, ref, JOURNAL_REF);
  store<u32>(heap, dead ? load<u32>(heap + dead, RECORD_NEXT) : <u32>UNMADE, JOURNAL_DEAD);
  store<u32>(heap, kind, JOURNAL_KIND);
  store<u32>(heap, owner, JOURNAL_OWNER);
  store<u32>(heap, chunk, JOURNAL_CHUNK);
  store<u32>(heap, index, JOURNAL_INDEX);
  store<u32>(heap, npages, JOURNAL_NPAGES);
  linkRecord(heap, next);
  return ref;
}

/** Makes the record that the journal describes, the first of the live ones of its kind. */
export function linkRecord(heap: usize, next: u32): void {
  saveFields(heap, JOURNAL_NEW);
  const ref = load<u32>(heap, JOURNAL_REF);
  const record = heap + ref;
  const kind = load<u32>(heap, JOURNAL_KIND);
  const list = heap + (kind == KIND_CACHE ? HEADER_RECORDS : HEADER_HOLDS);
  const after = load<u32>(list);
  if (load<u32>(heap, HEADER_USED) == ref) {
    store<u32>(heap, ref + RECORD_BYTES, HEADER_USED);
    memory.fill(record, 0, RECORD_BYTES);
  } else {
    store<u32>(heap, load<u32>(heap, JOURNAL_DEAD), HEADER_DEAD_RECORDS);
    store<u32>(record, 0, RECORD_PREV);
  }
  store<u32>(record, after, RECORD_NEXT);
  store<u32>(record, kind, RECORD_KIND);
  store<u32>(record, load<u32>(heap, JOURNAL_OWNER), RECORD_OWNER);
  store<u32>(record, load<u32>(heap, JOURNAL_CHUNK), RECORD_CHUNK);
  store<u32>(record, load<u32>(heap, JOURNAL_INDEX), RECORD_INDEX);
  store<u32>(record, load<u32>(heap, JOURNAL_NPAGES), RECORD_NPAGES);
  if (after) store<u32>(heap + after, ref, RECORD_PREV);
  store<u32>(list, ref);
  store<u32>(heap, next, JOURNAL_OP);
}

/** Drops a record, which owns no pages; `unmade`, with its place, the last of the region, as if it had not been made. */
export function dropRecord(heap: usize, ref: u32, unmade: bool): void {
  const record = heap + ref;
  store<u32>(heap, ref, JOURNAL_REF);
  store<u32>(heap, load<u32>(record, RECORD_NEXT), JOURNAL_NEXT);
  store<u32>(heap, load<u32>(record, RECORD_PREV), JOURNAL_PREV);
  store<u32>(heap, load<u32>(record, RECORD_KIND), JOURNAL_KIND);
  store<u32>(heap, unmade ? <u32>UNMADE : 0, JOURNAL_DEAD);
  unlinkRecord(heap);
}

/** Drops the record that the journal describes. */
export function unlinkRecord(heap: usize): void {
  saveFields(heap, JOURNAL_DROP);
  const ref = load<u32>(heap, JOURNAL_REF);
  const record = heap + ref;
  const next = load<u32>(heap, JOURNAL_NEXT);
  const prev = load<u32>(heap, JOURNAL_PREV);
  const list = load<u32>(heap, JOURNAL_KIND) == KIND_CACHE ? HEADER_RECORDS : HEADER_HOLDS;
  unplaceRecord(heap, ref);
  if (next) store<u32>(heap + next, prev, RECORD_PREV);
  if (prev) store<u32>(heap + prev, next, RECORD_NEXT);
  else store<u32>(heap + list, next);
  // Of a dead record all is 0 but the next: a line of it is ever written to, and a call to fill it takes longer.
  for (let at = record + RECORD_NEXT; at < record + RECORD_NEXT + LINE_BYTES; at += 16) {
    v128.store(at, i64x2.splat(0));
  }
  if (load<u32>(heap, JOURNAL_DEAD) == <u32>UNMADE) {
    store<u32>(heap, ref, HEADER_USED);
  } else {
    store<u32>(record, load<u32>(heap, HEADER_DEAD_RECORDS), RECORD_NEXT);
    store<u32>(heap, ref, HEADER_DEAD_RECORDS);
  }
  close(heap);
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
  const leaf = leafOf(heap, chunk);
  const scavenged = countScavenged(heap, leaf, chunk, index, npages);
  const ref = makeRecord(heap, kind, owner, 0, 0, 0, JOURNAL_NEW);
  const op: u32 = JOURNAL_CLAIM | JOURNAL_NEW | JOURNAL_MOVE | (kind == KIND_REUSING ? JOURNAL_COUNTED : 0);
  write(heap, op, chunk, index, npages);
  markRange(heap, leaf, chunk, index, npages, true);
  commitRange(heap, leaf, op, chunk, index, npages, scavenged, 0, -1, scavEnd);
  return ref;
}

/** Ends a hold as one of the HOLD_ numbers says. */
export function endHold(heap: usize, ref: u32, outcome: u32): void {
  const record = heap + ref;
  const chunk = load<u32>(record, RECORD_CHUNK);
  const index = load<u32>(record, RECORD_INDEX);
  const npages = load<u32>(record, RECORD_NPAGES);
  if (outcome != HOLD_USED && npages) {
    const leaf = leafOf(heap, chunk);
    let op: u32 = JOURNAL_UNCLAIM | JOURNAL_DROP;
    if (outcome == HOLD_RELEASED) op |= JOURNAL_SCAVENGE;
    if (outcome == HOLD_DECLINED) op |= JOURNAL_DECLINED;
    if (outcome == HOLD_UNDONE) op |= JOURNAL_UNCOUNT;
    store<u32>(heap, ref, JOURNAL_REF);
    write(heap, op, chunk, index, npages);
    markRange(heap, leaf, chunk, index, npages, false);
    const released = outcome == HOLD_RELEASED;
    commitRange(heap, leaf, op, chunk, index, npages, released ? npages : 0, released ? 1 : 0, -1, 0);
  }
  dropRecord(heap, ref, false);
}

/** Ends a hold of pages that were a cache's: gives back those with a 1 in `pages`, `scav` of which are scavenged. */
export function returnHold(heap: usize, ref: u32, cache: u32, pages: u64, scav: u64): void {
  store<u32>(heap, ref, JOURNAL_REF);
  store<u32>(heap, cache, JOURNAL_TO);
  store<u64>(heap, pages, JOURNAL_CACHE);
  store<u64>(heap, scav, JOURNAL_SCAV);
  commitReturn(heap);
  dropRecord(heap, ref, false);
}

/** The cache JOURNAL_TO gets back what JOURNAL_CACHE says; the hold is dropped next. */
export function commitReturn(heap: usize): void {
  saveFields(heap, JOURNAL_RETURN);
  const cache = heap + load<u32>(heap, JOURNAL_TO);
  const pages = load<u64>(heap, JOURNAL_CACHE);
  store<u64>(cache, (load<u64>(cache, RECORD_SCAV) & ~pages) | load<u64>(heap, JOURNAL_SCAV), RECORD_SCAV);
  store<u64>(cache, load<u64>(cache, RECORD_CACHE) | pages, RECORD_CACHE);
  store<u32>(heap + load<u32>(heap, JOURNAL_REF), 0, RECORD_NPAGES);
  store<u32>(heap, JOURNAL_DROP, JOURNAL_OP);
}

/** Whether a page cache of the leaf owns a page of a range within a chunk. */
export function isCached(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): bool {
  const blocks = heap + load<u32>(leaf, LEAF_BLOCKS) + ((chunk & (FANOUT - 1)) << 5);
  const end = index + npages;
  while (index < end) {
    const bit = index & (CACHE_PAGES - 1);
    const n = min(CACHE_PAGES - bit, end - index);
    const range = (~(<u64>0) >> (64 - n)) << bit;
    for (let ref = load<u32>(blocks + ((index >> 6) << 2)); ref; ref = load<u32>(heap + ref, RECORD_BESIDE)) {
      if (load<u64>(heap + ref, RECORD_CACHE) & range) return true;
    }
    index += n;
  }
  return false;
}

/** Whether a page of the range is held while a hook runs on it. */
export function isHeld(heap: usize, chunk: u32, index: u32, npages: u32): bool {
  const from = ((<i64>chunk) << CHUNK_SHIFT) + index;
  for (let ref = load<u32>(heap, HEADER_HOLDS); ref; ref = load<u32>(heap + ref, RECORD_NEXT)) {
    const record = heap + ref;
    const first = ((<i64>load<u32>(record, RECORD_CHUNK)) << CHUNK_SHIFT) + load<u32>(record, RECORD_INDEX);
    if (first < from + npages && from < first + load<u32>(record, RECORD_NPAGES)) return true;
  }
  return false;
}
