// Replays events for as long as the heap places all pages where they were recorded. Then the heap knows by itself which
// pages the trace has in use, and an event is one call of the engine.

import type { PageAlloc } from "../../api/page-alloc.ts";
import type { PageCache } from "../../api/page-cache.ts";
import * as layout from "../../engine/layout.ts";
import { CORE, type Core } from "../../heap/core.ts";
import { ALLOC, FREE, type PageTrace, SCAVENGE } from "../events.ts";
import { type Range, Ranges } from "../ranges.ts";
import type { Counters } from "./counters.ts";
import type { Geometry } from "./geometry.ts";
import type { Observer } from "./observer.ts";

/** A P serves requests of fewer pages from its page cache. */
export const CACHED_PAGES_LIMIT = 16;
/** Ps whose page caches are used here: those with lower ids. */
const PROCS = 1024;

/** Pages in a row that the trace has in use. */
export interface Used {
  /** Number of the first page. */
  readonly first: number;
  readonly npages: number;
  /** Whether they were in use before the trace began. */
  readonly isBefore: boolean;
}

/** A heap whose pages lie where they were recorded. */
export class InPlace {
  /** The page where the heap has put the latest event, if that is not its place; else -1. */
  misplaced = -1;
  readonly #heap: PageAlloc;
  readonly #core: Core;
  readonly #geometry: Geometry;
  readonly #counters: Counters;
  readonly #observer: Observer | undefined;
  /** Whether scavenge events release pages, and whether Ps have page caches. */
  readonly #scavenge: boolean;
  readonly #hasCaches: boolean;
  /** By P: the ref of its page cache; 0 if it has none yet. */
  readonly #refs = new Uint32Array(PROCS);
  /** Refs of all page caches. */
  readonly #cacheRefs = new Set<number>();
  /** By page of their chunk: 1 for those that were in use before the trace began. */
  readonly #before = new Uint8Array(layout.CHUNK_PAGES);
  #beforeChunk = 0;
  /** No page from here on was in use before the trace began. */
  #beforeEnd = 0;

  /** @param heap a new heap, with pages as large as those of the trace */
  constructor(
    heap: PageAlloc,
    geometry: Geometry,
    counters: Counters,
    { scavenge, isGo }: { readonly scavenge: boolean; readonly isGo: boolean },
    observer: Observer | undefined,
  ) {
    this.#heap = heap;
    this.#core = heap[CORE];
    this.#geometry = geometry;
    this.#counters = counters;
    this.#observer = observer;
    this.#scavenge = scavenge;
    this.#hasCaches = isGo;
  }

  /** Notes pages of one chunk that were in use before the trace began. Called at most once. */
  noteBefore(first: number, npages: number): void {
    const index = first % layout.CHUNK_PAGES;
    this.#beforeChunk = first - index;
    this.#beforeEnd = first + npages;
    this.#before.fill(1, index, index + npages);
  }

  /** Learns which page cache a P has. */
  learn(proc: number, cache: PageCache): void {
    const ref = this.#core.locked((core) => (cache.constructor as typeof PageCache).refOf(cache, core));
    this.#cacheRefs.add(ref);
    if (proc < PROCS) this.#refs[proc] = ref;
  }

  /**
   * Replays the events [start, end) of a block, up to the first that is not simple: of another kind, one for which the
   * heap must grow or make a page cache, or one that is impossible. Returns that event, of which nothing is done; `end`
   * if there is none. Stops after an event that the heap has put elsewhere, and sets `misplaced`.
   */
  run(block: PageTrace, start: number, end: number): number {
    return this.#core.locked(() => this.#run(block, start, end));
  }

  #run(block: PageTrace, start: number, end: number): number {
    const { kind, base, npages, proc, time } = block;
    const { perTracePage } = this.#geometry;
    const counters = this.#counters;
    const observer = this.#observer;
    for (let event = start; event < end; event++) {
      if (observer) observer.time = time[event];
      const count = npages[event];
      const page = base[event] * perTracePage;
      if (kind[event] === ALLOC) {
        const found = this.#alloc(count, proc[event]);
        if (found < 0) return event;
        counters.use(count);
        if (found !== page) {
          this.misplaced = found;
          return event + 1;
        }
        counters.addressMatches++;
      } else if (kind[event] === FREE) {
        if (!this.#free(page, count)) return event;
      } else if (kind[event] !== SCAVENGE || (this.#scavenge && !this.#release(page, count))) {
        return event;
      }
    }
    return end;
  }

  /** Allocates pages as a P does. Returns the number of the first; -1 if the heap must grow or make a cache first. */
  #alloc(npages: number, proc: number): number {
    const { engine, region } = this.#core;
    const { at } = region;
    const { i32 } = engine.memory;
    if (npages < CACHED_PAGES_LIMIT && proc >= 0 && this.#hasCaches) {
      const ref = proc < PROCS ? this.#refs[proc] : 0;
      if (ref === 0) return -1;
      const record = (at + ref) >>> 2;
      const cache = record + layout.RECORD_CACHE / 4;
      if (!(i32[cache] | i32[cache + 1])) {
        const room = i32[(at + layout.HEADER_ROOM) >>> 2] - i32[(at + layout.HEADER_USED) >>> 2];
        // A refill may append an index. Room for one is not made here.
        if (room < layout.BLOCKS_BYTES) return -1;
        engine.refill(at, ref, 0);
      }
      const hit = engine.cacheAlloc(at, ref, npages);
      if (hit >= 0) {
        const chunk = i32[record + layout.RECORD_CHUNK / 4];
        const block = chunk * layout.CHUNK_PAGES + i32[record + layout.RECORD_INDEX / 4];
        return this.#took(block + (hit & 0xffff), npages, hit >>> 16);
      }
    }
    const page = engine.alloc(at, npages, 1);
    if (page < 0) return -1;
    return this.#took(page, npages, i32[(at + layout.HEADER_LAST_SCAVENGED) >>> 2]);
  }

