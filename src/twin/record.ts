// Records: pages that the bitmaps show as in use but that nobody got from `alloc`, because a page cache owns them or a
// hook is running on them. They are part of the state, so that it tells the whole truth at any moment.

import {
  CHUNK_PAGES,
  HEADER_DEAD_RECORDS,
  HEADER_HOLDS,
  HEADER_RECORDS,
  HEADER_USED,
  KIND_CACHE,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_OWNER,
  RECORD_PREV,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { popcntRange } from "./bits.ts";

/** Makes a record and returns its ref. Takes a dead one if there is one, else the region has room for one more. */
export function newRecord(
  { i32, u8 }: Memory,
  heap: number,
  kind: number,
  owner: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  let ref = i32[(heap + HEADER_DEAD_RECORDS) >>> 2];
  if (ref) {
    i32[(heap + HEADER_DEAD_RECORDS) >>> 2] = i32[(heap + ref + RECORD_NEXT) >>> 2];
  } else {
    ref = i32[(heap + HEADER_USED) >>> 2];
    i32[(heap + HEADER_USED) >>> 2] = ref + RECORD_BYTES;
  }
  const record = heap + ref;
  u8.fill(0, record, record + RECORD_BYTES);
  i32[(record + RECORD_KIND) >>> 2] = kind;
  i32[(record + RECORD_OWNER) >>> 2] = owner;
  i32[(record + RECORD_CHUNK) >>> 2] = chunk;
  i32[(record + RECORD_INDEX) >>> 2] = index;
  i32[(record + RECORD_NPAGES) >>> 2] = npages;
  const next = i32[(heap + HEADER_RECORDS) >>> 2];
  i32[(record + RECORD_NEXT) >>> 2] = next;
  if (next) i32[(heap + next + RECORD_PREV) >>> 2] = ref;
  i32[(heap + HEADER_RECORDS) >>> 2] = ref;
  if (kind !== KIND_CACHE) i32[(heap + HEADER_HOLDS) >>> 2]++;
  return ref;
}

/** Takes a record out of the live ones. */
export function dropRecord({ i32, u8 }: Memory, heap: number, ref: number): void {
  const record = heap + ref;
  const next = i32[(record + RECORD_NEXT) >>> 2];
  const prev = i32[(record + RECORD_PREV) >>> 2];
  if (next) i32[(heap + next + RECORD_PREV) >>> 2] = prev;
  if (prev) i32[(heap + prev + RECORD_NEXT) >>> 2] = next;
  else i32[(heap + HEADER_RECORDS) >>> 2] = next;
  if (i32[(record + RECORD_KIND) >>> 2] !== KIND_CACHE) i32[(heap + HEADER_HOLDS) >>> 2]--;
  u8.fill(0, record, record + RECORD_BYTES);
  i32[(record + RECORD_NEXT) >>> 2] = i32[(heap + HEADER_DEAD_RECORDS) >>> 2];
  i32[(heap + HEADER_DEAD_RECORDS) >>> 2] = ref;
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
