// Drives a heap through the events of a trace, as the Go runtime drove its own. A P serves small requests from a page
// cache. The heap serves the rest, and grows when it has no room. The driver counts in pages of the heap as it goes.
//
// As long as the heap places all pages where they were recorded, events are replayed one by one (see in-place.ts). But
// it may place pages elsewhere than the program's allocator did: with several Ps the recorded order is ambiguous within
// a tick, and other allocators do not take the lowest address that fits. From then on the driver has a table: for each
// recorded page in use, its allocation and where that lies in the heap.
//
// The heap gets such events in batches. Addresses are known only after a batch has run, so each event is visited twice.
// First the driver checks it against the pages that the trace has in use, and writes its operations. Then it reads the
// results, and counts what depends on addresses.

import { Op } from "../../api/operations.ts";
import type { PageAlloc } from "../../api/page-alloc.ts";
import { PageAllocError } from "../../base/errors.ts";
import { CHUNK_PAGES, OP_NUMBERS, RESULT_NUMBERS } from "../../engine/layout.ts";
import { eventError } from "../event-error.ts";
import { ALLOC, EXISTS, FREE, GROW, type PageTrace, SCAVENGE } from "../events.ts";
import { Ranges } from "../ranges.ts";
import { Allocations } from "./allocations.ts";
import { BATCH, Batch } from "./batch.ts";
import { Counters } from "./counters.ts";
import { makeFirstCache } from "./first-cache.ts";
import { type Geometry, growthFor, heapPages } from "./geometry.ts";
import { CACHED_PAGES_LIMIT, InPlace } from "./in-place.ts";
import type { Observer } from "./observer.ts";
import { PAGES_MAX, RecordedPages } from "./recorded-pages.ts";
import type { Sampler } from "./series.ts";

/** In place of an allocation: the page was in use before the trace began. */
const BEFORE = -1;

/** The first allocation that the heap placed elsewhere. */
export interface Mismatch {
  readonly event: number;
  readonly recorded: number;
  readonly placed: number;
}

/** What the driver does with the events. */
export interface Course {
  /** Whether scavenge events release pages. */
  readonly scavenge: boolean;
  /** Whether allocations are put at their recorded place, where the heap can. */
  readonly recordedPlaces: boolean;
  /** Whether the heap grows and shrinks as recorded, or only as needed. */
  readonly recordedGrowth: boolean;
  /** Whether it is a Go program's: Ps have page caches, and the lowest pages were allocated before the trace began. */
  readonly isGo: boolean;
}

/** Replays one trace on one heap, from the first event to the last. */
export class Driver {
  readonly counters = new Counters();
  /** Undefined as long as all allocations are where they were recorded. */
  firstMismatch: Mismatch | undefined;
  readonly #heap: PageAlloc;
  readonly #geometry: Geometry;
  readonly #course: Course;
  readonly #sampler: Sampler;
  readonly #observer: Observer | undefined;
  /** The current block, and the number of events before it. */
  #block: PageTrace | undefined;
  #before = 0;
  /** Whether the program ran before the trace began, so that its Ps have page caches. */
  #ranBefore = false;
  /** Undefined if the heap has placed pages elsewhere, or may have. The table is empty until then. */
  #inPlace: InPlace | undefined;
  /** The allocation of each recorded page, or BEFORE; 0 if it is not in use. */
  readonly #pages = new RecordedPages();
  readonly #allocations = new Allocations();
  /** Its numbers are the allocations that operations make. */
  readonly #batch = new Batch();
  /** By pending sample: how many operations the batch had when it was requested. */
  readonly #sampleAt: number[] = [];
  /** Mapped addresses of the heap, and where they end. */
  readonly #mapped = new Ranges();
  #limit = 0;
  #hasBegun = false;