  /** Counts pages that were taken, some of which may have been scavenged. Returns the first. */
  #took(page: number, npages: number, scavenged: number): number {
    if (scavenged) this.#counters.reuse(scavenged);
    this.#observer?.taken(page, npages, scavenged);
    return page;
  }

  /** Frees pages. Returns false if the trace does not have all of them in use, and frees none. */
  #free(page: number, npages: number): boolean {
    const { engine, region, limit } = this.#core;
    const end = page + npages;
    if (end * this.#geometry.heapPage > limit) return false;
    const chunk = Math.floor(page * (1 / layout.CHUNK_PAGES));
    // The engine refuses pages of a page cache.
    const answer = engine.free(region.at, chunk, page - chunk * layout.CHUNK_PAGES, npages);
    if (answer !== layout.RANGE_DONE) return false;
    this.#observer?.freed(page, npages);
    this.#counters.inUse -= page < this.#beforeEnd ? npages - this.#dropBefore(page, end) : npages;
    return true;
  }

  /** Releases the free and unscavenged of some pages. Returns false, and releases none, unless all are of one chunk. */
  #release(page: number, npages: number): boolean {
    const { engine, region, limit } = this.#core;
    const chunk = Math.floor(page * (1 / layout.CHUNK_PAGES));
    const index = page - chunk * layout.CHUNK_PAGES;
    if (npages > layout.CHUNK_PAGES - index || page * this.#geometry.heapPage >= limit) return false;
    const scavEnd = engine.memory.f64[(region.at + layout.HEADER_SCAV_END) >>> 3];
    const released = engine.scavengeRange(region.at, chunk, index, npages, scavEnd);
    this.#counters.released += released;
    this.#counters.scavenged += released;
    return true;
  }

  /** Returns how many of the pages [page, end) were in use before the trace began. From now on none of them was. */
  #dropBefore(page: number, end: number): number {
    const stop = Math.min(end, this.#beforeEnd) - this.#beforeChunk;
    let count = 0;
    for (let index = Math.max(0, page - this.#beforeChunk); index < stop; index++) {
      count += this.#before[index];
      this.#before[index] = 0;
    }
    return count;
  }

  /**
   * Returns the pages that the trace has in use.
   *
   * @param mapped mapped addresses of the heap
   * @param misplaced pages in use that are left out
   */
  used(mapped: readonly Range[], misplaced: { readonly base: number; readonly npages: number }): Used[] {
    const { heapPage } = this.#geometry;
    const pages = new Ranges();
    const remove = (base: number, npages: number) => pages.remove(base / heapPage, base / heapPage + npages);
    for (const [start, end] of mapped) pages.add(start / heapPage, end / heapPage);
    for (const { base, nbytes } of this.#heap.freeRuns()) remove(base, nbytes / heapPage);
    for (const page of this.#cached()) pages.remove(page, page + 1);
    remove(misplaced.base, misplaced.npages);
    const before = this.#stillBefore();
    const used: Used[] = [];
    for (const [start, end] of pages.parts(0, pages.end)) {
      for (const [first, stop] of before.missing(start, end))
        used.push({ first, npages: stop - first, isBefore: false });
      for (const [first, stop] of before.parts(start, end))
        used.push({ first, npages: stop - first, isBefore: true });
    }
    return used;
  }

  /** Returns the pages that were in use before the trace began, and still are. */
  #stillBefore(): Ranges {
    const pages = new Ranges();
    this.#before.forEach((is, index) => {
      if (is) pages.add(this.#beforeChunk + index, this.#beforeChunk + index + 1);
    });
    return pages;
  }

  /** The pages of all page caches. */
  *#cached(): IterableIterator<number> {
    const { engine, region } = this.#core;
    const { i32 } = engine.memory;
    for (const ref of this.#cacheRefs) {
      const record = (region.at + ref) >>> 2;
      const chunk = i32[record + layout.RECORD_CHUNK / 4];
      const first = chunk * layout.CHUNK_PAGES + i32[record + layout.RECORD_INDEX / 4];
      for (let bit = 0; bit < layout.CACHE_PAGES; bit++) {
        if ((i32[record + layout.RECORD_CACHE / 4 + (bit >>> 5)] >>> (bit & 31)) & 1) yield first + bit;
      }
    }
  }
}
