// What heaps take of linear memory, and that they give it back.
import { describe, expect, it } from "vitest";
import { CHUNK, grownHeap, PAGE, SPACE } from "../support/heaps.ts";
import type { PageAlloc, Subject } from "../support/subject.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

export function memorySuite(subject: Subject): void {
  describe("metadata", () => metadataTests(subject));
  describe("many heaps in one memory", () => manyHeapsTests(subject));
  describe("dispose", () => disposeTests(subject));
}

/** Bytes of the memory that all heaps of the engine share. */
const engineBytes = (heap: PageAlloc) => heap.chunk(heap.bounds().start).alloc.words.buffer.byteLength;

function metadataTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("a heap with one chunk takes at most 64 KiB", () => {
    expect(grownHeap(palloc, [0xc000]).stats().metadata).toBeLessThanOrEqual(64 * KIB);
  });

  it("two chunks at opposite ends of the 48-bit space take at most 256 KiB", () => {
    const heap = grownHeap(palloc, [0, SPACE / CHUNK - 1]);
    expect(heap.stats().metadata).toBeLessThanOrEqual(256 * KIB);
    heap.check();
  });

  it("1 TiB in one piece takes at most 15% more than its bitmaps", () => {
    const chunks = 2 ** 40 / CHUNK;
    using heap = new PageAlloc();
    heap.grow(0, 2 ** 40);
    expect(heap.stats()).toMatchObject({ sys: 2 ** 40, released: 2 ** 40 });
    expect(heap.stats().metadata).toBeLessThanOrEqual(chunks * 128 * 1.15);
    expect(heap.stats().metadata).toBeGreaterThanOrEqual(32 * MIB);
    expect(heap.alloc(2 ** 40 / PAGE)).toBe(0);
    expect(heap.alloc(1)).toBe(-1);
    heap.free(2 ** 40 - PAGE, 1);
    expect(heap.alloc(1)).toBe(2 ** 40 - PAGE);
  });

  it("stats count metadata added by growth", () => {
    const heap = grownHeap(palloc, [5]);
    const before = heap.stats().metadata;
    heap.grow(600 * CHUNK, 1000 * CHUNK);
    expect(heap.stats().metadata).toBeGreaterThanOrEqual(before + 1000 * 128);
    heap.check();
  });
}

function manyHeapsTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("2,000 heaps can be disposed and made again in the same memory", () => {
    const round = () => Array.from({ length: 2000 }, (_, i) => grownHeap(palloc, [i, i + 100]));
    const first = round();
    first.forEach((heap, i) => {
      expect(heap.alloc(i + 1)).toBe(i + 1 <= 512 ? i * CHUNK : -1);
    });
    first[1234].check();
    const bytes = engineBytes(first[0]);
    for (const heap of first) heap.dispose();
    const second = round();
    expect(engineBytes(second[1999])).toBe(bytes);
    for (const heap of second) heap.dispose();
  });

  it("heaps whose sizes change do not take more memory each round", () => {
    let bytes = 0;
    for (let round = 0; round < 12; round++) {
      const heaps = Array.from({ length: 20 }, (_, i) => {
        const heap = new PageAlloc();
        heap.grow(0, (1 + ((i * 7 + round * 3) % 40)) * 10 * CHUNK);
        return heap;
      });
      if (round === 5) bytes = engineBytes(heaps[0]);
      if (round > 5) expect(engineBytes(heaps[0])).toBeLessThanOrEqual(bytes * 1.1);
      for (const heap of heaps) heap.dispose();
    }
  });

  it("growing one leaves the others unchanged", () => {
    const heaps = Array.from({ length: 30 }, () => grownHeap(palloc, [1]));
    const views = heaps.map((heap) => heap.chunk(1));
    const before = heaps.map((heap) => heap.snapshot());
    const large = grownHeap(palloc, [1]);
    large.grow(1000 * CHUNK, 50_000 * CHUNK);
    large.alloc(10_000);
    expect(heaps.map((heap) => heap.snapshot())).toEqual(before);
    heaps[7].alloc(3);
    expect(views[7].alloc.popcntRange(0, 512)).toBe(3);
    large.dispose();
    for (const heap of heaps) heap.dispose();
  });

  it("memory of a disposed heap is cleared before reuse", () => {
    const dead = grownHeap(palloc, [1, 2, 3]);
    dead.alloc(1000);
    const fresh = new PageAlloc();
    const want = fresh.snapshot();
    dead.dispose();
    expect(new PageAlloc().snapshot()).toEqual(want);
    const regrown = grownHeap(palloc, [1, 2, 3]);
    expect(regrown.ranges().alloc).toEqual({ 1: [], 2: [], 3: [] });
    regrown.check();
  });
}

