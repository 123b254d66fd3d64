// A batch: many calls on one heap in one crossing. Each operation is what the call of its name does. What cannot be
// carried out, for whatever reason, ends the batch before it, for the facade to do by itself: it grows the heap, or
// throws what the call throws.

import * as layout from "../src/engine/layout";
import { cacheAlloc, refill } from "./cache";
import { alloc, allocRange, free, scavengeRange } from "./heap";

/** Bytes of a number. */
const NUMBER = 8;

/** First page of the latest allocation, as a page number. */
let placed: i64 = 0;
/** Pages of the latest allocation that had been scavenged. */
let scavenged: u32 = 0;

/**
 * Carries out the operations [from, to), with the refs of page caches at `caches`. Returns the index of the first that
 * was not carried out, `to` when all were.
 */
export function run(
  heap: usize,
  ops: usize,
  results: usize,
  from: u32,
  to: u32,
  caches: usize,
  ncaches: u32,
): u32 {
  const shift = load<u32>(heap, layout.HEADER_PAGE_SHIFT);
  const limit = <f64>((<i64>1) << load<u32>(heap, layout.HEADER_ADDR_BITS));
  for (let i = from; i < to; i++) {
    const op = ops + i * (layout.OP_NUMBERS * NUMBER);
    const code = load<f64>(op);
    const npages = <u32>load<f64>(op, NUMBER);
    if (!npages || <f64>npages != load<f64>(op, NUMBER)) return i;
    let where = load<f64>(op, 2 * NUMBER);
    let value: f64;
    scavenged = 0;
    if (code == <f64>layout.OP_ALLOC) {
      if (!place(heap, npages, where, caches, ncaches)) return i;
      value = <f64>(placed << shift);
    } else {
      if (code == <f64>layout.OP_FREE_RESULT) {
        if (!(where >= 0 && where < <f64>i) || where != floor(where)) return i;
        where = load<f64>(results + <u32>where * (layout.RESULT_NUMBERS * NUMBER)) + load<f64>(op, 3 * NUMBER);
      }
      const page = <i64>where >> shift;
      if (<f64>(page << shift) != where || page < 0 || where >= limit) return i;
      const chunk = <u32>(page >> layout.CHUNK_SHIFT);
      value = onRange(heap, code, chunk, <u32>page & (layout.CHUNK_PAGES - 1), npages, where);
      if (value < 0) return i;
      if (code == <f64>layout.OP_SCAVENGE_RANGE) value *= <f64>((<i64>1) << shift);
    }
    const result = results + i * (layout.RESULT_NUMBERS * NUMBER);
    store<f64>(result, value);
    store<f64>(result, <f64>((<i64>scavenged) << shift), NUMBER);
  }
  return to;
}

/** OP_ALLOC: from the page cache that `where` numbers, which is refilled when empty, or from the heap. */
function place(heap: usize, npages: u32, where: f64, caches: usize, ncaches: u32): bool {
  if (where != -1) {
    const slot = <u32>where;
    if (slot >= ncaches || <f64>slot != where) return false;
    const ref = load<u32>(caches + (slot << 2));
    // A refill may need an index, for which the facade has to make room.
    const full = load<u32>(heap, layout.HEADER_USED) + <u32>layout.BLOCKS_BYTES > load<u32>(heap, layout.HEADER_ROOM);
    if (full && !load<u64>(heap + ref, layout.RECORD_CACHE)) return false;
    if (placeInCache(heap, ref, npages)) return true;
  }
  placed = <i64>alloc(heap, npages);
  scavenged = load<u32>(heap, layout.HEADER_LAST_SCAVENGED);
  return placed >= 0;
}

/** Allocates from a page cache. Returns false when it has no such run. */
function placeInCache(heap: usize, ref: u32, npages: u32): bool {
  if (npages > <u32>layout.CACHE_PAGES) return false;
  const record = heap + ref;
  if (!load<u64>(record, layout.RECORD_CACHE) && !refill(heap, ref, 0)) return false;
  const hit = cacheAlloc(heap, ref, npages);
  if (hit < 0) return false;
  const first = (<i64>load<u32>(record, layout.RECORD_CHUNK)) << layout.CHUNK_SHIFT;
  placed = first + load<u32>(record, layout.RECORD_INDEX) + (hit & 0xffff);
  scavenged = hit >> 16;
  return true;
}

/** The operations on a given range. The value, which is `where` or, for OP_SCAVENGE_RANGE, pages; -1 when refused. */
function onRange(heap: usize, code: f64, chunk: u32, index: u32, npages: u32, where: f64): f64 {
  if (code == <f64>layout.OP_FREE || code == <f64>layout.OP_FREE_RESULT) {
    return free(heap, chunk, index, npages) == layout.RANGE_DONE ? where : -1;
  }
  if (code == <f64>layout.OP_ALLOC_RANGE) {
    if (allocRange(heap, chunk, index, npages) != layout.RANGE_DONE) return -1;
    scavenged = load<u32>(heap, layout.HEADER_LAST_SCAVENGED);
    return where;
  }
  if (code != <f64>layout.OP_SCAVENGE_RANGE || npages > <u32>layout.CHUNK_PAGES - index) return -1;
  return <f64>scavengeRange(heap, chunk, index, npages, load<f64>(heap, layout.HEADER_SCAV_END));
}
