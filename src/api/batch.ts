// Runs a batch of operations on one heap. Each operation stands for the public call of its name. An engine that is
// costly to call gets the whole batch at once. Where it stops, the operation is done here by that call, which may grow
// the heap or throw.

import { bytesLost, integer, powerOfTwo, readOptions, refuse, viewOf } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { CORE, type Core, type HeapObject } from "../heap/core.ts";
import type { AllocOptions } from "./options.ts";
import { NEW, PageCache } from "./page-cache.ts";

/** How a batch is run. */
export interface RunOptions {
  /**
   * The page caches that `alloc` operations refer to by index, all of this heap. Empty ones are refilled. Undefined
   * elements are set to new caches first. Default: none.
   */
  caches?: Array<PageCache | undefined>;
  /**
   * Whether the heap grows if it has no room for an `alloc`: upward from its end, by the request rounded up to whole
   * chunks. Default false: the operation's value is -1.
   */
  grow?: boolean;
}

/** The public calls that operations stand for. */
interface HeapCalls extends HeapObject {
  alloc(npages: number, options?: AllocOptions): number;
  allocRange(base: number, npages: number): number;
  free(base: number, npages: number): void;
  scavengeRange(base: number, npages: number): number;
  grow(base: number, nbytes: number): void;
  readonly lastAllocScavenged: number;
}

/** Runs a batch; see `PageAlloc.run`. */
export function runBatch(
  core: Core,
  heap: HeapCalls,
  ops: Float64Array,
  results: Float64Array,
  options?: RunOptions,
): void {
  const { caches = [], grow = false } = readOptions("options", options, ["caches", "grow"]);
  if (typeof grow !== "boolean") refuse("options.grow", grow, "a boolean");
  // Looked up before anything else is read: a getter may change it.
  const { used, unused } = core.sys;
  const given = readCaches(core, caches);
  const asked = viewOf("ops", ops, Float64Array);
  const room = viewOf("results", results, Float64Array);
  const count = asked.length / layout.OP_NUMBERS;
  if (count % 1) refuse("ops.length", asked.length, `a multiple of ${layout.OP_NUMBERS}`, "number");
  const least = count * layout.RESULT_NUMBERS;
  if (room.length < least) refuse("results.length", room.length, `${least} or more`, "number");
  const made = given.map((cache) => cache ?? new PageCache(heap, NEW));
  const refs = core.locked(() => {
    core.makeRoomForRecords(made.filter((cache) => !PageCache.isLive(cache)).length);
    for (let i = 0; i < made.length; i++) if (!given[i]) caches[i] = made[i];
    return made.map((cache) => PageCache.refOf(cache, core));
  });
  // Copies the operations if they can change on the way: by a hook, by results in the same buffer, by other threads.
  const isOwn = !used && !unused && asked.buffer !== room.buffer && asked.buffer instanceof ArrayBuffer;
  const todo = isOwn ? asked : asked.slice();
  const found = room.subarray(0, least);
  const { Batch } = core.engine;
  const batch = Batch && count && !used ? new Batch(core, todo, found, refs) : null;
  let stop = unused ? -1 : count;
  for (let i = 0; i < count; i++) {
    if (batch && stop < i) stop = firstRelease(todo, i, count);
    if (batch) i = batch.run(i, stop);
    if (i === count) return;
    try {
      step(heap, todo, found, i, made, grow);
    } catch (error) {
      // Returns false, and does not throw, for an error that a hook has frozen.
      if (error instanceof Error)
        Reflect.defineProperty(error, "message", { value: `operation ${i} of the batch: ${error.message}` });
      throw error;
    }
    batch?.note(i);
  }
}

/** Returns the first operation from `i` on that may run `sys.unused`; `count` if there is none. */
function firstRelease(ops: Float64Array, i: number, count: number): number {
  while (i < count && ops[i * layout.OP_NUMBERS] !== layout.OP_SCAVENGE_RANGE) i++;
  return i;
}

/** Copies the list of caches, each read once. Throws TypeError for a cache of another heap. */
function readCaches(core: Core, caches: Array<PageCache | undefined>): Array<PageCache | undefined> {
  core.mustBeThere();
  if (!Array.isArray(caches)) refuse("options.caches", caches, "an array");
  return Array.from({ length: caches.length }, (_, i) => {
    const cache = caches[i];
    if (cache !== undefined) PageCache.mustBeOf(core, cache);
    return cache;
  });
}

/** Does one operation by public calls. */
function step(
  heap: HeapCalls,
  ops: Float64Array,
  results: Float64Array,
  i: number,
  caches: readonly PageCache[],
  grow: boolean,
): void {
  const at = i * layout.OP_NUMBERS;
  const code = integer("code", ops[at], layout.OP_ALLOC, layout.OP_SCAVENGE_RANGE);
  const npages = ops[at + 1];
  const where = ops[at + 2];
  let value = where;
  let scavenged = 0;
  if (code === layout.OP_ALLOC) {
    const align = ops[at + 3] === 0 ? 1 : powerOfTwo("align", ops[at + 3], 1, layout.MAX_ALIGN);
    if (align > 1 && where !== -1) refuse("where", where, "-1 for an aligned alloc", "number");
    const cache = cacheOf(caches, where);
    value = cache ? allocFromCache(cache, npages) : -1;
    if (cache && value >= 0) {
      scavenged = cache.lastAllocScavenged;
    } else {
      value = allocFromHeap(heap, npages, align, grow);
      scavenged = heap.lastAllocScavenged;
    }
  } else if (code === layout.OP_ALLOC_RANGE) {
    scavenged = heap.allocRange(where, npages);
  } else if (code === layout.OP_SCAVENGE_RANGE) {
    value = heap.scavengeRange(where, npages);
  } else {
    if (code === layout.OP_FREE_RESULT) {
      integer("where", where, 0, i - 1);
      value = results[where * layout.RESULT_NUMBERS] + ops[at + 3];
    }
    heap.free(value, npages);
  }
  if (!results.length) {
    throw bytesLost("results", `; lost value ${value}, scavenged ${scavenged}`);
  }
  results[i * layout.RESULT_NUMBERS] = value;
  results[i * layout.RESULT_NUMBERS + 1] = scavenged;
}

/** Returns the page cache with that index; undefined for -1. */
function cacheOf(caches: readonly PageCache[], where: number): PageCache | undefined {
  return where === -1 ? undefined : caches[integer("where", where, -1, caches.length - 1)];
}

/** Allocates from a page cache. Refills an empty one if that can help. Returns -1 when it has no such run. */
function allocFromCache(cache: PageCache, npages: number): number {
  const base = cache.alloc(npages);
  return base < 0 && npages <= layout.CACHE_PAGES && cache.empty && cache.refill()
    ? cache.alloc(npages)
    : base;
}

/** Allocates from the heap, which grows if `grow` is set and it has no room. Returns -1 when it has no such run. */
function allocFromHeap(heap: HeapCalls, npages: number, align: number, grow: boolean): number {
  const options = align > 1 ? { align } : undefined;
  const base = heap.alloc(npages, options);
  if (base >= 0 || !grow) return base;
  const core = heap[CORE];
  const { chunkBytes } = core;
  const top = core.locked(() => core.getF64(layout.HEADER_TOP));
  const end = Math.ceil(top / align) * align + npages;
  heap.grow(top * core.pageSize, Math.ceil(((end - top) * core.pageSize) / chunkBytes) * chunkBytes);
  return heap.alloc(npages, options);
}
