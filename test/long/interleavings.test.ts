// Actors on one shared heap in every order of their steps: the scavenger's steps, with the lock and without, and the
// calls of others between them. After each step the heap is sound, no page in use was released, none was released
// twice, and none was passed over that was a candidate before the last reset and has not been touched since.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE } from "../support/heaps.ts";
import {
  type Actor,
  type Call,
  caller,
  everyOrder,
  type Role,
  Stage,
  scavenger,
} from "../support/interleave.ts";
import { PAGES } from "../support/naive.ts";
import type { PageAlloc, PageCache, Palloc } from "../support/subject.ts";

type Ranges = Parameters<typeof wasm.PageAlloc.from>[0]["alloc"];

/** A chunk whose pages 100 to 169 are free, and one that has none. */
const PIECE = [
  [0, 100],
  [170, PAGES - 170],
] as const;
const FULL = [[0, PAGES]] as const;

/** How a heap is made. */
type Make = (palloc: Palloc) => PageAlloc;

/**
 * A shared heap of these pages in use, all others unscavenged; scavAddr has been reset, so that no growth raises it.
 */
const heapOf =
  (alloc: Ranges, physPageSize = PAGE): Make =>
  ({ PageAlloc }) => {
    const heap = PageAlloc.from({ alloc }, { shared: true, metadataLimit: 2 ** 16, physPageSize });
    heap.resetScavengeAddr();
    return heap;
  };

/** Heaps with chunks that can be unmapped whole. */
const roomyHeaps: Record<string, Make> = {
  "free chunks": heapOf({ 0: PIECE, 1: [], 2: [] }),
  "a free chunk below": heapOf({ 0: [], 1: PIECE, 2: PIECE }),
};

const heaps: Record<string, Make> = {
  "three chunks": heapOf({ 0: PIECE, 1: PIECE, 2: PIECE }),
  "a hole": heapOf({ 0: PIECE, 2: PIECE }),
  "candidates at the bottom": heapOf({ 0: PIECE, 1: FULL, 2: FULL }),
  "no candidates": heapOf({ 0: FULL, 1: FULL, 2: FULL }),
  "pages released by fours": heapOf({ 0: PIECE, 1: [[0, 511]], 2: [[1, 507]] }, 4 * PAGE),
};

const free =
  (chunk: number, index: number, npages: number): Call =>
  (heap, ledger) => {
    ledger.give(chunk * PAGES + index, npages);
    heap.free(chunk * CHUNK + index * PAGE, npages);
  };

const alloc =
  (npages: number): Call =>
  (heap, ledger) => {
    const base = heap.alloc(npages);
    if (base >= 0) ledger.take(base / PAGE, npages);
  };

/** Takes just these pages, unless some are in use. */
const allocRange =
  (chunk: number, index: number, npages: number): Call =>
  (heap, ledger) => {
    try {
      heap.allocRange(chunk * CHUNK + index * PAGE, npages);
    } catch (error) {
      if ((error as wasm.PageAllocError).code !== "ERR_NOT_FREE") throw error;
      return;
    }
    ledger.take(chunk * PAGES + index, npages);
  };

const reset: Call = (heap, ledger) => {
  heap.resetScavengeAddr();
  ledger.reset();
};

/** Grows over a chunk, unless the heap has it. */
const grow =
  (chunk: number): Call =>
  (heap) => {
    if (!heap.mappedRanges().some(([base, limit]) => base <= chunk * CHUNK && chunk * CHUNK < limit))
      heap.grow(chunk * CHUNK, CHUNK);
  };

/** Takes a chunk out of the heap, unless a page of it is in use or not mapped. */
const unmap =
  (chunk: number): Call =>
  (heap) => {
    try {
      heap.unmap(chunk * CHUNK, CHUNK);
    } catch (error) {
      const { code } = error as wasm.PageAllocError;
      if (code !== "ERR_NOT_FREE" && code !== "ERR_NOT_MAPPED") throw error;
    }
  };

const allocToCache: Call = (heap, ledger, kept) => {
  kept.cache = heap.allocToCache();
  eachCached(kept.cache, (page) => ledger.take(page, 1));
};

const cacheAlloc: Call = (_, __, { cache }) => void cache?.alloc(3);

const flush: Call = (_, ledger, { cache }) => {
  if (!cache) return;
  eachCached(cache, (page) => ledger.give(page, 1));
  cache.flush();
};

/** Visits the pages that a cache owns. */
function eachCached({ base, cache }: PageCache, visit: (page: number) => void): void {
  for (let i = 0; i < 64; i++) if ((cache >> BigInt(i)) & 1n) visit(base / PAGE + i);
}

const resets = caller("reset", reset);
/** Passes until one finds nothing. */
const ALL = Infinity;