  /** @param heap a new heap with pages of `geometry.heapPage` bytes */
  constructor(heap: PageAlloc, geometry: Geometry, course: Course, sampler: Sampler, observer?: Observer) {
    this.#heap = heap;
    this.#geometry = geometry;
    this.#course = course;
    this.#sampler = sampler;
    this.#observer = observer;
  }

  /** Finishes the current block, and goes on to another one. Its events must have been checked. */
  enter(block: PageTrace): void {
    this.finish();
    this.#before += this.#block?.length ?? 0;
    this.#block = block;
    if (this.#hasBegun || block.length === 0) return;
    this.#hasBegun = true;
    if (this.#observer) [this.#observer.time] = block.time;
    this.#begin(block);
  }

  /**
   * Queues events [start, end) of the block, and returns `end`. `finish` replays them at the latest. If the observer
   * stops after growth, so does this: it returns the next event. Throws PageAllocError ERR_TRACE.
   */
  add(start: number, end: number): number {
    let event = start;
    while (event < end) {
      if (this.#inPlace && this.counters.sys > 0) {
        event = this.#inPlace.run(this.#block as PageTrace, event, end);
        if (this.#inPlace.misplaced >= 0) this.#misplace(event - 1, this.#inPlace.misplaced);
        if (event === end) break;
      }
      if (this.#batch.count === BATCH) this.finish();
      this.#addOne(event);
      if (this.#inPlace) this.#stayInPlace(this.#inPlace, event);
      event++;
      if (!this.#observer?.stopsAfterGrowth) continue;
      this.finish();
      if (this.#observer.grown > 0) break;
    }
    return event;
  }

  #addOne(event: number): void {
    const { kind, time } = this.#block as PageTrace;
    // Most changes come later, by #account.
    if (this.#observer) this.#observer.time = time[event];
    if (kind[event] === ALLOC) this.#alloc(event);
    else if (kind[event] === FREE) this.#free(event);
    else if (kind[event] === SCAVENGE) this.#scavenge(event);
    else if (kind[event] === EXISTS) this.#exists(event);
    else this.#changeSize(event);
  }

  /** Requests a sample of the state after `event`, the latest that was added. */
  sample(event: number): void {
    const { time } = this.#block as PageTrace;
    this.#sampler.request(time[event], this.counters.inUse * this.#geometry.heapPage);
    this.#sampleAt.push(this.#batch.count);
    if (this.#inPlace || this.#sampler.full || this.#batch.count === 0) this.finish();
    if (this.#sampler.full) this.#sampler.thin();
  }

  /** Replays all queued events. Throws PageAllocError ERR_TRACE. */
  finish(): void {
    this.#runBatch();
    let from = 0;
    for (const to of this.#sampleAt) {
      this.#account(from, to);
      from = to;
      const { sys, released } = this.counters;
      const { heapPage } = this.#geometry;
      this.#sampler.settle((sys - released) * heapPage, sys * heapPage);
    }
    this.#sampleAt.length = 0;
    this.#account(from, this.#batch.count);
    this.#batch.clear();
  }

  /** Sets where the heap begins: at the first event's chunk, or at 0 if the heap cannot have its address. */
  #begin({ base, kind }: PageTrace): void {
    const { chunkBytes, scale, tracePage } = this.#geometry;
    const first = base[0];
    if (this.#isBeyond(first, tracePage)) return;
    this.#limit = first - (first % chunkBytes);
    if (scale === 1 && !this.#course.recordedPlaces)
      this.#inPlace = new InPlace(this.#heap, this.#geometry, this.counters, this.#course, this.#observer);
    // A trace that tells what existed before it needs no guess.
    if (kind[0] > SCAVENGE || this.#course.recordedPlaces || !this.#course.isGo) return;
    this.#takePrefix(first);
  }

  /**
   * Allocates the pages that the program had before the trace began. Go allocates the lowest first. Larger pages are
   * not allocated, as it is not known how many they would be.
   */
  #takePrefix(first: number): void {
    const { exact, heapPage, tracePage } = this.#geometry;
    const base = first - (first % (CHUNK_PAGES * Math.min(heapPage, tracePage)));
    if (base === first) return;
    if (exact) {
      const npages = (first - base) / heapPage;
      this.#grow(npages, 0);
      const scavenged = this.#heap.allocRange(base, npages) / heapPage;
      this.counters.released -= scavenged;
      this.#observer?.taken(base / heapPage, npages, scavenged);
      this.counters.peakRetained = npages;
    }
    const npages = (first - base) / tracePage;
    if (this.#inPlace) this.#inPlace.noteBefore(base / tracePage, npages);
    else this.#mark(base / tracePage, npages, BEFORE, 0);
  }

  /** Replays the event that was added, and goes on in place if the heap has put it there. Learns of new page caches. */
  #stayInPlace(inPlace: InPlace, event: number): void {
    const { base, kind, proc } = this.#block as PageTrace;
    const { count, results } = this.#batch;
    this.finish();
    if (count === 0 || kind[event] === SCAVENGE) return;
    const cache = this.#batch.cacheOf(proc[event]);
    if (cache) inPlace.learn(proc[event], cache);
    const [placed] = results;
    if (placed !== base[event]) this.#leavePlace(event, placed);
  }

  /** Goes on with a table after an alloc event that the heap has put at another page. */
  #misplace(event: number, page: number): void {
    const placed = page * this.#geometry.heapPage;
    this.#noteMismatch(event, placed);
    this.#leavePlace(event, placed);
  }

  /**
   * Has a table from now on, with the pages that the trace has in use. Throws if they are too many.
   *
   * @param event the current one
   * @param placed the address where the heap has put its pages, if it has
   */
  #leavePlace(event: number, placed?: number): void {
    const { base, npages: counts } = this.#block as PageTrace;
    const { heapPage, perTracePage } = this.#geometry;
    const inPlace = this.#inPlace as InPlace;
    this.#inPlace = undefined;
    const mapped = this.#mapped.parts(0, this.#mapped.end);
    const misplaced = { base: placed ?? 0, npages: placed === undefined ? 0 : counts[event] };
    for (const { first, npages, isBefore } of inPlace.used(mapped, misplaced)) {
      if (isBefore) this.#mark(first, npages, BEFORE, event);
      else this.#record(first, npages, npages, first, event);
    }
    if (placed === undefined) return;
    this.#record(base[event] * perTracePage, counts[event], counts[event], placed / heapPage, event);
  }

  /** Adds the operation of an alloc event, and marks its pages. Throws if one is in use. */
  #alloc(event: number): void {
    const { base, proc } = this.#block as PageTrace;
    const npages = this.#heapPagesOf(event);
    if (this.#course.recordedPlaces) {
      this.#map(event);
      const number = this.#allocate(event, npages, ~this.#batch.count);
      this.#batch.push(event, Op.allocRange, npages, base[event], 0, number);
    } else {
      this.#place(event, npages, proc[event]);
    }
  }

  /** Returns the pages of the heap that an event needs. Throws if the event alone has more than a replay can hold. */
  #heapPagesOf(event: number): number {
    const { base, npages } = this.#block as PageTrace;
    // The heap would grow before that is found by marking the pages.
    if (npages[event] > PAGES_MAX)
      this.#refuse(event, base[event] / this.#geometry.tracePage, this.#tooLarge());
    return heapPages(this.#geometry, npages[event]);
  }

  /** Adds the operation that allocates pages for an event by first fit, and marks its own. */
  #place(event: number, npages: number, proc: number): void {
    let slot = -1;
    if (this.counters.sys === 0) this.#start(event, npages);
    else if (this.#course.isGo && npages < CACHED_PAGES_LIMIT && proc >= 0) slot = this.#slotOf(proc, event);
    const number = this.#allocate(event, npages, ~this.#batch.count);
    this.#batch.push(event, Op.alloc, npages, slot, 0, number);
  }

  /** Begins the allocation of an event. Returns its number. Throws if one of its recorded pages is in use. */
  #allocate(event: number, npages: number, placed: number): number {
    const { base, npages: counts } = this.#block as PageTrace;
    const first = base[event] * this.#geometry.perTracePage;
    const number = this.#inPlace ? 0 : this.#record(first, counts[event], npages, placed, event);
    this.counters.use(npages);
    return number;
  }

  /**
   * Records an allocation, and marks its pages. Returns its number. Throws if one is in use.
   *
   * @param length recorded pages
   * @param npages pages of the heap
   */
  #record(first: number, length: number, npages: number, placed: number, event: number): number {
    const allocations = this.#allocations;
    const number = allocations.begin();
    allocations.first[number] = first;
    allocations.placed[number] = placed;
    allocations.left[number] = length;
    if (!this.#geometry.exact) allocations.npages[number] = npages;
    this.#mark(first, length, number, event);
    return number;
  }

  /** Marks recorded pages as an allocation's, or as BEFORE. Throws if one is in use. */
  #mark(first: number, npages: number, number: number, event: number): void {
    const pages = this.#pages;
    const end = first + npages;
    for (let page = first; page < end; ) {
      const chunk = Math.floor(page * (1 / CHUNK_PAGES));
      const chunkPage = chunk * CHUNK_PAGES;
      const chunkCell = pages.touch(chunk);
      if (chunkCell < 0) this.#refuse(event, page, this.#tooLarge());
      const { cells } = pages;
      // Integers: page numbers may need more than 32 bits, but a loop over those is slow.
      const stop = (chunkCell + Math.min(CHUNK_PAGES, end - chunkPage)) | 0;
      for (let cell = (chunkCell + (page - chunkPage)) | 0; cell < stop; cell++) {
        // Pages from before the trace are a guess, which the trace may correct.
        if (cells[cell] > 0) this.#refuseTwice(event, chunkPage + cell - chunkCell);
        cells[cell] = number;
      }
      page = chunkPage + CHUNK_PAGES;
    }
  }

  /** Grows an empty heap. A batch cannot, as it has no address to grow from. */
  #start(event: number, npages: number): void {
    this.finish();
    if (this.counters.sys === 0) this.#grow(npages, event);
  }

  /** Returns the index of a P's page cache in the batch. */
  #slotOf(proc: number, event: number): number {
    if (this.#ranBefore && !this.#batch.hasCache(proc)) this.#makeFirstCache(proc, event);
    return this.#batch.slotOf(proc);
  }

  /** Makes the page cache that a P had when the trace began, if the first page that it got shows which one. */
  #makeFirstCache(proc: number, event: number): void {
    const { base } = this.#block as PageTrace;
    const { exact, heapPage } = this.#geometry;
    this.finish();
    if (!exact || this.#mapped.missing(base[event], base[event] + heapPage).length > 0) return;
    const cache = makeFirstCache(this.#heap, base[event]);
    if (cache) this.#batch.setCache(proc, cache);
  }

  /** Adds the operations of a free event: one for each run of pages from the same allocation. */
  #free(event: number): void {
    if (this.#inPlace) this.#leavePlace(event);
    const { base, npages } = this.#block as PageTrace;
    const pages = this.#pages;
    const { cells } = pages;
    const first = base[event] * this.#geometry.perTracePage;
    const end = first + npages[event];
    // The current run: its allocation and its first page.
    let number = 0;
    let start = first;
    for (let page = first; page < end; ) {
      const chunk = Math.floor(page * (1 / CHUNK_PAGES));
      const chunkPage = chunk * CHUNK_PAGES;
      const chunkCell = pages.cellOf(chunk);
      if (chunkCell < 0) this.#refuseUnused(event, page, number, start);
      const stop = (chunkCell + Math.min(CHUNK_PAGES, end - chunkPage)) | 0;
      for (let cell = (chunkCell + (page - chunkPage)) | 0; cell < stop; cell++) {
        const owner = cells[cell];
        if (owner === number && owner !== 0) {
          cells[cell] = 0;
          continue;
        }
        const runEnd = chunkPage + (cell - chunkCell);
        if (owner === 0) this.#refuseUnused(event, runEnd, number, start);
        cells[cell] = 0;
        if (number !== 0) this.#freeRun(event, number, start, runEnd - start);
        number = owner;
        start = runEnd;
      }
      page = chunkPage + CHUNK_PAGES;
    }
    this.#freeRun(event, number, start, end - start);
  }

  /** Adds the operation that frees the heap's pages for recorded ones, all of one allocation. */
  #freeRun(event: number, number: number, page: number, npages: number): void {
    const { exact, scale, tracePage, heapPage } = this.#geometry;
    if (this.#batch.count === BATCH) this.finish();
    if (number === BEFORE) {
      // Larger pages stay: which of the recorded ones they had is not known.
      if (exact) this.#batch.push(event, Op.free, npages * scale, page * tracePage, 0, 0);
      return;
    }
    const allocations = this.#allocations;
    const left = allocations.left[number] - npages;
    const offset = exact ? (page - allocations.first[number]) * scale : 0;
    const freed = exact ? npages * scale : allocations.npages[number];
    const placed = allocations.placed[number];
    allocations.left[number] = left;
    if (left === 0) allocations.end(number);
    else if (!exact) return;
    this.counters.inUse -= freed;
    if (placed < 0) this.#batch.push(event, Op.freeResult, freed, ~placed, offset * heapPage, 0);
    else this.#batch.push(event, Op.free, freed, (placed + offset) * heapPage, 0, 0);
  }

  /**
   * Adds the operation of a scavenge event. Free pages are not tied to an allocation, so the event's own addresses are
   * used. As long as the heap places all as recorded, they are free and unscavenged. After a divergence some may be in
   * use, in a P's cache or past the end of the heap. The heap skips those and releases the rest.
   */
  #scavenge(event: number): void {
    if (!this.#course.scavenge) return;
    const { base, npages } = this.#block as PageTrace;
    const { tracePage, scale } = this.#geometry;
    if (this.#isBeyond(base[event], npages[event] * tracePage)) return;
    this.#batch.push(event, Op.scavengeRange, npages[event] * scale, base[event], 0, 0);
  }

  /** Takes the pages of an exists event, at their place if they are free there. */
  #exists(event: number): void {
    const { base, npages: counts } = this.#block as PageTrace;
    const { exact, heapPage, tracePage } = this.#geometry;
    const npages = this.#heapPagesOf(event);
    this.#ranBefore = true;
    let scavenged = -1;
    if (exact && !this.#isBeyond(base[event], counts[event] * tracePage)) {
      this.#map(event);
      this.finish();
      scavenged = this.#tryTake(base[event], npages);
    }
    if (scavenged < 0) {
      this.#place(event, npages, -1);
    } else {
      this.#allocate(event, npages, base[event] / heapPage);
      this.counters.reuse(scavenged / heapPage);
      this.#observer?.taken(base[event] / heapPage, npages, scavenged / heapPage);
    }
  }

  /**
   * Takes pages of the heap. Returns the bytes of them that had been scavenged; -1 if a page is not free. After a
   * divergence the heap may have given it to another allocation, or to a P's cache.
   */
  #tryTake(base: number, npages: number): number {
    try {
      return this.#heap.allocRange(base, npages);
    } catch (error) {
      if (error instanceof PageAllocError && error.code === "ERR_NOT_FREE") return -1;
      throw error;
    }
  }

  /** Grows or shrinks the heap as a grow or unmap event says. What it cannot do is left out. */
  #changeSize(event: number): void {
    const { base, npages, kind } = this.#block as PageTrace;
    const { exact, tracePage } = this.#geometry;
    const nbytes = npages[event] * tracePage;
    if (!this.#course.recordedGrowth || !exact || this.#isBeyond(base[event], nbytes)) return;
    this.finish();
    if (kind[event] === GROW) this.#mapRange(base[event], base[event] + nbytes, event);
    else this.#unmap(event, nbytes);
  }

  /** Unmaps the pages of an event. Those that the heap has in use, as it has placed allocations elsewhere, stay. */
  #unmap(event: number, nbytes: number): void {
    const { base } = this.#block as PageTrace;
    const { heapPage } = this.#geometry;
    let from = base[event];
    const end = from + nbytes;
    for (const [gap, next] of [...this.#mapped.missing(from, end), [end, end] as const]) {
      if (from < gap) this.#unmapRange(from, gap, heapPage);
      from = next;
    }
    this.#limit = this.#mapped.end || this.#limit;
  }

  #unmapRange(start: number, end: number, heapPage: number): void {
    let unscavenged: number;
    try {
      unscavenged = this.#heap.unmap(start, end - start);
    } catch (error) {
      if (error instanceof PageAllocError && error.code === "ERR_NOT_FREE") return;
      throw error;
    }
    this.#mapped.remove(start, end);
    this.#observer?.unmapped(start / heapPage, (end - start) / heapPage);
    this.counters.sys -= (end - start) / heapPage;
    this.counters.released -= (end - start - unscavenged) / heapPage;
  }

  /** Maps the pages of an event that are not, with the rest of their chunks if nothing of those is mapped. */
  #map(event: number): void {
    const { base, npages } = this.#block as PageTrace;
    const { chunkBytes, tracePage } = this.#geometry;
    const start = base[event];
    const end = start + npages[event] * tracePage;
    const missing = this.#mapped.missing(start, end);
    if (missing.length === 0) return;
    if (this.#isBeyond(start, end - start)) {
      const reason = `the heap's addresses end at ${this.#geometry.limit}; replay the trace by first fit`;
      throw eventError(this.#block as PageTrace, event, this.#before, reason);
    }
    this.finish();
    // Only the first and the last chunk can reach beyond the event.
    const first = start - (start % chunkBytes);
    const last = end - 1 - ((end - 1) % chunkBytes);
    const from = this.#isUnmapped(first) ? first : start;
    const to = this.#isUnmapped(last) ? last + chunkBytes : end;
    this.#mapRange(from, to, event);
  }

  /** Whether nothing of a chunk is mapped. */
  #isUnmapped(chunk: number): boolean {
    const { chunkBytes } = this.#geometry;
    const [gap] = this.#mapped.missing(chunk, chunk + chunkBytes);
    return gap !== undefined && gap[1] - gap[0] === chunkBytes;
  }

  /** Maps the addresses [start, end) that are not, for an event. */
  #mapRange(start: number, end: number, event: number): void {
    for (const [from, to] of this.#mapped.missing(start, end)) this.#growAt(from, to, event);
  }

  /** Maps the addresses [start, end), none of which is, for an event. */
  #growAt(start: number, end: number, event: number): void {
    try {
      this.#heap.grow(start, end - start);
    } catch (error) {
      throw this.#memoryError(error, event);
    }
    this.#noteGrowth(start, end);
  }

  /** Returns the error to throw for one of the heap, at an event. */
  #memoryError(error: unknown, event: number): unknown {
    if (!(error instanceof PageAllocError) || error.code !== "ERR_METADATA_FULL") return error;
    const reason = `the heap cannot hold this trace: ${error.message}`;
    return eventError(this.#block as PageTrace, event, this.#before, reason);
  }

  /** Runs the batch. Its results are accounted for later. */
  #runBatch(): void {
    const batch = this.#batch;
    try {
      batch.run(this.#heap);
    } catch (error) {
      const { failed, events, ops } = batch;
      this.#account(0, failed);
      const event = events[failed];
      this.#checkRoom(ops[failed * OP_NUMBERS + 1], event);
      throw this.#memoryError(error, event);
    }
  }

  /** Counts the results of the operations [from, to). */
  #account(from: number, to: number): void {
    if (from === to) return;
    const { events, numbers, ops, results } = this.#batch;
    const { base, kind, time } = this.#block as PageTrace;
    const { heapPage } = this.#geometry;
    const { counters } = this;
    const { placed } = this.#allocations;
    for (let i = from; i < to; i++) {
      const code = ops[i * OP_NUMBERS];
      if (this.#observer) this.#observer.time = time[events[i]];
      const value = results[i * RESULT_NUMBERS];
      if (code === Op.alloc || code === Op.allocRange) {
        const event = events[i];
        const npages = ops[i * OP_NUMBERS + 1];
        const scavenged = results[i * RESULT_NUMBERS + 1];
        placed[numbers[i]] = value / heapPage;
        // The heap grows only for an allocation that then ends in the new chunks.
        if (value + npages * heapPage > this.#limit) {
          this.#noteGrowth(this.#limit, this.#limit + growthFor(this.#geometry, npages));
        }
        if (scavenged) counters.reuse(scavenged / heapPage);
        this.#observer?.taken(value / heapPage, npages, scavenged / heapPage);
        if (kind[event] !== ALLOC) continue;
        if (value === base[event]) counters.addressMatches++;
        else this.#noteMismatch(event, value);
      } else if (code === Op.scavengeRange) {
        counters.released += value / heapPage;
        counters.scavenged += value / heapPage;
      } else if (this.#observer) {
        this.#observer.freed(this.#batch.placeOf(i) / heapPage, ops[i * OP_NUMBERS + 1]);
      }
    }
  }

  #noteMismatch(event: number, placed: number): void {
    const { base } = this.#block as PageTrace;
    this.firstMismatch ??= { event: this.#before + event, recorded: base[event], placed };
  }

  /** Grows the heap at its top, for a request of so many of its pages. */
  #grow(npages: number, event: number): void {
    this.#checkRoom(npages, event);
    this.#growAt(this.#limit, this.#limit + growthFor(this.#geometry, npages), event);
  }

