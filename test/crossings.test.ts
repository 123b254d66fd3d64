// How often a call crosses into WebAssembly: at most once, if no hook runs. A crossing takes longer than most kernels.

import * as palloc from "palloc/shared";
import { describe, expect, it } from "vitest";
import { CORE } from "../src/heap/core.ts";
import type { Sys } from "../src/heap/sys.ts";
import { CHUNK, grownHeap, PAGE } from "./support/heaps.ts";
import type { PageAlloc } from "./support/subject.ts";

/** Returns the names of the engine's functions that `call` calls. */
function crossings(heap: PageAlloc, call: () => unknown): string[] {
  const engine = heap[CORE].engine as unknown as Record<string, unknown>;
  const before = { ...engine };
  const called: string[] = [];
  for (const [name, value] of Object.entries(before)) {
    // A class is not called, but made an object of.
    if (typeof value !== "function" || name === "Batch") continue;
    engine[name] = (...parameters: unknown[]) => {
      called.push(name);
      return value(...parameters);
    };
  }
  try {
    call();
  } finally {
    Object.assign(engine, before);
  }
  return called;
}

describe.each([false, true])("a heap that is shared: %s", (shared) => {
  const heapOf = () => {
    const heap = grownHeap(palloc, [0, 1, 2, 3], { shared, physHugePageSize: 0 });
    heap.allocRange(0, 3 * 512);
    return heap;
  };

  it("allocates, frees and fills page caches in one", () => {
    const heap = heapOf();
    const calls: Record<string, () => unknown> = {
      "alloc(1)": () => heap.alloc(1),
      "alloc(600), no room": () => heap.alloc(600),
      "alloc(8), aligned": () => heap.alloc(8, { align: 8 }),
      free: () => heap.free(0, 1),
      "free of two chunks": () => heap.free(CHUNK, 1024),
      allocRange: () => heap.allocRange(0, 1),
      "allocRange of two chunks": () => heap.allocRange(CHUNK, 1024),
      allocToCache: () => heap.allocToCache(),
      scavengeRange: () => heap.scavengeRange(CHUNK, 4),
      resetScavengeAddr: () => heap.resetScavengeAddr(),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect(crossings(heap, call), name).toHaveLength(1);
    }
  });

  it("allocates a page of a page cache in none", () => {
    const heap = heapOf();
    const cache = heap.allocToCache();
    // The first refill after a flush may have to make room in the heap's memory.
    cache.flush();
    cache.refill();
    expect(crossings(heap, () => cache.alloc(1))).toEqual([]);
    expect(crossings(heap, () => cache.alloc(2))).toHaveLength(1);
    expect(crossings(heap, () => cache.flush())).toHaveLength(1);
    expect(crossings(heap, () => cache.refill())).toHaveLength(1);
  });

  it("allocates and frees in one with hooks that such a call does not run", () => {
    const sys: Sys = { unused() {} };
    const heap = grownHeap(palloc, [0], { shared, sys });
    expect(crossings(heap, () => heap.alloc(1))).toEqual(["allocNow"]);
    expect(crossings(heap, () => heap.free(0, 1))).toEqual(["freeNow"]);
    const seen: number[] = [];
    sys.used = (base) => void seen.push(base);
    expect(crossings(heap, () => heap.alloc(1)).length).toBeGreaterThan(1);
    expect(crossings(heap, () => heap.free(0, 1))).toEqual(["freeNow"]);
    // Only pages that were scavenged are announced.
    expect(heap.alloc(2)).toBe(0);
    expect(seen).toEqual([0]);
  });

  it("scavenges a page where it last did in one", () => {
    const heap = heapOf();
    heap.free(0, 4);
    heap.resetScavengeAddr();
    heap.scavengeOne(PAGE);
    expect(crossings(heap, () => heap.scavengeOne(PAGE))).toHaveLength(1);
  });
});

it("a plain heap scavenges a page wherever it is in one", () => {
  const heap = grownHeap(palloc, [0, 1, 2, 3], { physHugePageSize: 0 });
  heap.allocRange(0, 3 * 512);
  heap.free(CHUNK, 1);
  heap.free(9 * PAGE, 1);
  heap.resetScavengeAddr();
  for (const released of [PAGE, PAGE, 0]) {
    const called = crossings(heap, () => expect(heap.scavengeOne(PAGE)).toBe(released));
    expect(called).toHaveLength(1);
  }
});
