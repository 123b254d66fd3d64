// Where the design's origin was wrong, and what holds here: each of these fails on the origin's code. (What the
// origin got wrong about a reset during a walk needs a second thread, or a test from inside: see
// other-threads.test.ts.)
import { describe, expect, it } from "vitest";
import { CHUNK, grownHeap, PAGE, touchedHeap } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import type { PageAlloc, Subject } from "../support/subject.ts";

export function correctionsSuite(subject: Subject): void {
  describe("corrections of Go's behaviour", () => {
    scavengerTests(subject);
    growthTests(subject);
    refusalTests(subject);
  });
}

function scavengerTests({ palloc }: Subject): void {
  const { PageAlloc, PallocData } = palloc;

  it("max is rounded up to a multiple of min", () => {
    const data = new PallocData();
    expect(data.findScavengeCandidate(PAGES - 1, 4, 6)).toEqual({ start: 504, npages: 8 });
    for (const min of [2, 4, 8, 16, 32, 64]) {
      for (let max = 1; max <= PAGES; max++) {
        const { start, npages } = data.findScavengeCandidate(PAGES - 1, min, max);
        expect([start % min, npages]).toEqual([0, Math.ceil(max / min) * min]);
      }
    }
    const heap = touchedHeap(palloc, [1], { physPageSize: 16 * PAGE, physHugePageSize: 0 });
    expect(heap.scavengeOne(17 * PAGE)).toBe(32 * PAGE);
    expect(heap.scavAddr).toBe(2 * CHUNK - 32 * PAGE - 1);
  });

  it("a hole is never a candidate, even if scavAddr lies in it", () => {
    const heap = touchedHeap(palloc, [1, 4]);
    expect(heap.scavengeOne()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(4 * CHUNK - 1);
    expect(heap.scavengeOne()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(CHUNK - 1);
    expect(heap.scavengeOne()).toBe(0);
    expect(heap.ranges().scavenged).toEqual({ 1: [[0, PAGES]], 4: [[0, PAGES]] });
    heap.check();
  });

  it("a hole is never a candidate, whatever else is in its subtree", () => {
    const chunks = [0, 2, 3, 9, 80, 700, 60000];
    const heap = touchedHeap(palloc, chunks);
    expect(heap.scavenge()).toBe(chunks.length * CHUNK);
    expect(heap.stats().released).toBe(chunks.length * CHUNK);
    heap.check();
  });

  it("the walk ends on a heap that starts at chunk 0", () => {
    const heap = PageAlloc.from({ alloc: { 0: [[0, PAGES]], 1: [[0, PAGES]], 3: [] } });
    expect(heap.scavenge()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(-1);
    expect(heap.scavengeOne()).toBe(0);
    const free = touchedHeap(palloc, [0]);
    expect(free.scavenge()).toBe(CHUNK);
    expect(free.scavAddr).toBe(-1);
    expect(free.scavenge()).toBe(0);
  });
}

function growthTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it.each([
    ["starts within a chunk", 300, 212],
    ["ends within a chunk", 0, 1192],
    ["is a page on each side of a border", 511, 2],
    ["is one page", 17, 1],
    ["starts and ends within chunks", 511, 3 * PAGES],
    ["is the last page of a chunk", 511, 1],
  ])("growth maps exactly its range if it %s", (_, first, npages) => {
    const heap = new PageAlloc();
    const base = 10 * CHUNK + first * PAGE;
    heap.grow(base, npages * PAGE);
    heap.check();
    expect(heap.mappedRanges()).toEqual([[base, base + npages * PAGE]]);
    expect(heap.stats()).toMatchObject({ sys: npages * PAGE, released: npages * PAGE });
    expect(heap.scavAddr).toBe(base + npages * PAGE - 1);
    expect(heap.searchAddr).toBe(base);
    expect(heap.alloc(npages + 1)).toBe(-1);
    expect(heap.alloc(npages)).toBe(base);
    expect(heap.alloc(1)).toBe(-1);
    heap.check();
  });
}

function refusalTests({ palloc }: Subject): void {
  it.each<[string, (heap: PageAlloc) => unknown, object]>([
    ["growth by nothing", (heap) => heap.grow(0, 0), RangeError],
    ["an allocation of nothing", (heap) => heap.alloc(0), RangeError],
    ["an exact allocation of nothing", (heap) => heap.allocRange(5 * CHUNK, 0), RangeError],
    ["a free of nothing", (heap) => heap.free(5 * CHUNK, 0), RangeError],
    ["a double free", (heap) => heap.free(5 * CHUNK + 8 * PAGE, 1), { code: "ERR_NOT_ALLOCATED" }],
    ["a free that is half a double free", (heap) => heap.free(5 * CHUNK, 11), { code: "ERR_NOT_ALLOCATED" }],
    ["overlapping growth", (heap) => heap.grow(5 * CHUNK, CHUNK), { code: "ERR_OVERLAP" }],
    ["growth over a last page", (heap) => heap.grow(6 * CHUNK - PAGE, 2 * PAGE), { code: "ERR_OVERLAP" }],
    ["growth from within a page", (heap) => heap.grow(6 * CHUNK + 1, PAGE), { code: "ERR_MISALIGNED" }],
    ["growth by parts of a page", (heap) => heap.grow(6 * CHUNK, PAGE + 1), { code: "ERR_MISALIGNED" }],
  ])("%s throws and changes nothing", (_, call, error) => {
    const heap = grownHeap(palloc, [5]);
    heap.alloc(10);
    heap.free(5 * CHUNK + 8 * PAGE, 1);
    const before = heap.snapshot();
    expect(() => call(heap)).toThrow(typeof error === "function" ? error : expect.objectContaining(error));
    expect(heap.snapshot()).toEqual(before);
  });
}