  /** Counts a growth of the heap. */
  #noteGrowth(start: number, end: number): void {
    this.#mapped.add(start, end);
    this.#limit = Math.max(this.#limit, end);
    const { heapPage } = this.#geometry;
    this.counters.grow((end - start) / heapPage);
    this.#observer?.mapped(start / heapPage, (end - start) / heapPage);
  }

  /** Throws if the address space ends before a growth for so many pages would. */
  #checkRoom(npages: number, event: number): void {
    if (this.#limit + growthFor(this.#geometry, npages) > this.#geometry.limit) {
      const reason = "the heap has reached the end of the address space";
      throw eventError(this.#block as PageTrace, event, this.#before, reason);
    }
  }

  /** Whether the heap cannot have these addresses. */
  #isBeyond(base: number, nbytes: number): boolean {
    return base + nbytes > this.#geometry.limit;
  }

  #tooLarge(): string {
    const most = (PAGES_MAX * this.#geometry.tracePage) / 2 ** 30;
    return `the trace has touched more than ${most} GiB by this event; a replay can hold ${most} GiB`;
  }

  #refuseTwice(event: number, page: number): never {
    this.#refuse(event, page, "it is allocated twice, with no free in between");
  }

  /** Throws the error for a page that is freed but not in use. What the event frees before it is freed first. */
  #refuseUnused(event: number, page: number, number: number, start: number): never {
    if (number !== 0) this.#freeRun(event, number, start, page - start);
    this.#refuse(event, page, "it is freed, but not in use");
  }

  /** Throws the error for a recorded page of an event, or that of an earlier operation in the batch. */
  #refuse(event: number, page: number, reason: string): never {
    this.finish();
    const address = page * this.#geometry.tracePage;
    throw eventError(this.#block as PageTrace, event, this.#before, reason, address);
  }
}
