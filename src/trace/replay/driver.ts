// Drives a heap through the events of a trace, as the Go runtime drove its own: a P serves small requests from a page
// cache, the heap serves the rest and grows when it has no room. It counts as it goes, in pages.
//
// The heap gets the events in batches. Where it places pages is known only once a batch has run, so there are two ways
// over each event: one writes its operations, and checks it against what the trace has in use; the other reads the
// results, and keeps count of what depends on addresses.
//
// The heap may place pages elsewhere than Go did: with several Ps the recorded order is ambiguous within a tick. So for
// each recorded page in use the driver knows which event allocated it, and frees what the heap gave to that event.

import { Op } from "../../api/operations.ts";
import type { PageAlloc } from "../../api/page-alloc.ts";
import type { PageCache } from "../../api/page-cache.ts";
import * as layout from "../../engine/layout.ts";
import { eventError } from "../event-error.ts";
import { ADDRESS_LIMIT, ALLOC, FREE, PAGE_BYTES, type PageTrace } from "../events.ts";
import { CHUNK_BYTES, makeTable, type Plan } from "./plan.ts";

/** Requests of fewer pages are served from the P's page cache. */
const CACHED_PAGES_LIMIT = 16;
/** Most operations of a batch: enough that the crossing costs nothing, few enough to stay in the processor's caches. */
const BATCH = 1024;
/** Stands in the table for the event that allocated what has been in use since before the trace. */
const BEFORE = -1;

/** What the driver found so far. All in pages but what says otherwise. */
export class Counters {
  /** Allocated by the trace. */
  inUse = 0;
  peakInUse = 0;
  /** Address space of the heap. */
  sys = 0;
  /** Of sys: scavenged, and not touched since. */
  released = 0;
  peakRetained = 0;
  /** Released by the trace's scavenge events, in total. */
  scavenged = 0;
  /** Allocations that the heap placed where Go did. */
  addressMatches = 0;
  /** The first event that it placed elsewhere, -1 when there is none, and the address. */
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
  /** The page cache of each P that has one. */
  readonly #caches: PageCache[] = [];
  /** The number of each P's page cache in the batch, counted from 1; 0 or nothing while the batch does not use it. */
  readonly #slots: number[] = [];
  /** The Ps whose page caches the batch uses, by that number. */
  readonly #used = new Uint32Array(BATCH);
  #usedCount = 0;
  /** The P of the batch that was asked for last, -1 when there is none, and its place. */
  #proc = -1;
  #slot = -1;
  /** For each cell the number of the event that allocated it, counted from 1, or BEFORE; 0 when it is not in use. */
  readonly #own: Int32Array;
  /**
   * For each allocation the heap's page that its first page is, counted from heapBase. Negative until its batch has
   * run: the number of the operation, inverted.
   */
  readonly #placed: Int32Array;
  readonly #ops = new Float64Array(BATCH * layout.OP_NUMBERS);
  readonly #results = new Float64Array(BATCH * layout.RESULT_NUMBERS);
  /** The event of each operation. */
  readonly #events = new Uint32Array(BATCH);
  /** Operations in the batch. */
  #count = 0;
  /** How many operations there were when each sample was asked for; those from #sampled on have yet to be taken. */
  readonly #sampleAt: Uint32Array;
  #samples = 0;
  #sampled = 0;
  /** Where the heap ends, in bytes. */
  #limit: number;

  /**
   * @param heap a new one, with pages of PAGE_BYTES
   * @param scavenge whether scavenge events release pages
   * @param series where samples go
   */
  constructor(heap: PageAlloc, plan: Plan, scavenge: boolean, series: Series) {
    this.#heap = heap;
    this.#plan = plan;
    this.#trace = plan.trace;
    this.#scavenge = scavenge;
    this.#series = series;
    this.#own = makeTable(plan.cellCount);
    this.#placed = makeTable(plan.trace.length);
    this.#sampleAt = new Uint32Array(series.time.length);
    this.#limit = plan.heapBase;
    this.#takePrefix();
  }

  /** Takes the events [start, end), to be replayed by `finish` at the latest. Throws PageAllocError ERR_TRACE. */
  run(start: number, end: number): void {
    const { kind, npages, base } = this.#trace;
    for (let event = start; event < end; event++) {
      if (this.#count === BATCH) this.finish();
      if (kind[event] === ALLOC) this.#alloc(event);
      else if (kind[event] === FREE) this.#free(event);
      // What is free has no recorded page that could lead elsewhere, so these are the very addresses of the event.
      // Where all was placed as recorded, they are all free and unscavenged. After a divergence some may be in use, in
      // a P's cache, or past the end of the heap; the heap passes over those and releases the rest.
      else if (this.#scavenge) this.#push(event, Op.scavengeRange, npages[event], base[event], 0);
    }
  }

  /** Asks for a sample of the state after the event, the latest that `run` was given. */
  sample(event: number): void {
    const sample = this.#samples++;
    this.#series.time[sample] = this.#trace.time[event];
    this.#series.inUse[sample] = this.counters.inUse * PAGE_BYTES;
    this.#sampleAt[sample] = this.#count;
  }

  /** Replays what `run` was given. Throws PageAllocError ERR_TRACE. */
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

  /** Takes the pages that the program had before the trace began: Go gives the lowest first. */
  #takePrefix(): void {
    const { heapBase, heapCell, prefixPages } = this.#plan;
    if (prefixPages === 0) return;
    this.#grow(prefixPages, 0);
    const scavenged = this.#heap.allocRange(heapBase, prefixPages);
    this.counters.released -= scavenged / PAGE_BYTES;
    this.#own.fill(BEFORE, heapCell, heapCell + prefixPages);
    this.counters.peakRetained = prefixPages;
  }

  /** Adds an operation to the batch, which has room for it. */
  #push(event: number, code: number, npages: number, where: number, offset: number): void {
    const at = this.#count * layout.OP_NUMBERS;
    this.#ops[at] = code;
    this.#ops[at + 1] = npages;
    this.#ops[at + 2] = where;
    this.#ops[at + 3] = offset;
    this.#events[this.#count++] = event;
  }