function disposeTests({ palloc }: Subject): void {
  const disposed = expect.objectContaining({ code: "ERR_DISPOSED" });

  it("makes every later call throw ERR_DISPOSED", () => {
    const heap = grownHeap(palloc, [1]);
    const cache = heap.allocToCache();
    const chunk = heap.chunk(1);
    heap.dispose();
    const calls: Record<string, () => unknown> = {
      grow: () => heap.grow(0, PAGE),
      alloc: () => heap.alloc(1),
      allocRange: () => heap.allocRange(CHUNK, 1),
      free: () => heap.free(CHUNK, 1),
      scavengeRange: () => heap.scavengeRange(CHUNK, 1),
      scavenge: () => heap.scavenge(),
      scavengeOne: () => heap.scavengeOne(),
      resetScavengeAddr: () => heap.resetScavengeAddr(),
      scavAddr: () => heap.scavAddr,
      searchAddr: () => heap.searchAddr,
      allocToCache: () => heap.allocToCache(),
      bounds: () => heap.bounds(),
      mappedRanges: () => heap.mappedRanges(),
      chunk: () => heap.chunk(1),
      ranges: () => heap.ranges(),
      stats: () => heap.stats(),
      check: () => heap.check(),
      snapshot: () => heap.snapshot(),
      "cache.alloc": () => cache.alloc(1),
      "cache.flush": () => cache.flush(),
      "cache.base": () => cache.base,
      "cache.cache": () => cache.cache,
      "cache.scav": () => cache.scav,
      "cache.empty": () => cache.empty,
      "chunk.find": () => chunk.find(1, 0),
      "chunk.summarize": () => chunk.summarize(),
      "chunk.allocRange": () => chunk.allocRange(0, 1),
      "chunk.alloc.get": () => chunk.alloc.get(0),
      "chunk.alloc.words": () => chunk.alloc.words,
    };
    for (const [name, call] of Object.entries(calls)) expect(call, name).toThrow(disposed);
  });

  it("makes every later promise reject with ERR_DISPOSED", async () => {
    const heap = grownHeap(palloc, [1]);
    heap.dispose();
    const calls: Record<string, () => Promise<unknown>> = {
      allocAsync: () => heap.allocAsync(1),
      freeAsync: () => heap.freeAsync(CHUNK, 1),
      scavengeAsync: () => heap.scavengeAsync(),
      callAsync: () => heap.callAsync(() => 7),
    };
    for (const [name, call] of Object.entries(calls)) await expect(call(), name).rejects.toThrow(disposed);
  });

  it("does nothing the second time", () => {
    const heap = grownHeap(palloc, [1]);
    heap.dispose();
    heap.dispose();
    expect(grownHeap(palloc, [1]).alloc(1)).toBe(CHUNK);
  });

  it("during PageAlloc.from frees the memory once", () => {
    const made: PageAlloc[] = [];
    class Early extends palloc.PageAlloc {
      constructor() {
        super();
        made.push(this);
      }
    }
    const state = {
      alloc: {
        get 0() {
          made[0].dispose();
          return [];
        },
      },
    };
    expect(() => Early.from(state)).toThrow(disposed);
    const heaps = Array.from({ length: 100 }, () => grownHeap(palloc, [1]));
    for (const heap of heaps) heap.check();
    for (const heap of heaps) heap.dispose();
  });

  it("is called by `using`", () => {
    let inner: PageAlloc;
    {
      using heap = grownHeap(palloc, [1]);
      inner = heap;
      expect(heap.alloc(1)).toBe(CHUNK);
    }
    expect(() => inner.alloc(1)).toThrow(disposed);
  });
}
