// Address ranges begin and end at any page. What is left of a chunk is a hole: neither free nor in use, nor to be
// scavenged.
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE } from "../support/heaps.ts";
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
