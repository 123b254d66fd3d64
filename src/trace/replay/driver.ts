// Drives a heap through the events of a trace, as the Go runtime drove its own. A P serves small requests from a page
// cache. The heap serves the rest, and grows when it has no room. The driver counts in pages as it goes.
//
// The heap gets the events in batches. Addresses are known only after a batch has run, so each event is visited twice.
// First the driver checks it against the pages that the trace has in use, and writes its operations. Then it reads the
// results, and counts what depends on addresses.
//
// The heap may place pages elsewhere than Go did: with several Ps the recorded order is ambiguous within a tick. So the
// driver knows, for each recorded page in use, which event allocated it, and frees the pages that the heap gave to it.

import { Op } from "../../api/operations.ts";
import type { PageAlloc } from "../../api/page-alloc.ts";
import type { PageCache } from "../../api/page-cache.ts";
import * as layout from "../../engine/layout.ts";
import { eventError } from "../event-error.ts";
import { ADDRESS_LIMIT, ALLOC, FREE, PAGE_BYTES, type PageTrace } from "../events.ts";
import { CHUNK_BYTES, makeTable, type Plan } from "./plan.ts";

/** A P serves requests of fewer pages from its page cache. */
const CACHED_PAGES_LIMIT = 16;
/** Most operations of a batch: enough to hide the cost of the call, few enough for the processor's caches. */
const BATCH = 1024;
/** In place of the allocating event: the page was in use before the trace began. */
const BEFORE = -1;

/** What the driver has counted so far, in pages unless noted. */
class Counters {
  /** Allocated by the trace. */
  inUse = 0;
  peakInUse = 0;
  /** Mapped in the heap. */
  sys = 0;
  /** Free and scavenged. */
  released = 0;
  peakRetained = 0;
  /** Released by the trace's scavenge events, in total. */
  scavenged = 0;
  /** Number of allocations that the heap placed where Go did. */
  addressMatches = 0;
  /** The first event that the heap placed elsewhere, -1 if none, and its address there in bytes. */
  mismatchEvent = -1;
  mismatchAddress = -1;
}

/** Replays one trace on one heap, from the first event to the last. */
export class Driver {
  readonly counters = new Counters();
  readonly #heap: PageAlloc;
  readonly #plan: Plan;
  readonly #trace: PageTrace;
  readonly #scavenge: boolean;
  readonly #series: Series;
  /** Page caches by P. */
  readonly #caches: PageCache[] = [];
  /** By P: the index of its page cache in the batch, plus 1; 0 or undefined if the batch does not use it. */
  readonly #slots: number[] = [];
  /** The Ps whose page caches the batch uses, by that index. */
  readonly #used = new Uint32Array(BATCH);
  #usedCount = 0;
  /** The P that `#slotOf` was last called for in this batch, -1 if none, and what it returned. */
  #proc = -1;
  #slot = -1;
  /** By cell: the index of the event that allocated it, plus 1, or BEFORE; 0 if it is not in use. */
  readonly #allocatedBy: Int32Array;
  /**
   * By alloc event: where the heap placed its first page, in pages from heapBase. Negative until its batch has run:
   * then it is the index of its operation, bitwise inverted.
   */
  readonly #placed: Int32Array;
  readonly #ops = new Float64Array(BATCH * layout.OP_NUMBERS);
  readonly #results = new Float64Array(BATCH * layout.RESULT_NUMBERS);
  /** The event of each operation. */
  readonly #events = new Uint32Array(BATCH);
  /** Operations in the batch. */
  #count = 0;
  /** By sample: how many operations the batch had when it was requested. Samples from #sampled on are pending. */
  readonly #sampleAt: Uint32Array;
  #samples = 0;
  #sampled = 0;
  /** Address where the heap ends. */
  #limit: number;

  /**
   * @param heap a new heap with pages of PAGE_BYTES
   * @param scavenge whether scavenge events release pages
   * @param series receives the samples
   */
  constructor(heap: PageAlloc, plan: Plan, scavenge: boolean, series: Series) {
    this.#heap = heap;
    this.#plan = plan;
    this.#trace = plan.trace;
    this.#scavenge = scavenge;
    this.#series = series;
    this.#allocatedBy = makeTable(plan.cellCount);
    this.#placed = makeTable(plan.trace.length);
    this.#sampleAt = new Uint32Array(series.time.length);
    this.#limit = plan.heapBase;
    this.#takePrefix();
  }

