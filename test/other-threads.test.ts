// What other threads may do to a heap, done by this one through the heap's lock: holding it, and acting each time that
// the scavenger gives it back on its walk. A reset after a walk began must win, and nothing but a reset ever raises
// scavAddr.

import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { CORE } from "../src/heap/core.ts";
import { CHUNK, grownHeap } from "./support/heaps.ts";
import { PAGES } from "./support/naive.ts";
import type { PageAlloc, Palloc } from "./support/subject.ts";

type ChunkRanges = Parameters<typeof wasm.PageAlloc.from>[0]["alloc"];

const FULL = [[0, PAGES]] as const;
const TOP = 5 * CHUNK - 1;

/** Lets `other` act once, when the heap's lock is given back for the first time. */
function whenUnlocked(heap: PageAlloc, other: () => void): { acted: boolean } {
  const { lock } = heap[CORE];
  const release = lock.release.bind(lock);
  const state = { acted: false };
  lock.release = () => {
    release();
    if (state.acted) return;
    state.acted = true;
    other();
  };
  return state;
}

const engines: [string, Palloc][] = [
  ["wasm", wasm],
  ["ts", ts],
];

describe.each(engines)("while the lock is held (%s)", (_, palloc) => {
  it("every call throws ERR_LOCKED and changes nothing", () => {
    const heap = grownHeap(palloc, [1]);
    heap.alloc(3);
    const cache = heap.allocToCache();
    const calls: Record<string, () => unknown> = {
      grow: () => heap.grow(5 * CHUNK, CHUNK),
      unmap: () => heap.unmap(CHUNK + 200 * heap.pageSize, heap.pageSize),
      longestFree: () => heap.longestFree(),
      freeRuns: () => heap.freeRuns().next(),
      alloc: () => heap.alloc(1),
      allocRange: () => heap.allocRange(CHUNK + 100 * heap.pageSize, 1),
      free: () => heap.free(CHUNK, 1),
      scavenge: () => heap.scavenge(),
      scavengeOne: () => heap.scavengeOne(),
      scavengeRange: () => heap.scavengeRange(CHUNK, 1),
      resetScavengeAddr: () => heap.resetScavengeAddr(),
      allocToCache: () => heap.allocToCache(),
      "cache.flush": () => cache.flush(),
      bounds: () => heap.bounds(),
      mappedRanges: () => heap.mappedRanges(),
      chunk: () => heap.chunk(1),
      ranges: () => heap.ranges(),
      stats: () => heap.stats(),
      check: () => heap.check(),
      snapshot: () => heap.snapshot(),
      dispose: () => heap.dispose(),
    };
    const before = heap.snapshot();
    const { lock } = heap[CORE];
    lock.acquire();
    const locked = expect.objectContaining({ code: "ERR_LOCKED" });
    for (const [name, call] of Object.entries(calls)) expect(call, name).toThrow(locked);
    lock.release();
    expect(heap.snapshot()).toEqual(before);
  });

  it("a cache still allocates, since it needs no lock", () => {
    const heap = grownHeap(palloc, [1]);
    const cache = heap.allocToCache();
    const { lock } = heap[CORE];
    lock.acquire();
    expect(cache.alloc(3)).toBe(CHUNK);
    lock.release();
    cache.flush();
  });
});

describe.each(engines)("while the scavenger walks (%s)", (_, { PageAlloc }) => {
  /** Chunks 1 to 4; the scavenger finds nothing in its own, the topmost, so it has to walk. */
  const heapOf = (alloc: ChunkRanges) =>
    PageAlloc.from({ alloc: { 1: FULL, 2: FULL, 3: FULL, 4: FULL, ...alloc } }, { shared: true });

  it("a reset wins over a walk that finds nothing", () => {
    const heap = heapOf({});
    const state = whenUnlocked(heap, () => {
      heap.free(4 * CHUNK, 8);
      heap.resetScavengeAddr();
    });
    expect(heap.scavengeOne()).toBe(0);
    expect(state.acted).toBe(true);
    expect(heap.scavAddr).toBe(TOP);
    expect(heap.scavenge()).toBe(8 * heap.pageSize);
    heap.check();
  });

  it("a reset wins over a walk that takes a candidate", () => {
    const heap = heapOf({ 2: [] });
    whenUnlocked(heap, () => {
      heap.free(4 * CHUNK, 8);
      heap.resetScavengeAddr();
    });
    expect(heap.scavengeOne()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(TOP);
    expect(heap.scavenge()).toBe(8 * heap.pageSize);
    heap.check();
  });

  it("a reset wins over a walk whose candidate is gone", () => {
    const heap = heapOf({ 2: [] });
    whenUnlocked(heap, () => {
      heap.allocRange(2 * CHUNK, PAGES);
      heap.resetScavengeAddr();
    });
    expect(heap.scavengeOne()).toBe(0);
    expect(heap.scavAddr).toBe(TOP);
    heap.check();
  });

  it("a walk continues if its candidate is gone", () => {
    const heap = heapOf({ 1: [], 2: [] });
    whenUnlocked(heap, () => heap.allocRange(2 * CHUNK, PAGES));
    expect(heap.scavengeOne()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(CHUNK - 1);
    heap.check();
  });

  it("a walk does not raise scavAddr, even if pages above it are freed meanwhile", () => {
    const heap = heapOf({ 1: [], 2: [] });
    whenUnlocked(heap, () => {
      heap.scavenge();
      expect(heap.scavAddr).toBe(CHUNK - 1);
      heap.free(3 * CHUNK, 8);
    });
    heap.scavengeOne();
    expect(heap.scavAddr).toBeLessThanOrEqual(CHUNK - 1);
    heap.check();
  });

  it("growth is allowed", () => {
    const heap = heapOf({ 2: [] });
    whenUnlocked(heap, () => heap.grow(10 * CHUNK, 5000 * CHUNK));
    expect(heap.scavenge()).toBe(CHUNK);
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(0);
    heap.check();
  });

  it("dispose makes the walk throw ERR_DISPOSED", () => {
    const heap = heapOf({ 2: [] });
    whenUnlocked(heap, () => heap.dispose());
    expect(() => heap.scavenge()).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  });
});