  /** Writes the operation of an alloc event, and notes which pages it takes: they must not be in use. */
  #alloc(event: number): void {
    const npages = this.#trace.npages[event];
    const proc = this.#trace.proc[event];
    let slot = -1;
    if (this.counters.sys === 0) this.#start(event, npages);
    else if (npages < CACHED_PAGES_LIMIT && proc >= 0) slot = this.#slotOf(proc);
    this.#placed[event] = ~this.#count;
    this.#push(event, Op.alloc, npages, slot, 0);
    const own = this.#own;
    const first = this.#plan.cell[event];
    for (let cell = first; cell < first + npages; cell++) {
      // Pages from before the trace are a guess, which the trace may correct.
      if (own[cell] > 0) this.#refuse(event, cell, "it is allocated twice, without a free between");
      own[cell] = event + 1;
    }
    const counters = this.counters;
    counters.inUse += npages;
    if (counters.inUse > counters.peakInUse) counters.peakInUse = counters.inUse;
  }

  /** Gives an empty heap its first chunks: a batch knows no address to grow from. */
  #start(event: number, npages: number): void {
    this.finish();
    this.#grow(npages, event);
  }

  /** The number of a P's page cache in the batch. */
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

  /** Writes the operations of a free event: one for each run of pages that came from one allocation. */
  #free(event: number): void {
    const own = this.#own;
    let cell = this.#plan.cell[event];
    const end = cell + this.#trace.npages[event];
    while (cell < end) {
      if (this.#count === BATCH) this.finish();
      const owner = own[cell];
      const first = cell;
      if (owner === 0) this.#refuse(event, cell, "it is freed, but not in use");
      do own[cell++] = 0;
      while (cell < end && own[cell] === owner);
      this.#freeRun(event, owner, first, cell - first);
    }
  }

  /** Writes the operation that frees the pages which stand for a run of cells. */
  #freeRun(event: number, owner: number, cell: number, npages: number): void {
    const { heapBase, heapCell } = this.#plan;
    if (owner === BEFORE) {
      this.#push(event, Op.free, npages, heapBase + (cell - heapCell) * PAGE_BYTES, 0);
      return;
    }
    this.counters.inUse -= npages;
    const placed = this.#placed[owner - 1];
    const offset = cell - this.#plan.cell[owner - 1];
    if (placed < 0) this.#push(event, Op.freeResult, npages, ~placed, offset * PAGE_BYTES);
    else this.#push(event, Op.free, npages, heapBase + (placed + offset) * PAGE_BYTES, 0);
  }

  /** Carries the batch out, the results to be accounted for. */
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

  /** The page caches of the Ps that the batch uses. */
  #takeCaches(): Array<PageCache | undefined> {
    const caches = new Array<PageCache | undefined>(this.#usedCount);
    for (let slot = 0; slot < caches.length; slot++) caches[slot] = this.#caches[this.#used[slot]];
    return caches;
  }

  /** Gives the Ps those of the batch that was run, some of which are new. */
  #keepCaches(caches: ReadonlyArray<PageCache | undefined>): void {
    for (let slot = 0; slot < caches.length; slot++) {
      const proc = this.#used[slot];
      this.#caches[proc] ??= caches[slot] as PageCache;
      this.#slots[proc] = 0;
    }
    this.#usedCount = 0;
    this.#proc = -1;
  }

  /** Goes over the results of the operations [from, to). */
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
    // The heap grows only for what then reaches into the new chunks.
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

  /** Adds room for npages at the top of the heap. */
  #grow(npages: number, event: number): void {
    this.#checkRoom(npages, event);
    this.#heap.grow(this.#limit, growthFor(npages));
    this.#noteGrowth(npages);
  }

  /** Notes that the heap has grown. */
  #noteGrowth(npages: number): void {
    const nbytes = growthFor(npages);
    this.#limit += nbytes;
    this.counters.sys += nbytes / PAGE_BYTES;
    this.counters.released += nbytes / PAGE_BYTES;
  }

  /** Throws if there are no addresses left to grow by. */
  #checkRoom(npages: number, event: number): void {
    if (this.#limit + growthFor(npages) > ADDRESS_LIMIT) {
      throw eventError(this.#trace, event, "the heap cannot grow any further from where the trace starts");
    }
  }

  /** Throws an error about the page of one of the event's cells, unless an earlier operation is refused first. */
  #refuse(event: number, cell: number, reason: string): never {
    this.finish();
    const page = this.#trace.base[event] + (cell - this.#plan.cell[event]) * PAGE_BYTES;
    throw eventError(this.#trace, event, reason, page);
  }
}

/** Bytes that the heap grows by when it has no room for npages: whole chunks. */
function growthFor(npages: number): number {
  return Math.ceil((npages * PAGE_BYTES) / CHUNK_BYTES) * CHUNK_BYTES;
}

/** One point a sample: when, in ns on the recording machine's clock, and bytes. */
export interface Series {
  time: Float64Array;
  inUse: Float64Array;
  retained: Float64Array;
  sys: Float64Array;
}

/** A series of that many points, all zero. */
export function makeSeries(length: number): Series {
  return {
    time: new Float64Array(length),
    inUse: new Float64Array(length),
    retained: new Float64Array(length),
    sys: new Float64Array(length),
  };
}
