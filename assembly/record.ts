// Records: pages that the bitmaps show as in use but that nobody got from `alloc`, because a page cache owns them or a
// hook is running on them. They are part of the state, so that it tells the whole truth at any moment.

import {
  CHUNK_SHIFT,
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
} from "../src/layout";

/** Makes a record and returns its ref. Takes a dead one if there is one, else the region has room for one more. */
export function newRecord(heap: usize, kind: u32, owner: u32, chunk: u32, index: u32, npages: u32): u32 {
  let ref = load<u32>(heap, HEADER_DEAD_RECORDS);
  if (ref) {
    store<u32>(heap, load<u32>(heap + ref, RECORD_NEXT), HEADER_DEAD_RECORDS);
  } else {
    ref = load<u32>(heap, HEADER_USED);
    store<u32>(heap, ref + RECORD_BYTES, HEADER_USED);
  }
  const record = heap + ref;
  memory.fill(record, 0, RECORD_BYTES);
  store<u32>(record, kind, RECORD_KIND);
  store<u32>(record, owner, RECORD_OWNER);
  store<u32>(record, chunk, RECORD_CHUNK);
  store<u32>(record, index, RECORD_INDEX);
  store<u32>(record, npages, RECORD_NPAGES);
  const next = load<u32>(heap, HEADER_RECORDS);
  store<u32>(record, next, RECORD_NEXT);
  if (next) store<u32>(heap + next, ref, RECORD_PREV);
  store<u32>(heap, ref, HEADER_RECORDS);
  if (kind != KIND_CACHE) store<u32>(heap, load<u32>(heap, HEADER_HOLDS) + 1, HEADER_HOLDS);
  return ref;
}

/** Takes a record out of the live ones. */
export function dropRecord(heap: usize, ref: u32): void {
  const record = heap + ref;
  const next = load<u32>(record, RECORD_NEXT);
  const prev = load<u32>(record, RECORD_PREV);
  if (next) store<u32>(heap + next, prev, RECORD_PREV);
  if (prev) store<u32>(heap + prev, next, RECORD_NEXT);
  else store<u32>(heap, next, HEADER_RECORDS);
  if (load<u32>(record, RECORD_KIND) != KIND_CACHE) {
    store<u32>(heap, load<u32>(heap, HEADER_HOLDS) - 1, HEADER_HOLDS);
  }
  memory.fill(record, 0, RECORD_BYTES);
  store<u32>(record, load<u32>(heap, HEADER_DEAD_RECORDS), RECORD_NEXT);
  store<u32>(heap, ref, HEADER_DEAD_RECORDS);
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
