// Page caches: what they take, how they serve, what they give back.
import { describe, expect, it } from "vitest";
import { bitsOf, CHUNK, grownHeap, PAGE, touchedHeap } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import type { Subject } from "../support/subject.ts";

const ALL = 2n ** 64n - 1n;

export function cachesSuite(subject: Subject): void {
  describe("page caches", () => {
    serveTests(subject);
    flushTests(subject);
    ownershipTests(subject);
  });
}

function serveTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("allocToCache takes all free pages of the first block with a free page, with their scavenged bits", () => {
    const alloc = {
      1: [
        [0, 130],
        [140, 10],
      ] as const,
    };
    const heap = PageAlloc.from({
      alloc,
      scavenged: {
        1: [
          [135, 2],
          [185, 20],
        ],
      },
    });
    const cache = heap.allocToCache();
    expect(cache.base).toBe(CHUNK + 128 * PAGE);
    expect(cache.cache).toBe(ALL & ~0b11n & ~(0x3ffn << 12n));
    expect(cache.scav).toBe((0b11n << 7n) | (0x7fn << 57n));
    expect(cache.empty).toBe(false);
    expect(bitsOf(heap)).toEqual({ alloc: { 1: [[0, 192]] }, scavenged: { 1: [[192, 13]] } });
    expect(heap.alloc(1)).toBe(CHUNK + 192 * PAGE);
    heap.check();
  });

  it("alloc is first fit in the cache's 64 bits and leaves the heap's bits alone", () => {
    const heap = PageAlloc.from({
      alloc: {
        0: [
          [1, 1],
          [4, 2],
        ],
      },
      scavenged: {
        0: [
          [2, 1],
          [6, 3],
        ],
      },
    });
    const cache = heap.allocToCache();
    const before = heap.ranges();
    const calls = [2, 1, 1, 3, 55, 1].map((n) => [cache.alloc(n), cache.lastAllocScavenged]);
    expect(calls.slice(0, 4)).toEqual([
      [2 * PAGE, PAGE],
      [0, 0],
      [6 * PAGE, PAGE],
      [7 * PAGE, 2 * PAGE],
    ]);
    expect(calls[4][0]).toBe(-1);
    expect(calls[5]).toEqual([10 * PAGE, 0]);
    expect(heap.ranges()).toEqual(before);
  });

  it("alloc returns every page once, then -1", () => {
    const cache = grownHeap(palloc, [2]).allocToCache();
    const got = Array.from({ length: 64 }, () => [cache.alloc(1), cache.lastAllocScavenged]);
    expect(got).toEqual(Array.from({ length: 64 }, (_, i) => [2 * CHUNK + i * PAGE, PAGE]));
    expect([cache.empty, cache.cache, cache.scav]).toEqual([true, 0n, 0n]);
    expect(cache.alloc(1)).toBe(-1);
  });

  it("alloc can take all 64 pages at once", () => {
    const cache = grownHeap(palloc, [2]).allocToCache();
    expect(cache.alloc(64)).toBe(2 * CHUNK);
    expect(cache.lastAllocScavenged).toBe(64 * PAGE);
    expect(cache.empty).toBe(true);
  });
}

function flushTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("flush frees the remaining pages, with their scavenged bits", () => {
    const heap = PageAlloc.from({ alloc: { 1: [[0, 70]] }, scavenged: { 1: [[72, 100]] } });
    const cache = heap.allocToCache();
    expect(cache.alloc(3)).toBe(CHUNK + 70 * PAGE);
    cache.flush();
    expect(bitsOf(heap)).toEqual({ alloc: { 1: [[0, 73]] }, scavenged: { 1: [[73, 99]] } });
    expect([cache.empty, cache.cache, cache.scav, cache.alloc(1)]).toEqual([true, 0n, 0n, -1]);
    expect(heap.searchAddr).toBe(CHUNK + 73 * PAGE);
    expect(heap.alloc(1)).toBe(CHUNK + 73 * PAGE);
    heap.check();
  });

  it("flush does nothing the second time, or on an empty cache", () => {
    const heap = touchedHeap(palloc, [1]);
    const cache = heap.allocToCache();
    cache.flush();
    const drained = heap.allocToCache();
    drained.alloc(64);
    const before = [heap.ranges(), heap.stats()];
    cache.flush();
    drained.flush();
    drained.flush();
    expect([heap.ranges(), heap.stats()]).toEqual(before);
  });
}