  /** Queues the events [start, end). `finish` replays them at the latest. Throws PageAllocError ERR_TRACE. */
  add(start: number, end: number): void {
    const { kind, npages, base } = this.#trace;
    for (let event = start; event < end; event++) {
      if (this.#count === BATCH) this.finish();
      if (kind[event] === ALLOC) this.#alloc(event);
      else if (kind[event] === FREE) this.#free(event);
      // Free pages are not tied to an allocation, so the event's own addresses are used. As long as the heap places all
      // as recorded, they are free and unscavenged. After a divergence some may be in use, in a P's cache or past the
      // end of the heap. The heap skips those and releases the rest.
      else if (this.#scavenge) this.#push(event, Op.scavengeRange, npages[event], base[event], 0);
    }
  }

  /** Requests a sample of the state after `event`, the latest that was added. */
  sample(event: number): void {
    const sample = this.#samples++;
    this.#series.time[sample] = this.#trace.time[event];
    this.#series.inUse[sample] = this.counters.inUse * PAGE_BYTES;
    this.#sampleAt[sample] = this.#count;
  }

  /** Replays all queued events. Throws PageAllocError ERR_TRACE. */
  finish(): void {
    this.#runBatch();
    let from = 0;
    for (; this.#sampled < this.#samples; this.#sampled++) {
      const to = this.#sampleAt[this.#sampled];
      this.#account(from, to);
      from = to;
      const { sys, released } = this.counters;
      this.#series.retained[this.#sampled] = (sys - released) * PAGE_BYTES;
      this.#series.sys[this.#sampled] = sys * PAGE_BYTES;
    }
    this.#account(from, this.#count);
    this.#count = 0;
  }

  /** Allocates the pages that the program had before the trace began. Go allocates the lowest first. */
  #takePrefix(): void {
    const { heapBase, heapCell, prefixPages } = this.#plan;
    if (prefixPages === 0) return;
    this.#grow(prefixPages, 0);
    const scavenged = this.#heap.allocRange(heapBase, prefixPages);
    this.counters.released -= scavenged / PAGE_BYTES;
    this.#allocatedBy.fill(BEFORE, heapCell, heapCell + prefixPages);
    this.counters.peakRetained = prefixPages;
  }

  /** Adds an operation to the batch, which must have room for it. */
  #push(event: number, code: number, npages: number, where: number, offset: number): void {
    const at = this.#count * layout.OP_NUMBERS;
    this.#ops[at] = code;
    this.#ops[at + 1] = npages;
    this.#ops[at + 2] = where;
    this.#ops[at + 3] = offset;
    this.#events[this.#count++] = event;
  }

