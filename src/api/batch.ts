// A batch of operations on one heap, each the public call of its name. An engine that is costly to call takes the whole
// batch at once, as far as it goes; what it stops at is done here, so that the heap grows, or throws as the call
// throws.

import { bytesLost, integer, readOptions, refuse, viewOf } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { CORE, type Core, type HeapObject } from "../heap/core.ts";
import { NEW, PageCache } from "./page-cache.ts";

/** How a batch is run. */
export interface RunOptions {
  /**
   * The page caches that `alloc` operations number, all of this heap. One that is empty is refilled; an element that is
   * undefined is set to a new one first. Default none.
   */
  caches?: Array<PageCache | undefined>;
  /**
   * Whether an `alloc` for which there is no room makes the heap grow, upward from its end, by the request rounded up
   * to whole chunks. Default false: its value is -1.
   */
  grow?: boolean;
}

/** The calls of a heap that operations are carried out by. */
interface HeapCalls extends HeapObject {
  alloc(npages: number): number;
  allocRange(base: number, npages: number): number;
  free(base: number, npages: number): void;
  scavengeRange(base: number, npages: number): number;
  grow(base: number, nbytes: number): void;
  readonly lastAllocScavenged: number;
}

/** Runs a batch, as `PageAlloc.run` describes it. */
export function run(
  core: Core,
  heap: HeapCalls,
  ops: Float64Array,
  results: Float64Array,
  options?: RunOptions,
): void {
  const { caches = [], grow = false } = readOptions("options", options, ["caches", "grow"]);
  if (typeof grow !== "boolean") refuse("options.grow", grow, "a boolean");
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
  const { used } = core.sys;
  // A hook may change operations to come, and so may results where they share a buffer with them, or other threads.
  const isOwn = !used && asked.buffer !== room.buffer && asked.buffer instanceof ArrayBuffer;
  const todo = isOwn ? asked : asked.slice();
  const found = room.subarray(0, least);
  const { Batch } = core.engine;
  const batch = Batch && count && !used ? new Batch(core, todo, found, refs) : null;
  for (let i = 0; i < count; i++) {
    if (batch) i = batch.run(i, count);
    if (i === count) return;
    try {
      step(heap, todo, found, i, made, grow);
    } catch (error) {
      // A hook may have thrown an error that cannot be written to.
      if (error instanceof Error)
        Reflect.defineProperty(error, "message", { value: `operation ${i} of the batch: ${error.message}` });
      throw error;
    }
    batch?.note(i);
  }
}

/** The caches that a batch is given, each read once. Throws TypeError if one is not ours. */
function readCaches(core: Core, caches: Array<PageCache | undefined>): Array<PageCache | undefined> {
  core.mustBeThere();
  if (!Array.isArray(caches)) refuse("options.caches", caches, "an array");
  return Array.from({ length: caches.length }, (_, i) => {
    const cache = caches[i];
    if (cache !== undefined) PageCache.mustBeOf(core, cache);
    return cache;
  });
}

/** Carries out one operation by public calls. */
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
    const cache = cacheOf(caches, where);
    value = cache ? allocFromCache(cache, npages) : -1;
    if (cache && value >= 0) {
      scavenged = cache.lastAllocScavenged;
    } else {
      value = allocFromHeap(heap, npages, grow);
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
    throw bytesLost("results", `; value ${value}, scavenged ${scavenged} have no place`);
  }
  results[i * layout.RESULT_NUMBERS] = value;
  results[i * layout.RESULT_NUMBERS + 1] = scavenged;
}

/** The page cache that an operation numbers; undefined for -1. */
function cacheOf(caches: readonly PageCache[], where: number): PageCache | undefined {
  return where === -1 ? undefined : caches[integer("where", where, -1, caches.length - 1)];
}

/** Allocates from a page cache, refilled if it is empty and could then have such a run; -1 when it has none. */
function allocFromCache(cache: PageCache, npages: number): number {
  const base = cache.alloc(npages);
  return base < 0 && npages <= layout.CACHE_PAGES && cache.empty && cache.refill()
    ? cache.alloc(npages)
    : base;
}

/** Allocates from the heap, which grows if it has no room and `grow` is set; -1 when there is none. */
function allocFromHeap(heap: HeapCalls, npages: number, grow: boolean): number {
  const base = heap.alloc(npages);
  if (base >= 0 || !grow) return base;
  const core = heap[CORE];
  const { chunkBytes } = core;
  const top = core.locked(() => core.getF64(layout.HEADER_TOP)) * core.pageSize;
  heap.grow(top, Math.ceil((npages * core.pageSize) / chunkBytes) * chunkBytes);
  return heap.alloc(npages);
}
