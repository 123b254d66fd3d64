// Address ranges begin and end at any page. What is left of a chunk is a hole: neither free nor in use, nor to be
// scavenged.
import { describe, expect, it } from "vitest";
import { CHUNK, grownHeap, PAGE, SPACE, touchedHeap } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import { refused } from "../support/refusals.ts";
import type { Subject } from "../support/subject.ts";

/** Ranges with holes before, between and after them, in chunks of which others are whole. */
const RANGES: [base: number, limit: number][] = [
  [CHUNK + 3 * PAGE, CHUNK + 70 * PAGE],
  [CHUNK + 71 * PAGE, CHUNK + 72 * PAGE],
  [CHUNK + 500 * PAGE, 3 * CHUNK + 100 * PAGE],
  [9 * CHUNK + 511 * PAGE, 10 * CHUNK + 1 * PAGE],
];

export function holesSuite(subject: Subject): void {
  describe("holes", () => holeTests(subject));
  describe("unmap", () => unmapTests(subject));
}

function holeTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  const heapOf = (options?: ConstructorParameters<typeof PageAlloc>[0]) => {
    const heap = new PageAlloc(options);
    // From the middle out, so that chunks become whole in more than one step.
    for (const [base, limit] of [RANGES[2], RANGES[0], RANGES[3], RANGES[1]]) heap.grow(base, limit - base);
    return heap;
  };
  const pages = RANGES.reduce((sum, [base, limit]) => sum + (limit - base) / PAGE, 0);

  it("are the pages between grown ranges", () => {
    const heap = heapOf();
    heap.check();
    expect(heap.mappedRanges()).toEqual(RANGES);
    expect(heap.ranges().mapped).toEqual(RANGES);
    expect(heap.stats()).toMatchObject({ sys: pages * PAGE, released: pages * PAGE, free: pages * PAGE });
    expect(heap.bounds()).toEqual({ start: 1, end: 11 });
    expect(heap.scavAddr).toBe(10 * CHUNK + PAGE - 1);
  });

  it("are never allocated or crossed", () => {
    const heap = heapOf();
    expect(heap.alloc(68)).toBe(CHUNK + 500 * PAGE);
    expect(heap.alloc(67)).toBe(CHUNK + 3 * PAGE);
    expect(heap.searchAddr).toBe(CHUNK + 71 * PAGE);
    expect(heap.alloc(1)).toBe(CHUNK + 71 * PAGE);
    expect(heap.alloc(3)).toBe(CHUNK + 568 * PAGE);
    let taken = 68 + 67 + 1 + 3;
    while (heap.alloc(1) >= 0) taken++;
    expect(taken).toBe(pages);
    expect(heap.stats()).toMatchObject({ inUse: pages * PAGE, free: 0, released: 0 });
    heap.check();
  });

  it("are respected by free, allocRange, grow and chunk", () => {
    const heap = heapOf();
    heap.allocRange(CHUNK + 500 * PAGE, 12 + 512);
    const before = heap.snapshot();
    const calls: [string, string, () => unknown][] = [
      ["free of a hole", "ERR_NOT_MAPPED", () => heap.free(CHUNK, 1)],
      ["free that begins in a hole", "ERR_NOT_MAPPED", () => heap.free(CHUNK + 499 * PAGE, 2)],
      ["free of a free page", "ERR_NOT_ALLOCATED", () => heap.free(CHUNK + 3 * PAGE, 1)],
      ["allocRange of a hole", "ERR_NOT_MAPPED", () => heap.allocRange(CHUNK + 70 * PAGE, 1)],
      ["allocRange across a hole", "ERR_NOT_MAPPED", () => heap.allocRange(CHUNK + 60 * PAGE, 12)],
      ["growth over a page", "ERR_OVERLAP", () => heap.grow(CHUNK + 70 * PAGE, 2 * PAGE)],
      [
        "a cache of a hole",
        "ERR_NOT_MAPPED",
        () => new palloc.PageCache(heap, { base: CHUNK, cache: 1n, scav: 0n }),
      ],
    ];
    for (const [name, code, call] of calls) expect(call, name).toThrow(expect.objectContaining({ code }));
    expect(heap.snapshot()).toEqual(before);
    heap.check();
  });

  it("can be grown over, and are ordinary pages then", () => {
    const heap = heapOf();
    const base = heap.alloc(67);
    heap.grow(CHUNK + 70 * PAGE, PAGE);
    heap.grow(CHUNK, 3 * PAGE);
    heap.grow(CHUNK + 72 * PAGE, 428 * PAGE);
    heap.check();
    expect(heap.mappedRanges()).toEqual([[CHUNK, 3 * CHUNK + 100 * PAGE], RANGES[3]]);
    expect(heap.alloc(441)).toBe(CHUNK + 70 * PAGE);
    expect(heap.alloc(3)).toBe(CHUNK);
    heap.free(base, 67);
    heap.check();
  });

  it("are never scavenged, whatever is around them", () => {
    const heap = heapOf({ physHugePageSize: 0 });
    const taken: [number, number][] = RANGES.map(([base, limit]) => [base, (limit - base) / PAGE]);
    for (const [base, npages] of taken) heap.allocRange(base, npages);
    for (const [base, npages] of taken) heap.free(base, npages);
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(pages * PAGE);
    expect(heap.scavenge()).toBe(0);
    expect(heap.scavengeRange(0, 11 * 512)).toBe(0);
    expect(heap.stats()).toMatchObject({ released: pages * PAGE, scavengedTotal: pages * PAGE });
    heap.check();
  });

  it("are never in page caches", () => {
    const heap = heapOf();
    const cache = heap.allocToCache();
    expect([cache.base, cache.cache]).toEqual([CHUNK, (2n ** 61n - 1n) << 3n]);
    heap.check();
    expect(cache.alloc(61)).toBe(CHUNK + 3 * PAGE);
    expect(cache.refill()).toBe(true);
    expect([cache.base, cache.cache]).toEqual([CHUNK + 64 * PAGE, 0b10111111n]);
    cache.flush();
    heap.check();
    expect(heap.mappedRanges()).toEqual(RANGES);
  });

  it("survive a snapshot, a description and a recovery", () => {
    const heap = heapOf();
    heap.alloc(5);
    heap.allocToCache();
    const copy = PageAlloc.restore(heap.snapshot());
    copy.check();
    expect(copy.mappedRanges()).toEqual(RANGES);
    expect(copy.stats().inUse).toBe(5 * PAGE);
    const described = PageAlloc.from(copy.ranges());
    described.check();
    expect(described.ranges()).toEqual(copy.ranges());
    expect(() => PageAlloc.from({ alloc: { 1: [[0, 9]] }, mapped: RANGES })).toThrow(RangeError);
    expect(() => PageAlloc.from({ alloc: { 5: [] }, mapped: RANGES })).toThrow(RangeError);
    expect(() => PageAlloc.from({ alloc: {}, mapped: [[PAGE, 2 * PAGE - 1]] })).toThrow(/must be a multiple/);
    expect(() => PageAlloc.from({ alloc: {}, mapped: [[PAGE, PAGE]] })).toThrow(RangeError);
    expect(() => PageAlloc.from({ alloc: {}, mapped: [...RANGES, RANGES[0]] })).toThrow(RangeError);
  });
}

function unmapTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;
  const scattered = [0, 1, 2, 9, 64, 700, 40_000];
  /** Chunks that are free and unscavenged, in several leaves. */
  const heapOf = (options?: ConstructorParameters<typeof PageAlloc>[0]) =>
    touchedHeap(palloc, scattered, options);

  it("makes holes, as if these pages had never been mapped", () => {
    const heap = heapOf();
    heap.scavengeRange(CHUNK + 10 * PAGE, 5);
    expect(heap.unmap(CHUNK + 3 * PAGE, 20 * PAGE)).toBe(15 * PAGE);
    expect(heap.unmap(9 * CHUNK, CHUNK)).toBe(CHUNK);
    heap.check();
    const mapped = [
      [0, CHUNK + 3 * PAGE],
      [CHUNK + 23 * PAGE, 3 * CHUNK],
      ...[64, 700, 40_000].map((chunk) => [chunk * CHUNK, (chunk + 1) * CHUNK]),
    ];
    expect(heap.mappedRanges()).toEqual(mapped);
    expect(heap.stats()).toMatchObject({ sys: (7 * PAGES - 20 - PAGES) * PAGE, released: 0, inUse: 0 });
    expect(() => heap.chunk(9)).toThrow(expect.objectContaining({ code: "ERR_NOT_MAPPED" }));
    expect(heap.alloc(PAGES + 4)).toBe(CHUNK + 23 * PAGE);
    expect(heap.alloc(PAGES + 4)).toBe(-1);
    heap.grow(9 * CHUNK, CHUNK);
    heap.grow(CHUNK + 3 * PAGE, 20 * PAGE);
    heap.check();
    expect(heap.stats()).toMatchObject({ sys: 7 * CHUNK, released: (20 + PAGES) * PAGE });
    expect(heap.alloc(PAGES + 23)).toBe(0);
  });

  it("takes pages over chunk borders, and moves bounds, scavAddr and searchAddr", () => {
    const heap = heapOf();
    expect(heap.unmap(40_000 * CHUNK + 7 * PAGE, CHUNK - 7 * PAGE)).toBe(CHUNK - 7 * PAGE);
    expect(heap.bounds()).toEqual({ start: 0, end: 40_001 });
    expect(heap.scavAddr).toBe(40_000 * CHUNK + 7 * PAGE - 1);
    heap.unmap(40_000 * CHUNK, 7 * PAGE);
    expect([heap.bounds(), heap.scavAddr]).toEqual([{ start: 0, end: 701 }, 701 * CHUNK - 1]);
    heap.unmap(0, CHUNK + 9 * PAGE);
    expect([heap.bounds(), heap.searchAddr]).toEqual([{ start: 1, end: 701 }, CHUNK + 9 * PAGE]);
    heap.allocRange(CHUNK + 9 * PAGE, 2 * PAGES - 9);
    heap.unmap(9 * CHUNK, CHUNK);
    heap.unmap(64 * CHUNK, CHUNK);
    heap.check();
    expect([heap.searchAddr, heap.longestFree()]).toEqual([700 * CHUNK, PAGES]);
    heap.unmap(700 * CHUNK, CHUNK);
    heap.check();
    expect([heap.searchAddr, heap.longestFree(), heap.alloc(1)]).toEqual([SPACE, 0, -1]);
    expect(heap.scavenge()).toBe(0);
  });

  it("takes all pages, and the heap is as empty as a new one", () => {
    const heap = heapOf();
    for (const chunk of scattered) heap.unmap(chunk * CHUNK, CHUNK);
    heap.check();
    expect([heap.bounds(), heap.mappedRanges(), heap.scavAddr]).toEqual([{ start: 0, end: 0 }, [], -1]);
    expect([heap.searchAddr, heap.alloc(1), heap.scavenge(), heap.longestFree()]).toEqual([SPACE, -1, 0, 0]);
    expect([...heap.freeRuns()]).toEqual([]);
    expect(heap.alloc(1, { align: 2 })).toBe(-1);
    const copy = PageAlloc.restore(heap.snapshot());
    for (const each of [heap, copy]) {
      each.grow(123_456 * CHUNK, 3 * CHUNK);
      each.check();
      expect(each.alloc(3 * PAGES)).toBe(123_456 * CHUNK);
      expect(each.scavAddr).toBe(123_459 * CHUNK - 1);
    }
  });

  it("refuses pages that are not mapped or not free, and changes nothing", () => {
    const heap = heapOf();
    heap.alloc(3);
    const cache = heap.allocToCache();
    const before = heap.snapshot();
    const calls: [base: number, nbytes: number, code: string, names: string][] = [
      [2 * CHUNK, 2 * CHUNK, "ERR_NOT_MAPPED", `the page at ${3 * CHUNK} is not mapped`],
      [5 * CHUNK, PAGE, "ERR_NOT_MAPPED", `the page at ${5 * CHUNK} is not mapped`],
      [SPACE - PAGE, PAGE, "ERR_NOT_MAPPED", `the page at ${SPACE - PAGE} is not mapped`],
      [0, SPACE, "ERR_NOT_FREE", "the page at 0 is in use"],
      [2 * PAGE, 9 * PAGE, "ERR_NOT_FREE", `the page at ${2 * PAGE} is in use`],
      [63 * PAGE, 9 * PAGE, "ERR_NOT_FREE", `the page at ${63 * PAGE} is in use`],
      [1, PAGE, "ERR_MISALIGNED", "base must be a multiple of 8192"],
      [CHUNK, PAGE + 1, "ERR_MISALIGNED", "nbytes must be a multiple of 8192"],
    ];
    for (const [base, nbytes, error, name] of calls)
      refused(() => heap.unmap(base, nbytes), { error, names: [name] }, `${base}, ${nbytes}`);
    expect(heap.snapshot()).toEqual(before);
    cache.flush();
    expect(heap.unmap(3 * PAGE, CHUNK)).toBe(CHUNK);
    refused(() => heap.unmap(3 * PAGE, PAGE), { error: "ERR_NOT_MAPPED", names: [] }, "twice");
    heap.check();
  });

  it("bookkeeping is reused: it does not grow while a heap moves through its address space", () => {
    const heap = grownHeap(palloc, []);
    const window = 20;
    heap.grow(0, window * CHUNK);
    for (let chunk = window; chunk < 5000; chunk += 7) {
      heap.grow(chunk * CHUNK, 7 * CHUNK);
      heap.unmap((chunk - window) * CHUNK, 7 * CHUNK);
    }
    heap.check();
    // The window lies over 5 leaves at the most. Without reuse there would be 625.
    expect(heap.stats().metadata).toBeLessThan(12 * 1024);
    expect(heap.bounds().end - heap.bounds().start).toBe(window);
  });

  it("calls unused for a range with more scavenged runs than a call can have arguments", () => {
    const calls: number[] = [];
    const heap = new PageAlloc({ sys: { unused: (_, nbytes) => void calls.push(nbytes) } });
    heap.grow(0, 200_000 * CHUNK);
    heap.allocRange(100 * CHUNK, 1);
    heap.free(100 * CHUNK, 1);
    expect(heap.unmap(0, 200_000 * CHUNK)).toBe(PAGE);
    expect(calls).toEqual([PAGE]);
    heap.check();
  });

  it("a grow finds room for nodes, however many leaves are free", () => {
    const heap = grownHeap(palloc, []);
    heap.grow(0, 1024 * CHUNK);
    // One leaf in eight stays, so that the nodes above do.
    for (let chunk = 0; chunk < 1024; chunk += 64) heap.unmap((chunk + 8) * CHUNK, 56 * CHUNK);
    for (let border = 2048; border < 4096; border += 64) {
      heap.grow((border - 2) * CHUNK, CHUNK);
      // Over two leaves: the lower is there, and the upper one needs a node above it.
      heap.grow((border - 1) * CHUNK, 2 * CHUNK);
      heap.check();
    }
  });

  it("a view of a chunk throws once the chunk is unmapped, wherever its node is by then", () => {
    const heap = heapOf();
    const view = heap.chunk(9);
    heap.unmap(9 * CHUNK, CHUNK);
    heap.grow(50_000 * CHUNK, CHUNK);
    const refusal = { error: "ERR_NOT_MAPPED", names: ["chunk 9 is not mapped"] };
    refused(() => view.alloc.get(0), refusal, "get");
    heap.grow(9 * CHUNK, CHUNK);
    heap.allocRange(9 * CHUNK, 3);
    expect(view.alloc.popcntRange(0, PAGES)).toBe(3);
  });

  it("page caches that are used up can be refilled or flushed after their pages are unmapped", () => {
    const heap = heapOf();
    const caches = [heap.allocToCache(), heap.allocToCache()];
    expect(caches.map((cache) => cache.alloc(64))).toEqual([0, 64 * PAGE]);
    heap.free(0, 128);
    heap.unmap(0, 3 * CHUNK);
    heap.check();
    heap.grow(50_000 * CHUNK, CHUNK);
    heap.unmap(9 * CHUNK, CHUNK);
    heap.grow(60_000 * CHUNK, 20 * CHUNK);
    heap.check();
    expect(caches[0].refill()).toBe(true);
    expect(caches[0].base).toBe(64 * CHUNK);
    caches[1].flush();
    caches[0].flush();
    heap.check();
    expect(PageAlloc.restore(heap.snapshot()).ranges()).toEqual(heap.ranges());
  });
}
