// A batch: many calls on one heap in one call from JavaScript. Each operation does what the call of its name does. The
// batch stops before an operation that it cannot carry out, for whatever reason. The facade then makes that call
// itself: the heap grows, or the call throws.

import { alloc, allocRange, free } from "../build/both/heap";
import { scavengeRange } from "../build/both/scavenge";
import * as layout from "../src/engine/layout";
import { cacheAlloc, refill } from "./cache";

/** Bytes of a number. */
const NUMBER = 8;

/**
 * Carries out the operations [from, to). `caches` is the address of the refs of ncaches page caches. Returns the index
 * of the first operation that was not carried out; `to` if there is none.
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
    const result = results + i * (layout.RESULT_NUMBERS * NUMBER);
    const code = load<f64>(op);
    const npages = <u32>load<f64>(op, NUMBER);
    // A number that is not a u32 does not survive the conversion. The facade throws for it.
    if (!npages || <f64>npages != load<f64>(op, NUMBER)) return i;
    let where = load<f64>(op, 2 * NUMBER);
    if (code == <f64>layout.OP_ALLOC) {
      if (!allocAny(heap, npages, where, load<f64>(op, 3 * NUMBER), caches, ncaches, shift, result)) return i;
      continue;
    }
    if (code == <f64>layout.OP_FREE_RESULT) {
      if (!(where >= 0 && where < <f64>i) || where != floor(where)) return i;
      where = load<f64>(results + <u32>where * (layout.RESULT_NUMBERS * NUMBER)) + load<f64>(op, 3 * NUMBER);
    }
    const page = <i64>where >> shift;
    // `where` must be a multiple of the page size, within the address space.
    if (<f64>(page << shift) != where || page < 0 || where >= limit) return i;
    const chunk = <u32>(page >> layout.CHUNK_SHIFT);
    const index = <u32>page & (layout.CHUNK_PAGES - 1);
    if (!onRange(heap, code, chunk, index, npages, where, shift, result)) return i;
  }
  return to;
}

/** Writes the result of an operation: its value, and the scavenged pages in bytes. */
// @ts-ignore: decorator
@inline
function write(result: usize, value: f64, scavenged: u32, shift: u32): void {
  store<f64>(result, value);
  store<f64>(result, <f64>((<i64>scavenged) << shift), NUMBER);
}

/**
 * Does OP_ALLOC. Takes the pages from page cache number `where`, and refills it if it is empty. Takes them from the
 * heap if the cache has no such run or `where` is -1. Returns whether there was room and all numbers are as they should
 * be.
 */
function allocAny(
  heap: usize,
  npages: u32,
  where: f64,
  aligned: f64,
  caches: usize,
  ncaches: u32,
  shift: u32,
  result: usize,
): bool {
  const align = <u32>aligned;
  if (<f64>align != aligned || align & (align - 1) || align > <u32>layout.MAX_ALIGN) return false;
  if (where != -1) {
    const slot = <u32>where;
    if (slot >= ncaches || <f64>slot != where || align > 1) return false;
    const ref = load<u32>(caches + (slot << 2));
    // A refill may append an index. Only the facade can make room for one.
    const full = load<u32>(heap, layout.HEADER_USED) + <u32>layout.BLOCKS_BYTES > load<u32>(heap, layout.HEADER_ROOM);
    if (full && !load<u64>(heap + ref, layout.RECORD_CACHE)) return false;
    if (allocFromCache(heap, ref, npages, shift, result)) return true;
  }
  const page = <i64>alloc(heap, npages, max(align, 1));
  if (page < 0) return false;
  write(result, <f64>(page << shift), load<u32>(heap, layout.HEADER_LAST_SCAVENGED), shift);
  return true;
}

/** Allocates from a page cache. Returns whether it had such a run. */
function allocFromCache(heap: usize, ref: u32, npages: u32, shift: u32, result: usize): bool {
  if (npages > <u32>layout.CACHE_PAGES) return false;
  const record = heap + ref;
  // The cache has a record already, so `refill` needs no owner.
  if (!load<u64>(record, layout.RECORD_CACHE) && !refill(heap, ref, 0)) return false;
  const hit = cacheAlloc(heap, ref, npages);
  if (hit < 0) return false;
  const first = (<i64>load<u32>(record, layout.RECORD_CHUNK)) << layout.CHUNK_SHIFT;
  const page = first + load<u32>(record, layout.RECORD_INDEX) + (hit & 0xffff);
  write(result, <f64>(page << shift), hit >> 16, shift);
  return true;
}

/** Does an operation on a range that begins at address `where`. Returns whether it was carried out. */
function onRange(
  heap: usize,
  code: f64,
  chunk: u32,
  index: u32,
  npages: u32,
  where: f64,
  shift: u32,
  result: usize,
): bool {
  if (code == <f64>layout.OP_FREE || code == <f64>layout.OP_FREE_RESULT) {
    if (free(heap, chunk, index, npages) != layout.RANGE_DONE) return false;
    write(result, where, 0, shift);
    return true;
  }
  if (code == <f64>layout.OP_ALLOC_RANGE) {
    if (allocRange(heap, chunk, index, npages) != layout.RANGE_DONE) return false;
    write(result, where, load<u32>(heap, layout.HEADER_LAST_SCAVENGED), shift);
    return true;
  }
  // The facade clips a longer range to the end of the heap, and splits it if need be.
  if (code != <f64>layout.OP_SCAVENGE_RANGE || npages > <u32>layout.CHUNK_PAGES - index) return false;
  const released = scavengeRange(heap, chunk, index, npages, load<f64>(heap, layout.HEADER_SCAV_END));
  write(result, <f64>((<i64>released) << shift), 0, shift);
  return true;
}
