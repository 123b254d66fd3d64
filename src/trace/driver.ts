// Drives a heap through the events of a trace, as the Go runtime drove its own: a P serves small requests from a page
// cache, the heap serves the rest and grows when it has no room. It counts as it goes, in pages.
//
// The heap may place pages elsewhere than Go did: with several Ps the recorded order is ambiguous within a tick. So
// for each recorded page in use the driver knows which of the heap's own pages stands for it, and frees that one.

import type { PageAlloc } from "../page-alloc.ts";
import type { PageCache } from "../page-cache.ts";
import { eventError } from "./error.ts";
import { ADDRESS_LIMIT, ALLOC, FREE, PAGE_BYTES, type PageTrace } from "./format.ts";
import { CHUNK_BYTES, type Plan } from "./plan.ts";

/** Requests of fewer pages are served from the P's page cache. */
const CACHED_PAGES_LIMIT = 16;

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
  readonly #caches: Array<PageCache | undefined> = [];
  /**
   * For each cell the number of the heap's page that stands for it, counted from 1 at heapBase; 0 when the recorded
   * page is not in use. Negative where it has been in use since before the trace.
   */
  readonly #own: Int32Array;
  /** Where the heap ends, in bytes. */
  #limit: number;

  /**
   * @param heap a new one, with pages of PAGE_BYTES
   * @param scavenge whether scavenge events release pages
   */
  constructor(heap: PageAlloc, plan: Plan, scavenge: boolean) {
    this.#heap = heap;
    this.#plan = plan;
    this.#trace = plan.trace;
    this.#scavenge = scavenge;
    this.#own = new Int32Array(plan.cellCount);
    this.#limit = plan.heapBase;
    this.#takePrefix();
  }

  /** Replays the events [start, end). Throws PageAllocError ERR_TRACE at one that cannot be. */
  run(start: number, end: number): void {
    const kind = this.#trace.kind;
    for (let event = start; event < end; event++) {
      if (kind[event] === ALLOC) this.#alloc(event);
      else if (kind[event] === FREE) this.#free(event);
      else if (this.#scavenge) this.#release(event);
    }
  }

  /** Takes the pages that the program had before the trace began: Go gives the lowest first. */
  #takePrefix(): void {
    const { heapBase, heapCell, prefixPages } = this.#plan;
    if (prefixPages === 0) return;
    this.#grow(prefixPages, 0);
    const scavenged = this.#heap.allocRange(heapBase, prefixPages);
    this.counters.released -= scavenged / PAGE_BYTES;
    for (let page = 0; page < prefixPages; page++) this.#own[heapCell + page] = -(page + 1);
    this.counters.peakRetained = prefixPages;
  }

  #alloc(event: number): void {
    const npages = this.#trace.npages[event];
    const proc = this.#trace.proc[event];
    let placed = -1;
    if (npages < CACHED_PAGES_LIMIT && proc >= 0) placed = this.#allocFromCache(proc, npages);
    if (placed < 0) placed = this.#allocFromHeap(event, npages);
    this.#compare(event, placed);
    this.#use(event, npages, placed);
    const counters = this.counters;
    counters.inUse += npages;
    if (counters.inUse > counters.peakInUse) counters.peakInUse = counters.inUse;
    const retained = counters.sys - counters.released;
    if (retained > counters.peakRetained) counters.peakRetained = retained;
  }

  /** -1 when the P's cache has no such run. Only an empty cache is refilled. */
  #allocFromCache(proc: number, npages: number): number {
    let cache = this.#caches[proc];
    let placed = cache === undefined ? -1 : cache.alloc(npages);
    if (placed < 0) {
      if (cache !== undefined && !cache.empty) return -1;
      cache = this.#refill(proc, cache);
      placed = cache.alloc(npages);
      if (placed < 0) return -1;
    }
    this.counters.released -= (cache as PageCache).lastAllocScavenged / PAGE_BYTES;
    return placed;
  }

  #refill(proc: number, emptied: PageCache | undefined): PageCache {
    // Empty as it is, the heap keeps a record of it until it is flushed.
    emptied?.flush();
    const cache = this.#heap.allocToCache();
    this.#caches[proc] = cache;
    return cache;
  }

  #allocFromHeap(event: number, npages: number): number {
    let placed = this.#heap.alloc(npages);
    if (placed < 0) {
      this.#grow(npages, event);
      placed = this.#heap.alloc(npages);
    }
    this.counters.released -= this.#heap.lastAllocScavenged / PAGE_BYTES;
    return placed;
  }

  /** Adds room for npages at the top of the heap. */
  #grow(npages: number, event: number): void {
    const nbytes = Math.ceil((npages * PAGE_BYTES) / CHUNK_BYTES) * CHUNK_BYTES;
    if (this.#limit + nbytes > ADDRESS_LIMIT) {
      throw eventError(this.#trace, event, "the heap cannot grow any further from where the trace starts");
    }
    this.#heap.grow(this.#limit, nbytes);
    this.#limit += nbytes;
    this.counters.sys += nbytes / PAGE_BYTES;
    this.counters.released += nbytes / PAGE_BYTES;
  }

  #compare(event: number, placed: number): void {
    const counters = this.counters;
    if (placed === this.#trace.base[event]) {
      counters.addressMatches++;
    } else if (counters.mismatchEvent < 0) {
      counters.mismatchEvent = event;
      counters.mismatchAddress = placed;
    }
  }

  /** Notes which pages stand for those of the event, which must not be in use. */
  #use(event: number, npages: number, placed: number): void {
    const own = this.#own;
    const first = this.#plan.cell[event];
    let page = (placed - this.#plan.heapBase) / PAGE_BYTES;
    for (let cell = first; cell < first + npages; cell++) {
      // Pages from before the trace are a guess, which the trace may correct.
      if (own[cell] > 0) throw this.#refuse(event, cell, "it is allocated twice, without a free between");
      own[cell] = ++page;
    }
  }

  /** Frees the pages that stand for those of the event, run by run. */
  #free(event: number): void {
    const own = this.#own;
    let cell = this.#plan.cell[event];
    const end = cell + this.#trace.npages[event];
    while (cell < end) {
      const first = own[cell];
      if (first === 0) throw this.#refuse(event, cell, "it is freed, but not in use");
      const direction = first < 0 ? -1 : 1;
      let next = first;
      let npages = 0;
      do {
        own[cell++] = 0;
        npages++;
        next += direction;
      } while (cell < end && own[cell] === next);
      this.#heap.free(this.#plan.heapBase + (Math.abs(first) - 1) * PAGE_BYTES, npages);
      if (first > 0) this.counters.inUse -= npages;
    }
  }

  /**
   * Releases the heap's pages at the very addresses that the event names: what is free has no recorded page that could
   * lead elsewhere. Where all was placed as recorded, they are all free and unscavenged. After a divergence some may be
   * in use, in a P's cache, or past the end of the heap; the heap passes over those and releases the rest.
   */
  #release(event: number): void {
    const npages = this.#heap.scavengeRange(this.#trace.base[event], this.#trace.npages[event]) / PAGE_BYTES;
    this.counters.released += npages;
    this.counters.scavenged += npages;
  }

  /** An error about the page of one of the event's cells. */
  #refuse(event: number, cell: number, reason: string) {
    const page = this.#trace.base[event] + (cell - this.#plan.cell[event]) * PAGE_BYTES;
    return eventError(this.#trace, event, reason, page);
  }
}
