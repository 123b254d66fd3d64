// A heap as a recorded Go program used it: its Ps have page caches, and it grows when it is full.

import { CHUNK, PAGE } from "./heaps.ts";
import type { PageAlloc, PageCache } from "./subject.ts";

/** Requests of fewer pages are served from page caches. */
const CACHED_BELOW = 16;

/** Allocates for the Ps of a program, as Go does. */
export class ProgramHeap {
  readonly #heap: PageAlloc;
  readonly #caches = new Map<number, PageCache>();

  /** Maps the chunk of `base`, where the first allocation is to be, and takes the pages below that. */
  constructor(heap: PageAlloc, base: number) {
    this.#heap = heap;
    const from = base - (base % CHUNK);
    heap.grow(from, CHUNK);
    if (base > from) heap.alloc((base - from) / PAGE);
  }

  /** Allocates for a P; -1 for none. Returns the address. */
  alloc(npages: number, proc: number): number {
    const cached = npages < CACHED_BELOW && proc >= 0 ? this.#cacheOf(proc).alloc(npages) : -1;
    if (cached !== -1) return cached;
    const found = this.#heap.alloc(npages);
    if (found !== -1) return found;
    this.#grow(npages);
    return this.#heap.alloc(npages);
  }

  /** The cache of a P, with pages. */
  #cacheOf(proc: number): PageCache {
    const cache = this.#caches.get(proc) ?? this.#heap.allocToCache();
    this.#caches.set(proc, cache);
    if (!cache.refill()) {
      this.#grow(1);
      cache.refill();
    }
    return cache;
  }

  /** Grows upward by a request, rounded up to whole chunks. */
  #grow(npages: number): void {
    const { end } = this.#heap.bounds();
    this.#heap.grow(end * CHUNK, Math.ceil((npages * PAGE) / CHUNK) * CHUNK);
  }
}
