// Records: pages that the bitmaps show as in use but that nobody got from `alloc`, because a page cache owns them or a
// hook is running on them. They are part of the state, so that it tells the whole truth at any moment.

import {
  CHUNK_PAGES,
  FANOUT,
  HEADER_DEAD_RECORDS,
  HEADER_HOLDS,
  HEADER_RECORDS,
  HEADER_SHARED,
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
  RECORD_SLOT,
  UNMADE,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { commitRange } from "./commit.ts";
import { saveFields, write } from "./journal.ts";
import { markRange } from "./mark.ts";
import { countScavenged, leafOf } from "./tree.ts";

/** Makes a record of pages that are in use, or of none: of a dead one, or else the region has room. Returns its ref. */
export function newRecord(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  return makeRecord(memory, heap, kind, owner, chunk, index, npages, 0);
}

/** The same, with what the journal says next. */
export function makeRecord(
  memory: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
  next: number,
): number {
  const { i32 } = memory;
  const dead = i32[(heap + HEADER_DEAD_RECORDS) >>> 2];
  const ref = dead || i32[(heap + HEADER_USED) >>> 2];
  i32[(heap + JOURNAL_REF) >>> 2] = ref;
  i32[(heap + JOURNAL_DEAD) >>> 2] = dead ? i32[(heap + dead + RECORD_NEXT) >>> 2] : UNMADE;
  i32[(heap + JOURNAL_KIND) >>> 2] = kind;
  i32[(heap + JOURNAL_OWNER) >>> 2] = owner;
  i32[(heap + JOURNAL_CHUNK) >>> 2] = chunk;
  i32[(heap + JOURNAL_INDEX) >>> 2] = index;
  i32[(heap + JOURNAL_NPAGES) >>> 2] = npages;
  linkRecord(memory, heap, next);
  return ref;
}

/** Makes the record that the journal describes, the first of the live ones of its kind. */
export function linkRecord(memory: Memory, heap: number, next: number): void {
  const { i32 } = memory;
  if (i32[(heap + HEADER_SHARED) >>> 2]) saveFields(memory, heap, JOURNAL_NEW);
  const ref = i32[(heap + JOURNAL_REF) >>> 2];
  const record = (heap + ref) >>> 2;
  const kind = i32[(heap + JOURNAL_KIND) >>> 2];
  const list = (heap + (kind === KIND_CACHE ? HEADER_RECORDS : HEADER_HOLDS)) >>> 2;
  const after = i32[list];
  if (i32[(heap + HEADER_USED) >>> 2] === ref) {
    i32[(heap + HEADER_USED) >>> 2] = ref + RECORD_BYTES;
    i32.fill(0, record, record + RECORD_BYTES / 4);
  } else {
    i32[(heap + HEADER_DEAD_RECORDS) >>> 2] = i32[(heap + JOURNAL_DEAD) >>> 2];
    i32[record + RECORD_PREV / 4] = 0;
  }
  i32[record + RECORD_NEXT / 4] = after;
  i32[record + RECORD_KIND / 4] = kind;
  i32[record + RECORD_OWNER / 4] = i32[(heap + JOURNAL_OWNER) >>> 2];
  i32[record + RECORD_CHUNK / 4] = i32[(heap + JOURNAL_CHUNK) >>> 2];
  i32[record + RECORD_INDEX / 4] = i32[(heap + JOURNAL_INDEX) >>> 2];
  i32[record + RECORD_NPAGES / 4] = i32[(heap + JOURNAL_NPAGES) >>> 2];
  if (after) i32[(heap + after + RECORD_PREV) >>> 2] = ref;
  i32[list] = ref;
  i32[(heap + JOURNAL_OP) >>> 2] = next;
}

/** Drops a record, which owns no pages; `unmade`, with its place, the last of the region, as if it had not been made. */
export function dropRecord(memory: Memory, heap: number, ref: number, unmade: boolean): void {
  const { i32 } = memory;
  const record = heap + ref;
  i32[(heap + JOURNAL_REF) >>> 2] = ref;
  i32[(heap + JOURNAL_NEXT) >>> 2] = i32[(record + RECORD_NEXT) >>> 2];
  i32[(heap + JOURNAL_PREV) >>> 2] = i32[(record + RECORD_PREV) >>> 2];
  i32[(heap + JOURNAL_KIND) >>> 2] = i32[(record + RECORD_KIND) >>> 2];
  i32[(heap + JOURNAL_DEAD) >>> 2] = unmade ? UNMADE : 0;
  unlinkRecord(memory, heap);
}

/** Drops the record that the journal describes. */
export function unlinkRecord(memory: Memory, heap: number): void {
  const { i32 } = memory;
  if (i32[(heap + HEADER_SHARED) >>> 2]) saveFields(memory, heap, JOURNAL_DROP);
  const ref = i32[(heap + JOURNAL_REF) >>> 2];
  const record = (heap + ref) >>> 2;
  const next = i32[(heap + JOURNAL_NEXT) >>> 2];
  const prev = i32[(heap + JOURNAL_PREV) >>> 2];
  const list = i32[(heap + JOURNAL_KIND) >>> 2] === KIND_CACHE ? HEADER_RECORDS : HEADER_HOLDS;
  const slot = i32[record + RECORD_SLOT / 4];
  if (slot) {
    let link = (heap + slot) >>> 2;
    while (i32[link] && i32[link] !== ref) link = (heap + i32[link] + RECORD_BESIDE) >>> 2;
    if (i32[link]) i32[link] = i32[record + RECORD_BESIDE / 4];
    i32[record + RECORD_SLOT / 4] = 0;
  }
  if (next) i32[(heap + next + RECORD_PREV) >>> 2] = prev;
  if (prev) i32[(heap + prev + RECORD_NEXT) >>> 2] = next;
  else i32[(heap + list) >>> 2] = next;
  // Of a dead record all is 0 but the next: a line of it is ever written to, and a call to fill it takes longer.
  for (let at = RECORD_NEXT / 4; at < (RECORD_NEXT + LINE_BYTES) / 4; at++) i32[record + at] = 0;
  if (i32[(heap + JOURNAL_DEAD) >>> 2] === UNMADE) {
    i32[(heap + HEADER_USED) >>> 2] = ref;
  } else {
    i32[record + RECORD_NEXT / 4] = i32[(heap + HEADER_DEAD_RECORDS) >>> 2];
    i32[(heap + HEADER_DEAD_RECORDS) >>> 2] = ref;
  }
  i32[(heap + JOURNAL_OP) >>> 2] = 0;
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
  const leaf = leafOf(memory, heap, chunk);
  const scavenged = countScavenged(memory, heap, leaf, chunk, index, npages);
  const ref = makeRecord(memory, heap, kind, owner, 0, 0, 0, JOURNAL_NEW);
  const op = JOURNAL_CLAIM | JOURNAL_NEW | JOURNAL_MOVE | (kind === KIND_REUSING ? JOURNAL_COUNTED : 0);
  write(memory, heap, op, chunk, index, npages);
  markRange(memory, heap, leaf, chunk, index, npages, true);
  commitRange(memory, heap, leaf, op, chunk, index, npages, scavenged, 0, -1, scavEnd);
  return ref;
}

/** Ends a hold as one of the HOLD_ numbers says. */
export function endHold(memory: Memory, heap: number, ref: number, outcome: number): void {
  const { i32 } = memory;
  const record = heap + ref;
  const chunk = i32[(record + RECORD_CHUNK) >>> 2];
  const index = i32[(record + RECORD_INDEX) >>> 2];
  const npages = i32[(record + RECORD_NPAGES) >>> 2];
  if (outcome !== HOLD_USED && npages) {
    const leaf = leafOf(memory, heap, chunk);
    let op = JOURNAL_UNCLAIM | JOURNAL_DROP;
    if (outcome === HOLD_RELEASED) op |= JOURNAL_SCAVENGE;
    if (outcome === HOLD_DECLINED) op |= JOURNAL_DECLINED;
    if (outcome === HOLD_UNDONE) op |= JOURNAL_UNCOUNT;
    i32[(heap + JOURNAL_REF) >>> 2] = ref;
    write(memory, heap, op, chunk, index, npages);
    markRange(memory, heap, leaf, chunk, index, npages, false);
    const released = outcome === HOLD_RELEASED;
    commitRange(memory, heap, leaf, op, chunk, index, npages, released ? npages : 0, released ? 1 : 0, -1, 0);
  }
  dropRecord(memory, heap, ref, false);
}

/** Ends a hold of pages that were a cache's: gives back those with a 1 in `pages`, `scav` of which are scavenged. */
export function returnHold(
  memory: Memory,
  heap: number,
  ref: number,
  cache: number,
  pages: bigint,
  scav: bigint,
): void {
  const { i32, u64 } = memory;
  i32[(heap + JOURNAL_REF) >>> 2] = ref;
  i32[(heap + JOURNAL_TO) >>> 2] = cache;
  u64[(heap + JOURNAL_CACHE) >>> 3] = pages;
  u64[(heap + JOURNAL_SCAV) >>> 3] = scav;
  commitReturn(memory, heap);
  dropRecord(memory, heap, ref, false);
}

/** The cache JOURNAL_TO gets back what JOURNAL_CACHE says; the hold is dropped next. */
export function commitReturn(memory: Memory, heap: number): void {
  const { i32 } = memory;
  const header = heap >>> 2;
  if (i32[header + HEADER_SHARED / 4]) saveFields(memory, heap, JOURNAL_RETURN);
  const cache = (heap + i32[header + JOURNAL_TO / 4]) >>> 2;
  for (let half = 0; half < 2; half++) {
    const pages = i32[header + JOURNAL_CACHE / 4 + half];
    const scav = i32[header + JOURNAL_SCAV / 4 + half];
    i32[cache + RECORD_SCAV / 4 + half] = (i32[cache + RECORD_SCAV / 4 + half] & ~pages) | scav;
    i32[cache + RECORD_CACHE / 4 + half] |= pages;
  }
  i32[(heap + i32[header + JOURNAL_REF / 4] + RECORD_NPAGES) >>> 2] = 0;
  i32[header + JOURNAL_OP / 4] = JOURNAL_DROP;
}

/** Whether a page cache of the leaf owns a page of a range within a chunk. */
export function isCached(
  { i32 }: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  first: number,
  npages: number,
): boolean {
  const blocks = ((heap + i32[(leaf + LEAF_BLOCKS) >>> 2]) >>> 2) + ((chunk & (FANOUT - 1)) << 3);
  const end = first + npages;
  for (let index = first; index < end; ) {
    const n = Math.min(32 - (index & 31), end - index);
    const range = (-1 >>> (32 - n)) << index;
    const half = RECORD_CACHE + ((index >>> 3) & 4);
    for (let ref = i32[blocks + (index >>> 6)]; ref; ref = i32[(heap + ref + RECORD_BESIDE) >>> 2]) {
      if (i32[(heap + ref + half) >>> 2] & range) return true;
    }
    index += n;
  }
  return false;
}

/** Whether a page of the range is held while a hook runs on it. */
export function isHeld({ i32 }: Memory, heap: number, chunk: number, index: number, npages: number): boolean {
  const from = chunk * CHUNK_PAGES + index;
  for (let ref = i32[(heap + HEADER_HOLDS) >>> 2]; ref; ref = i32[(heap + ref + RECORD_NEXT) >>> 2]) {
    const record = heap + ref;
    const first = i32[(record + RECORD_CHUNK) >>> 2] * CHUNK_PAGES + i32[(record + RECORD_INDEX) >>> 2];
    if (first < from + npages && from < first + i32[(record + RECORD_NPAGES) >>> 2]) return true;
  }
  return false;
}