  /** Adds the operation of an alloc event, and marks its pages. Throws if one is in use. */
  #alloc(event: number): void {
    const npages = this.#trace.npages[event];
    const proc = this.#trace.proc[event];
    let slot = -1;
    if (this.counters.sys === 0) this.#start(event, npages);
    else if (npages < CACHED_PAGES_LIMIT && proc >= 0) slot = this.#slotOf(proc);
    this.#placed[event] = ~this.#count;
    this.#push(event, Op.alloc, npages, slot, 0);
    const allocatedBy = this.#allocatedBy;
    const first = this.#plan.cell[event];
    for (let cell = first; cell < first + npages; cell++) {
      // Pages from before the trace are a guess, which the trace may correct.
      if (allocatedBy[cell] > 0) this.#refuse(event, cell, "it is allocated twice, with no free in between");
      allocatedBy[cell] = event + 1;
    }
    const counters = this.counters;
    counters.inUse += npages;
    if (counters.inUse > counters.peakInUse) counters.peakInUse = counters.inUse;
  }

  /** Grows an empty heap. A batch cannot, as it has no address to grow from. */
  #start(event: number, npages: number): void {
    this.finish();
    this.#grow(npages, event);
  }

  /** Returns the index of a P's page cache in the batch. */
  #slotOf(proc: number): number {
    if (proc === this.#proc) return this.#slot;
    if (!this.#slots[proc]) {
      this.#used[this.#usedCount] = proc;
      this.#slots[proc] = ++this.#usedCount;
    }
    this.#proc = proc;
    this.#slot = this.#slots[proc] - 1;
    return this.#slot;
  }

  /** Adds the operations of a free event: one for each run of pages from the same allocation. */
  #free(event: number): void {
    const allocatedBy = this.#allocatedBy;
    let cell = this.#plan.cell[event];
    const end = cell + this.#trace.npages[event];
    while (cell < end) {
      if (this.#count === BATCH) this.finish();
      const source = allocatedBy[cell];
      const first = cell;
      if (source === 0) this.#refuse(event, cell, "it is freed, but not in use");
      do allocatedBy[cell++] = 0;
      while (cell < end && allocatedBy[cell] === source);
      this.#freeRun(event, source, first, cell - first);
    }
  }

  /** Adds the operation that frees the heap's pages for a run of cells. `source` is their entry in #allocatedBy. */
  #freeRun(event: number, source: number, cell: number, npages: number): void {
    const { heapBase, heapCell } = this.#plan;
    if (source === BEFORE) {
      this.#push(event, Op.free, npages, heapBase + (cell - heapCell) * PAGE_BYTES, 0);
      return;
    }
    this.counters.inUse -= npages;
    const placed = this.#placed[source - 1];
    const offset = cell - this.#plan.cell[source - 1];
    if (placed < 0) this.#push(event, Op.freeResult, npages, ~placed, offset * PAGE_BYTES);
    else this.#push(event, Op.free, npages, heapBase + (placed + offset) * PAGE_BYTES, 0);
  }

  /** Runs the batch. Its results are accounted for later. */
  #runBatch(): void {
    if (this.#count === 0) return;
    const ops = this.#ops.subarray(0, this.#count * layout.OP_NUMBERS);
    this.#results.fill(Number.NaN);
    const caches = this.#takeCaches();
    try {
      this.#heap.run(ops, this.#results, { caches, grow: true });
    } catch (error) {
      const failed = this.#results.findIndex(Number.isNaN) / layout.RESULT_NUMBERS;
      this.#account(0, failed);
      this.#checkRoom(this.#trace.npages[this.#events[failed]], this.#events[failed]);
      throw error;
    }
    this.#keepCaches(caches);
  }

  /** Returns the page caches of the Ps that the batch uses; undefined for new ones. */
  #takeCaches(): Array<PageCache | undefined> {
    const caches = new Array<PageCache | undefined>(this.#usedCount);
    for (let slot = 0; slot < caches.length; slot++) caches[slot] = this.#caches[this.#used[slot]];
    return caches;
  }

  /** Keeps the page caches that the batch has made. */
  #keepCaches(caches: ReadonlyArray<PageCache | undefined>): void {
    for (let slot = 0; slot < caches.length; slot++) {
      const proc = this.#used[slot];
      this.#caches[proc] ??= caches[slot] as PageCache;
      this.#slots[proc] = 0;
    }
    this.#usedCount = 0;
    this.#proc = -1;
  }

  /** Counts the results of the operations [from, to). */
  #account(from: number, to: number): void {
    const ops = this.#ops;
    const results = this.#results;
    const events = this.#events;
    for (let i = from; i < to; i++) {
      const code = ops[i * layout.OP_NUMBERS];
      if (code === Op.alloc) {
        this.#accountAlloc(
          events[i],
          results[i * layout.RESULT_NUMBERS],
          results[i * layout.RESULT_NUMBERS + 1],
        );
      } else if (code === Op.scavengeRange) {
        const npages = results[i * layout.RESULT_NUMBERS] / PAGE_BYTES;
        this.counters.released += npages;
        this.counters.scavenged += npages;
      }
    }
  }

  #accountAlloc(event: number, base: number, scavenged: number): void {
    const { counters } = this;
    const trace = this.#trace;
    const end = base + trace.npages[event] * PAGE_BYTES;
    // The heap grows only for an allocation that then ends in the new chunks.
    if (end > this.#limit) this.#noteGrowth(trace.npages[event]);
    if (scavenged) {
      counters.released -= scavenged / PAGE_BYTES;
      counters.peakRetained = Math.max(counters.peakRetained, counters.sys - counters.released);
    }
    this.#placed[event] = (base - this.#plan.heapBase) / PAGE_BYTES;
    if (base === trace.base[event]) {
      counters.addressMatches++;
    } else if (counters.mismatchEvent < 0) {
      counters.mismatchEvent = event;
      counters.mismatchAddress = base;
    }
  }

  /** Grows the heap at its top, for a request of npages. */
  #grow(npages: number, event: number): void {
    this.#checkRoom(npages, event);
    this.#heap.grow(this.#limit, growthFor(npages));
    this.#noteGrowth(npages);
  }

  /** Counts a growth of the heap. */
  #noteGrowth(npages: number): void {
    const nbytes = growthFor(npages);
    this.#limit += nbytes;
    this.counters.sys += nbytes / PAGE_BYTES;
    this.counters.released += nbytes / PAGE_BYTES;
  }

  /** Throws if the address space ends before a growth for npages would. */
  #checkRoom(npages: number, event: number): void {
    if (this.#limit + growthFor(npages) > ADDRESS_LIMIT) {
      throw eventError(this.#trace, event, "the heap has reached the end of the address space");
    }
  }

  /** Throws the error for the page of one of the event's cells, or that of an earlier operation in the batch. */
  #refuse(event: number, cell: number, reason: string): never {
    this.finish();
    const page = this.#trace.base[event] + (cell - this.#plan.cell[event]) * PAGE_BYTES;
    throw eventError(this.#trace, event, reason, page);
  }
}

/** Returns the bytes that the heap grows by for a request of npages: whole chunks. */
function growthFor(npages: number): number {
  return Math.ceil((npages * PAGE_BYTES) / CHUNK_BYTES) * CHUNK_BYTES;
}

/** One point per sample: its time in ns, on the recording machine's clock, and bytes. */
export interface Series {
  time: Float64Array;
  inUse: Float64Array;
  retained: Float64Array;
  sys: Float64Array;
}

/** Makes a series of that many points, all zero. */
export function makeSeries(length: number): Series {
  return {
    time: new Float64Array(length),
    inUse: new Float64Array(length),
    retained: new Float64Array(length),
    sys: new Float64Array(length),
  };
}