/** Who acts together, and in how many orders on all of the heaps. */
const casts: [orders: number, ...cast: Role[]][] = [
  [1002, scavenger(), caller("free, reset, free", free(2, 200, 5), reset, free(0, 300, 5))],
  [2337, scavenger(), caller("free, alloc", free(0, 0, 9), alloc(12)), resets],
  [2074, scavenger(), caller("allocRange twice", allocRange(0, 100, 70), allocRange(2, 110, 9)), resets],
  [4632, scavenger(ALL, 64), caller("free above and below", free(2, 300, 4), free(0, 300, 4)), resets],
  [2597, scavenger(), caller("grow, alloc", grow(1), alloc(PAGES + 3)), resets],
  [2783, scavenger(), caller("use a cache, reset, flush", allocToCache, cacheAlloc, reset, flush)],
  [9850, scavenger(), scavenger(ALL, 64)],
  [1803, scavenger(), scavenger(1, PAGES, "accepts")],
  [1237, scavenger(1), scavenger(2, 16), resets],
  [996, scavenger(1, 64), scavenger(1), caller("free, reset", free(2, 200, 5), reset)],
  [376, scavenger(1, 64), scavenger(1), caller("free", free(0, 300, 5))],
  [5175, scavenger(3, 64, "accepts"), caller("alloc, free", alloc(30), free(2, 300, 5)), resets],
  [
    1318,
    scavenger(2, 16, "declines once"),
    caller("free, reset, free", free(2, 200, 5), reset, free(0, 300, 5)),
  ],
  [1403, scavenger(1, 64, "declines"), caller("alloc", alloc(20)), resets],
  [545, scavenger(2, 64, "throws"), caller("free, reset, free", free(2, 200, 5), reset, free(0, 300, 5))],
  [1856, scavenger(1, PAGES, "accepts"), scavenger(1), resets],
  [3459, scavenger(1), scavenger(1, PAGES, "declines once")],
  [4006, scavenger(1, PAGES, "accepts"), scavenger(1, 16, "throws"), resets],
  [1614, scavenger(1, PAGES, "throws"), scavenger(1), caller("free", free(2, 200, 5))],
];

/** The same on the heaps with free chunks. */
const unmappers: typeof casts = [
  [4573, scavenger(), caller("unmap, grow, alloc", unmap(2), grow(2), alloc(PAGES + 200)), resets],
  [6403, scavenger(ALL, 200), caller("unmap, unmap, grow", unmap(1), unmap(2), grow(1)), resets],
  [60, scavenger(1), caller("unmap, alloc", unmap(0), alloc(9)), caller("unmap, grow", unmap(2), grow(2))],
  [796, scavenger(2, 300, "accepts"), caller("unmap, grow", unmap(2), grow(2)), resets],
  [2382, scavenger(2, PAGES, "declines once"), caller("unmap, unmap", unmap(2), unmap(1)), resets],
  [113, scavenger(1, PAGES, "throws"), scavenger(1), caller("unmap", unmap(1))],
];

const named = (casts: [orders: number, ...cast: Role[]][]) =>
  casts.map(([orders, ...cast]) => [cast.map(({ name }) => name).join(" | "), orders, cast] as const);

/** The engines of the heap and, in turn, of the actors. */
const engines: [name: string, engines: Palloc[]][] = [
  ["ts", [ts]],
  ["wasm and ts", [wasm, ts]],
];

describe.each(engines)("every order of steps (%s)", (_, engines) => {
  const explore = (heaps: Record<string, Make>, cast: Role[]) =>
    Object.values(heaps).reduce((explored, make) => {
      const stage = new Stage(make, cast, engines);
      return (
        explored +
        stage.explore(({ candidates }) => {
          if (releasesAll(cast) && candidates) throw new Error("the scavengers together leave candidates");
        })
      );
    }, 0);

  it.each(named(casts))("keeps the heap sound: %s", (_, orders, cast) => {
    expect(explore(heaps, cast)).toBe(orders);
  });

  it.each(named(unmappers))("keeps the heap sound while others unmap: %s", (_, orders, cast) => {
    expect(explore(roomyHeaps, cast)).toBe(orders);
  });
});

/** Whether there are only scavengers, one of which goes on to the end, and none whose hook declines. */
function releasesAll(cast: Role[]): boolean {
  return cast.every(({ passes, hook }) => passes && (!hook || hook === "accepts")) && cast[0].passes === ALL;
}

describe("the explorer of orders", () => {
  it("tries each order once", () => {
    const seen: string[] = [];
    let log = "";
    const actor = (name: string, steps: number): Actor => {
      let left = steps;
      return {
        get done() {
          return left === 0;
        },
        step: () => {
          left--;
          log += name;
        },
      };
    };
    const begin = () => {
      log = "";
      return [actor("a", 3), actor("b", 2), actor("c", 1)];
    };
    const orders = everyOrder(begin, (isNew) => {
      if (isNew && log.length === 6) seen.push(log);
    });
    expect(orders).toBe(60);
    expect(new Set(seen).size).toBe(60);
  });
});