function ownershipTests({ palloc }: Subject): void {
  const { PageAlloc, PageCache } = palloc;

  it("caches of one heap own different pages, and allocated pages are freed to the heap", () => {
    const heap = touchedHeap(palloc, [1]);
    const [first, second] = [heap.allocToCache(), heap.allocToCache()];
    expect([first.base, second.base]).toEqual([CHUNK, CHUNK + 64 * PAGE]);
    heap.free(first.alloc(5), 5);
    expect(heap.alloc(5)).toBe(CHUNK);
    expect(heap.allocToCache().base).toBe(CHUNK + 128 * PAGE);
    heap.check();
  });

  it("a cache of an exhausted heap is empty", () => {
    const heap = PageAlloc.from({ alloc: { 1: [[0, PAGES]] } });
    const cache = heap.allocToCache();
    expect([cache.base, cache.empty, cache.cache, cache.scav]).toEqual([-1, true, 0n, 0n]);
    expect(cache.alloc(1)).toBe(-1);
    cache.flush();
    expect(heap.stats()).toMatchObject({ allocs: 0, frees: 0 });
  });

  it("a cache can own the last block of the heap", () => {
    const heap = PageAlloc.from({ alloc: { 1: [[0, PAGES - 1]] } });
    const cache = heap.allocToCache();
    expect([cache.base, cache.cache]).toEqual([CHUNK + 448 * PAGE, 1n << 63n]);
    expect(cache.alloc(1)).toBe(CHUNK + 511 * PAGE);
    expect(heap.alloc(1)).toBe(-1);
  });

  it("stats count a cache's pages as in use", () => {
    const heap = grownHeap(palloc, [1]);
    const cache = heap.allocToCache();
    expect(heap.stats()).toMatchObject({
      inUse: 64 * PAGE,
      released: 448 * PAGE,
      retained: 64 * PAGE,
      allocs: 1,
    });
    cache.alloc(4);
    expect(heap.stats()).toMatchObject({ inUse: 64 * PAGE, allocs: 1, frees: 0 });
    cache.flush();
    expect(heap.stats()).toMatchObject({
      inUse: 4 * PAGE,
      released: 508 * PAGE,
      retained: 4 * PAGE,
      frees: 1,
    });
  });

  it("a cache's pages are not scavenged", () => {
    const heap = touchedHeap(palloc, [1]);
    const cache = heap.allocToCache();
    expect(heap.scavenge()).toBe(448 * PAGE);
    cache.flush();
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(64 * PAGE);
    heap.check();
  });

  it("flush detects a cache's pages that were freed in the bitmap", () => {
    const heap = touchedHeap(palloc, [1]);
    const cache = heap.allocToCache();
    heap.chunk(1).freeRange(3, 1);
    const before = heap.snapshot();
    expect(() => cache.flush()).toThrow(expect.objectContaining({ code: "ERR_NOT_ALLOCATED" }));
    expect(heap.snapshot()).toEqual(before);
  });

  it("a cache can be constructed from pages in use", () => {
    const heap = PageAlloc.from({ alloc: { 1: [[0, PAGES]] } });
    const cache = new PageCache(heap, { base: CHUNK + 64 * PAGE, cache: 0b110110n, scav: 0b010010n });
    expect(cache.alloc(3)).toBe(-1);
    expect(cache.alloc(2)).toBe(CHUNK + 65 * PAGE);
    expect(cache.lastAllocScavenged).toBe(PAGE);
    cache.flush();
    expect(bitsOf(heap)).toEqual({
      alloc: {
        1: [
          [0, 68],
          [70, 442],
        ],
      },
      scavenged: { 1: [[68, 1]] },
    });
    heap.check();
  });
}
