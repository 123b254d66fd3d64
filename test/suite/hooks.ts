// The sys hooks: what they are told, what they may do, and that every way out of them leaves a sound heap.
import { describe, expect, it } from "vitest";
import { bitsOf, CHUNK, grownHeap, PAGE, SPACE, touchedHeap, visible } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import type { PageAlloc, PageCache, Palloc, Subject } from "../support/subject.ts";

type Pages = [base: number, nbytes: number];
type Ranges = readonly (readonly [first: number, count: number])[];

/** Pages of chunk 1 that are in use and nobody's business. */
const ELSEWHERE: Pages = [CHUNK + 40 * PAGE, 8 * PAGE];

export function hooksSuite(subject: Subject): void {
  describe("sys hooks", () => {
    unusedTests(subject);
    rangeTests(subject);
    holdTests(subject);
    declineTests(subject);
    passTests(subject);
    usedTests(subject);
    manyPagesTests(subject);
    usedThrowsTests(subject);
    entangledTests(subject);
    callbackTests(subject);
    getterTests(subject);
  });
}

/** Chunk 1, with what the tests need of each kind: pages in use, scavenged, and free. */
function mixedHeap(
  { PageAlloc }: Palloc,
  sys: ConstructorParameters<Palloc["PageAlloc"]>[0] = {},
): PageAlloc {
  const alloc: Ranges = [
    [0, 64],
    [200, 100],
  ];
  const scavenged: Ranges = [
    [64, 10],
    [80, 3],
    [128, 40],
  ];
  return PageAlloc.from({ alloc: { 1: alloc, 3: [] }, scavenged: { 1: scavenged } }, sys);
}

/** In use, and scavenged, of a range within one chunk. */
function countsOf(heap: PageAlloc, [base, nbytes]: Pages): { inUse: number; scavenged: number } {
  const { alloc, scavenged } = heap.chunk(Math.floor(base / CHUNK));
  const first = (base % CHUNK) / PAGE;
  const count = nbytes / PAGE;
  return { inUse: alloc.popcntRange(first, count), scavenged: scavenged.popcntRange(first, count) };
}

function expectSound(heap: PageAlloc): void {
  heap.check();
  const { sys, inUse, free, released, retained } = heap.stats();
  expect([inUse + free, sys - released]).toEqual([sys, retained]);
}

/** Calls on a heap, a cache that has pages, and a page that is in use. Each looks up a hook, or could. */
const CALLS: Record<string, (heap: PageAlloc, cache: PageCache) => unknown> = {
  alloc: (heap) => heap.alloc(1),
  allocRange: (heap) => heap.allocRange(300 * PAGE, 3),
  free: (heap) => heap.free(0, 1),
  scavengeOne: (heap) => heap.scavengeOne(PAGE),
  scavengeRange: (heap) => heap.scavengeRange(400 * PAGE, 5),
  allocToCache: (heap) => heap.allocToCache().base,
  "cache.alloc(1)": (_, cache) => cache.alloc(1),
  "cache.alloc(2)": (_, cache) => cache.alloc(2),
  run: (heap, cache) => {
    const results = new Float64Array(2);
    heap.run(Float64Array.of(0, 1, 0, 0), results, { caches: [cache] });
    return results;
  },
};

/** Hooks that are undefined, but whose getters act first. */
function getterTests({ palloc }: Subject): void {
  /** A heap of one chunk with pages of each kind, a cache of it, and a way to let the next getter act. */
  function start() {
    let act: (() => void) | undefined;
    const once = () => {
      const now = act;
      act = undefined;
      now?.();
      return undefined;
    };
    const sys = {
      get unused() {
        return once();
      },
      get used() {
        return once();
      },
    };
    const heap = touchedHeap(palloc, [0], { sys, physHugePageSize: 0 });
    heap.alloc(1);
    const cache = heap.allocToCache();
    const next = (change: () => void) => {
      act = change;
    };
    return { heap, cache, next };
  }

  it.each(Object.entries(CALLS))("%s does the same after a getter that grows the heap", (_, call) => {
    const plain = start();
    const expected = call(plain.heap, plain.cache);
    const { heap, cache, next } = start();
    next(() => heap.grow(CHUNK, 3000 * CHUNK));
    expect(call(heap, cache)).toEqual(expected);
    expectSound(heap);
    expect(heap.stats().inUse).toBe(plain.heap.stats().inUse);
  });

  it.each(Object.entries(CALLS))(
    "%s throws ERR_DISPOSED, or is done, if a getter disposes of the heap",
    (_, call) => {
      const { heap, cache, next } = start();
      next(() => heap.dispose());
      // Some calls look no hook up.
      let error: unknown;
      try {
        call(heap, cache);
      } catch (thrown) {
        error = thrown;
      }
      next(() => {});
      const disposed = expect.objectContaining({ code: "ERR_DISPOSED" });
      if (error) expect(error).toEqual(disposed);
      else expectSound(heap);
    },
  );

  it.each(["cache.alloc(1)", "cache.alloc(2)", "run"])(
    "%s sees a cache that a getter has flushed",
    (name) => {
      const { heap, cache, next } = start();
      next(() => {
        cache.flush();
        // Takes the record that the flush has given back.
        heap.allocToCache();
      });
      const result = CALLS[name](heap, cache);
      if (name !== "run") expect(result).toBe(-1);
      expectSound(heap);
    },
  );
}

function unusedTests({ palloc }: Subject): void {
  it("unused is called for each run, highest first", () => {
    const told: Pages[] = [];
    const heap = mixedHeap(palloc, {
      sys: { unused: (...pages) => void told.push(pages) },
      physHugePageSize: 0,
    });
    expect(heap.scavengeOne(2 * PAGE)).toBe(2 * PAGE);
    expect(heap.scavenge()).toBe(CHUNK + 512 * PAGE - (64 + 100 + 53 + 2) * PAGE);
    expect(told).toEqual([
      [4 * CHUNK - 2 * PAGE, 2 * PAGE],
      [3 * CHUNK, 510 * PAGE],
      [CHUNK + 300 * PAGE, 212 * PAGE],
      [CHUNK + 168 * PAGE, 32 * PAGE],
      [CHUNK + 83 * PAGE, 45 * PAGE],
      [CHUNK + 74 * PAGE, 6 * PAGE],
    ]);
    expect(heap.scavenge()).toBe(0);
    expect(told).toHaveLength(6);
    expectSound(heap);
  });

  it("hooks are called as methods of sys", () => {
    class Recorder {
      released = 0;
      used = 0;
      unused(_base: number, nbytes: number): void {
        this.released += nbytes;
      }
    }
    const recorder = new Recorder();
    const sys = {
      count: 0,
      unused: recorder.unused.bind(recorder),
      used() {
        this.count++;
      },
    };
    const heap = touchedHeap(palloc, [1], { sys });
    heap.scavenge();
    heap.alloc(1);
    expect([recorder.released, sys.count]).toEqual([CHUNK, 1]);
  });
}

function rangeTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;
  const thrown = new Error("out of order");

  it("unused is called for what scavengeRange releases, lowest first, and may decline", () => {
    const told: Pages[] = [];
    let answer: boolean | undefined;
    const unused = (...pages: Pages) => {
      told.push(pages);
      expect(countsOf(heap, pages)).toEqual({ inUse: pages[1] / PAGE, scavenged: 0 });
      expectSound(heap);
      return answer;
    };
    const heap = mixedHeap(palloc, { sys: { unused } });
    const { scavAddr } = heap;
    answer = false;
    expect(heap.scavengeRange(CHUNK, 2 * PAGES)).toBe(0);
    const runs: Pages[] = [
      [CHUNK + 74 * PAGE, 6 * PAGE],
      [CHUNK + 83 * PAGE, 45 * PAGE],
      [CHUNK + 168 * PAGE, 32 * PAGE],
      [CHUNK + 300 * PAGE, 212 * PAGE],
    ];
    expect(told.splice(0)).toEqual(runs);
    answer = undefined;
    expect(heap.scavengeRange(CHUNK + 76 * PAGE, 20)).toBe(17 * PAGE);
    expect(told.splice(0)).toEqual([
      [CHUNK + 76 * PAGE, 4 * PAGE],
      [CHUNK + 83 * PAGE, 13 * PAGE],
    ]);
    expect(heap.scavengeRange(0, 4 * PAGES)).toBe((6 + 45 + 32 + 212 - 17 + PAGES) * PAGE);
    expect(heap.scavengeRange(0, 4 * PAGES)).toBe(0);
    expect(heap.scavAddr).toBe(scavAddr);
    expectSound(heap);
  });

  it("unused is called for the scavengeRange operations of a batch", () => {
    const told: Pages[] = [];
    const heap = mixedHeap(palloc, { sys: { unused: (...pages) => void told.push(pages) } });
    const { Op } = palloc;
    const ops = [
      Op.alloc,
      6,
      -1,
      0,
      Op.scavengeRange,
      20,
      CHUNK + 76 * PAGE,
      0,
      Op.free,
      6,
      CHUNK + 64 * PAGE,
      0,
    ];
    const results = new Float64Array(6);
    heap.run(Float64Array.from(ops), results);
    expect([...results]).toEqual([CHUNK + 64 * PAGE, 6 * PAGE, 17 * PAGE, 0, CHUNK + 64 * PAGE, 0]);
    expect(told).toEqual([
      [CHUNK + 76 * PAGE, 4 * PAGE],
      [CHUNK + 83 * PAGE, 13 * PAGE],
    ]);
    expectSound(heap);
  });

  it("an error of unused reaches the caller of scavengeRange, and what was released stays released", () => {
    let calls = 0;
    const unused = () => {
      if (++calls === 2) throw thrown;
    };
    const heap = mixedHeap(palloc, { sys: { unused } });
    const { released } = heap.stats();
    expect(() => heap.scavengeRange(CHUNK, PAGES)).toThrow(thrown);
    expect(heap.stats().released - released).toBe(6 * PAGE);
    expect(countsOf(heap, [CHUNK + 83 * PAGE, 45 * PAGE])).toEqual({ inUse: 0, scavenged: 0 });
    expectSound(heap);
  });

  it("unused is called for what unmap finds unscavenged, over chunk borders, whatever it returns", () => {
    const told: Pages[] = [];
    const unused = (...pages: Pages) => {
      told.push(pages);
      expect(heap.stats().inUse).toBe((100 + PAGES) * PAGE);
      expect(() => heap.allocRange(2 * CHUNK, 1)).toThrow(expect.objectContaining({ code: "ERR_NOT_FREE" }));
      expectSound(heap);
      return false;
    };
    const alloc = { 1: [[0, 100] as const], 2: [], 3: [] };
    const heap = PageAlloc.from({ alloc, scavenged: { 2: [[0, 9]] } }, { sys: { unused } });
    expect(heap.unmap(CHUNK + 400 * PAGE, CHUNK)).toBe((PAGES - 9) * PAGE);
    expect(told).toEqual([
      [CHUNK + 400 * PAGE, 112 * PAGE],
      [2 * CHUNK + 9 * PAGE, 391 * PAGE],
    ]);
    expect(heap.stats().scavenges).toBe(0);
    expect(heap.mappedRanges()).toEqual([
      [CHUNK, CHUNK + 400 * PAGE],
      [2 * CHUNK + 400 * PAGE, 4 * CHUNK],
    ]);
    expectSound(heap);
  });

  it("unused is not called if all that unmap takes was released", () => {
    const unused = () => {
      throw thrown;
    };
    const heap = grownHeap(palloc, [1], { sys: { unused } });
    expect(heap.unmap(CHUNK, 9 * PAGE)).toBe(0);
    expectSound(heap);
  });

  it("an error of unused reaches the caller of unmap: the pages stay, and what was released stays released", () => {
    let calls = 0;
    const unused = () => {
      if (++calls === 2) throw thrown;
    };
    const heap = mixedHeap(palloc, { sys: { unused } });
    const { mapped, scavenged } = heap.ranges();
    expect(() => heap.unmap(CHUNK + 64 * PAGE, 136 * PAGE)).toThrow(thrown);
    const released = [...scavenged[1], [74, 6]].sort((a, b) => a[0] - b[0]);
    expect(heap.ranges().mapped).toEqual(mapped);
    expect(heap.ranges().scavenged[1]).toEqual([
      [64, 19],
      [128, 40],
    ]);
    expect(released).toHaveLength(4);
    expect(heap.stats().inUse).toBe(164 * PAGE);
    expectSound(heap);
    calls = 2;
    expect(heap.unmap(CHUNK + 64 * PAGE, 136 * PAGE)).toBe((136 - 19 - 40) * PAGE);
    expectSound(heap);
  });

  it("unmap from within unused, of pages that are held, is refused", () => {
    const unused = (base: number) => {
      expect(() => heap.unmap(base, PAGE)).toThrow(expect.objectContaining({ code: "ERR_NOT_FREE" }));
      if (base === 3 * CHUNK) expect(heap.unmap(3 * CHUNK + PAGE, PAGE)).toBe(PAGE);
    };
    const heap = mixedHeap(palloc, { sys: { unused } });
    heap.scavengeRange(3 * CHUNK, 1);
    expectSound(heap);
  });
}

function holdTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("the pages are in use while unused runs", () => {
    let ran = 0;
    const unused = (base: number, nbytes: number): void => {
      ran++;
      expect(countsOf(heap, [base, nbytes])).toEqual({ inUse: nbytes / PAGE, scavenged: 0 });
      expect(heap.stats().inUse).toBe((16 + nbytes / PAGE) * PAGE);
      const notAllocated = expect.objectContaining({ code: "ERR_NOT_ALLOCATED" });
      const notFree = expect.objectContaining({ code: "ERR_NOT_FREE" });
      const before = heap.snapshot();
      expect(() => heap.free(base, 1)).toThrow(notAllocated);
      expect(() => heap.free(base, nbytes / PAGE)).toThrow(notAllocated);
      expect(() => heap.free(base + nbytes - PAGE, 1)).toThrow(notAllocated);
      expect(() => heap.free(base - PAGE, 2)).toThrow(notAllocated);
      expect(() => heap.allocRange(base, 1)).toThrow(notFree);
      expect(heap.snapshot()).toEqual(before);
      expectSound(heap);
    };
    const alloc = { 1: [[0, 16] as const] };
    const heap = PageAlloc.from({ alloc }, { sys: { unused }, physHugePageSize: 0 });
    expect(heap.scavengeOne(10 * PAGE)).toBe(10 * PAGE);
    expect(heap.scavenge()).toBe(486 * PAGE);
    expect(ran).toBe(2);
    expect(heap.stats().inUse).toBe(16 * PAGE);
    expectSound(heap);
  });

  it("the pages are free and unscavenged in a snapshot taken while unused runs", () => {
    const snapshots: { bytes: Uint8Array; pages: Pages }[] = [];
    const unused = (...pages: Pages) => void snapshots.push({ bytes: heap.snapshot(), pages });
    const heap = mixedHeap(palloc, { sys: { unused } });
    heap.scavenge();
    expect(snapshots.length).toBeGreaterThan(2);
    for (const { bytes, pages } of snapshots) {
      const copy = PageAlloc.restore(bytes);
      expect(countsOf(copy, pages)).toEqual({ inUse: 0, scavenged: 0 });
      expect(copy.stats().inUse).toBe(heap.stats().inUse);
      expectSound(copy);
    }
  });

  it.each(["scavenge", "scavengeOne"] as const)("an error of unused reaches the caller of %s", (method) => {
    const thrown = new Error("out of order");
    let calls = 0;
    const unused = (): void => {
      if (++calls === 1) throw thrown;
    };
    const heap = mixedHeap(palloc, { sys: { unused } });
    const before = visible(heap);
    expect(() => heap[method]()).toThrow(thrown);
    expect(visible(heap)).toEqual(before);
    expectSound(heap);
    expect(heap.scavAddr).toBe(3 * CHUNK - 1);
    expect(heap.scavenge()).toBe((PAGES - 64 - 100 - 53) * PAGE);
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(CHUNK);
    expectSound(heap);
  });
}

function declineTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it.each([1, 4, 16, 64])("declined runs are offered once per pass (physical pages of %i)", (physPages) => {
    const offered: Pages[] = [];
    const unused = (...pages: Pages) => {
      offered.push(pages);
      return false;
    };
    const heap = mixedHeap(palloc, { sys: { unused }, physPageSize: physPages * PAGE });
    const before = visible(heap);
    for (let pass = 0; pass < 3; pass++) {
      expect(heap.scavenge()).toBe(0);
      expect(heap.scavenge()).toBe(0);
      expect(heap.scavengeOne()).toBe(0);
      const runs = offered.splice(0);
      expect(runs.length).toBeGreaterThanOrEqual(2);
      const bases = runs.map(([base]) => base);
      expect(bases).toEqual(bases.toSorted((a, b) => b - a));
      runs.forEach(([base, nbytes], i) => {
        if (i > 0) expect(base + nbytes).toBeLessThanOrEqual(bases[i - 1]);
      });
      expect(visible(heap)).toEqual(before);
      heap.resetScavengeAddr();
    }
    expectSound(heap);
  });

  it("every candidate is offered, even in the word of a declined one", () => {
    const pages: number[] = [];
    const unused = (base: number, nbytes: number) => {
      for (let at = base; at < base + nbytes; at += PAGE) pages.push((at - CHUNK) / PAGE);
      return false;
    };
    const alloc: Ranges = Array.from({ length: 256 }, (_, i) => [2 * i, 1]);
    const heap = PageAlloc.from({ alloc: { 1: alloc } }, { sys: { unused } });
    expect(heap.scavenge()).toBe(0);
    expect(pages).toEqual(Array.from({ length: 256 }, (_, i) => 511 - 2 * i));
    expect(heap.scavAddr).toBe(-1);
  });
}

function passTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it.each(["declined", "thrown at"])(
    "pages that were %s are skipped by later calls too, until the next reset",
    (how) => {
      const offered: number[] = [];
      const unused = (base: number) => {
        offered.push((base - CHUNK) / PAGE);
        if (offered.length % 2 === 0) return true;
        if (how === "declined") return false;
        throw new Error("not this one");
      };
      const alloc: Ranges = Array.from({ length: 256 }, (_, i) => [2 * i, 1]);
      const heap = PageAlloc.from({ alloc: { 1: alloc } }, { sys: { unused } });
      for (let k = 0; k < 300; k++) {
        try {
          heap.scavengeOne();
        } catch (error) {
          expect(error).toEqual(new Error("not this one"));
        }
      }
      expect(offered).toEqual(Array.from({ length: 256 }, (_, i) => 511 - 2 * i));
      expect(heap.stats().released).toBe(128 * PAGE);
      heap.resetScavengeAddr();
      expect(heap.scavAddr).toBe(2 * CHUNK - 1);
      offered.length = 0;
      if (how === "declined") expect(heap.scavengeOne()).toBe(PAGE);
      else expect(() => heap.scavengeOne()).toThrow("not this one");
      expect(offered[0]).toBe(511);
      expectSound(heap);
    },
  );

  it("declining after a reset in the same hook skips nothing", () => {
    let resets = 1;
    const unused = () => {
      if (!resets) return true;
      resets--;
      heap.resetScavengeAddr();
      return false;
    };
    const heap: PageAlloc = touchedHeap(palloc, [1], { sys: { unused }, physHugePageSize: 0 });
    expect(heap.scavengeOne(PAGE)).toBe(PAGE);
    expect(heap.scavengeOne(PAGE)).toBe(PAGE);
    // Above scavAddr, in its word: a look sees this page, unless all there is passed over.
    const top = 2 * CHUNK - PAGE;
    heap.allocRange(top, 1);
    heap.free(top, 1);
    heap.scavengeOne(PAGE);
    expect(countsOf(heap, [top, PAGE])).toEqual({ inUse: 0, scavenged: 1 });
  });

  it("scavengeOne continues below a declined run", () => {
    let calls = 0;
    const heap = mixedHeap(palloc, { sys: { unused: () => ++calls > 2 }, physHugePageSize: 0 });
    expect(heap.scavengeOne()).toBe(32 * PAGE);
    expect(calls).toBe(3);
    expect(countsOf(heap, [3 * CHUNK, CHUNK])).toEqual({ inUse: 0, scavenged: 0 });
    expect(countsOf(heap, [CHUNK + 168 * PAGE, 32 * PAGE])).toEqual({ inUse: 0, scavenged: 32 });
    expectSound(heap);
  });

  it("only false means decline", () => {
    const answers = [undefined, true, null, 0, ""];
    const unused = () => answers.shift() as undefined;
    const heap = touchedHeap(palloc, [1], { sys: { unused }, physHugePageSize: 0 });
    for (let k = 0; k < 5; k++) expect(heap.scavengeOne(PAGE)).toBe(PAGE);
  });

  it("declined pages do not count as scavenged", () => {
    const heap = mixedHeap(palloc, { sys: { unused: (base) => base < 3 * CHUNK } });
    const released = heap.scavenge();
    expect(heap.stats()).toMatchObject({ scavengedTotal: released, released: released + 53 * PAGE });
    expect(countsOf(heap, [3 * CHUNK, CHUNK])).toEqual({ inUse: 0, scavenged: 0 });
  });

  it.each([
    ["declines", () => false],
    ["accepts", () => true],
  ])("scavenge ends although the hook always resets and %s", (_, answer) => {
    let calls = 0;
    const unused = () => {
      calls++;
      heap.resetScavengeAddr();
      return answer();
    };
    const heap = mixedHeap(palloc, { sys: { unused } });
    const released = heap.scavenge();
    expect(released).toBe(answer() ? (2 * PAGES - 64 - 100 - 53) * PAGE : 0);
    expect(calls).toBeLessThan(100);
    expectSound(heap);
    expect(heap.scavengeOne()).toBe(0);
  });
}

function usedTests({ palloc }: Subject): void {
  it("used is called for allocations with scavenged pages only", () => {
    const told: Pages[] = [];
    const heap = mixedHeap(palloc, { sys: { used: (...pages) => void told.push(pages) } });
    expect(heap.alloc(2)).toBe(CHUNK + 64 * PAGE);
    expect(heap.alloc(12)).toBe(CHUNK + 66 * PAGE);
    expect(heap.alloc(1)).toBe(CHUNK + 78 * PAGE);
    heap.allocRange(CHUNK + 79 * PAGE, 3);
    heap.allocRange(CHUNK + 300 * PAGE, 3);
    const first = told.splice(0);
    expect(first).toEqual([
      [CHUNK + 64 * PAGE, 2 * PAGE],
      [CHUNK + 66 * PAGE, 12 * PAGE],
      [CHUNK + 79 * PAGE, 3 * PAGE],
    ]);
    const cache = heap.allocToCache();
    expect(told).toEqual([]);
    expect(cache.alloc(2)).toBe(CHUNK + 82 * PAGE);
    expect(cache.alloc(2)).toBe(CHUNK + 84 * PAGE);
    expect(told).toEqual([[CHUNK + 82 * PAGE, 2 * PAGE]]);
  });

  it("the pages are in use while used runs, and cannot be freed by it", () => {
    let ran = 0;
    const used = (base: number, nbytes: number): void => {
      ran++;
      expect(countsOf(heap, [base, nbytes])).toEqual({ inUse: nbytes / PAGE, scavenged: 0 });
      expect(() => heap.free(base, 1)).toThrow(expect.objectContaining({ code: "ERR_NOT_ALLOCATED" }));
      expectSound(heap);
    };
    const heap = mixedHeap(palloc, { sys: { used } });
    const base = heap.alloc(5);
    heap.free(base, 5);
    heap.allocRange(CHUNK + 130 * PAGE, 5);
    expect(heap.lastAllocScavenged).toBe(5 * PAGE);
    heap.free(CHUNK + 130 * PAGE, 5);
    heap.allocRange(CHUNK + 64 * PAGE, 64);
    const cache = heap.allocToCache();
    expect(cache.alloc(1)).toBe(CHUNK + 128 * PAGE);
    expect(ran).toBe(4);
    expectSound(heap);
  });
}

/** More pages than a Set or a Map has room for. */
const VERY_MANY = 2 ** 24 + PAGES;

function manyPagesTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("check and restore work however many pages a hook runs on", () => {
    let ran = 0;
    const used = () => {
      ran++;
      expectSound(heap);
      const copy = PageAlloc.restore(heap.snapshot());
      expect(copy.stats().inUse).toBe(0);
      copy.dispose();
    };
    using heap = new PageAlloc({ pageSize: 1, sys: { used } });
    heap.grow(0, 2 * VERY_MANY);
    expect(heap.alloc(VERY_MANY)).toBe(0);
    expect(ran).toBe(1);
    expectSound(heap);
  });
}

function usedThrowsTests({ palloc }: Subject): void {
  const failing = () => {
    const thrown = new Error("no memory");
    const hook = { armed: false };
    const used = () => {
      if (hook.armed) throw thrown;
    };
    return { heap: mixedHeap(palloc, { sys: { used } }), thrown, hook };
  };

  it.each<[string, (heap: PageAlloc) => unknown]>([
    ["alloc", (heap) => heap.alloc(30)],
    ["alloc over a chunk border", (heap) => heap.alloc(700)],
    ["allocRange", (heap) => heap.allocRange(CHUNK + 70 * PAGE, 70)],
  ])("if used throws, %s is undone and its scavenged bits come back", (_, call) => {
    const { heap, thrown, hook } = failing();
    heap.grow(2 * CHUNK, CHUNK);
    heap.allocRange(CHUNK + 72 * PAGE, 1);
    heap.free(CHUNK + 72 * PAGE, 1);
    const before = visible(heap);
    hook.armed = true;
    expect(() => call(heap)).toThrow(thrown);
    expect(visible(heap)).toEqual(before);
    expect(heap.lastAllocScavenged).toBe(PAGE);
    expectSound(heap);
    expect(heap.stats().inUse).toBe(164 * PAGE);
  });

  it("if used throws, the pages go back into the cache", () => {
    const { heap, thrown, hook } = failing();
    const cache = heap.allocToCache();
    cache.alloc(2);
    const before = [visible(heap), cache.cache, cache.scav, cache.lastAllocScavenged];
    hook.armed = true;
    expect(() => cache.alloc(15)).toThrow(thrown);
    expect([visible(heap), cache.cache, cache.scav, cache.lastAllocScavenged]).toEqual(before);
    expectSound(heap);
    cache.flush();
    expect(heap.ranges().scavenged[1]).toEqual([
      [66, 8],
      [80, 3],
      [128, 40],
    ]);
    expectSound(heap);
  });
}

function entangledTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("used may allocate from and flush the cache that it runs for", () => {
    const fail = new Error("after all");
    for (const ending of ["returns", "throws"]) {
      let ran = false;
      const used = () => {
        if (ran) return;
        ran = true;
        expect(cache.alloc(1)).toBe(CHUNK + 2 * PAGE);
        cache.flush();
        if (ending === "throws") throw fail;
      };
      const heap = grownHeap(palloc, [1], { sys: { used } });
      const cache = heap.allocToCache();
      if (ending === "throws") expect(() => cache.alloc(2)).toThrow(fail);
      else expect(cache.alloc(2)).toBe(CHUNK);
      const inUse = ending === "throws" ? [[2, 1]] : [[0, 3]];
      expect(heap.ranges().alloc).toEqual({ 1: inUse });
      expect(heap.stats().released).toBe(CHUNK - heap.stats().inUse);
      expect(cache.alloc(1)).toBe(-1);
      expectSound(heap);
    }
  });

  it.each([
    ["refills", false],
    ["flushes and refills", true],
  ])("a hook that %s its cache and then throws gives no pages back to it", (_, flushes) => {
    const fail = new Error("after all");
    const hook = { armed: false };
    const used = () => {
      if (!hook.armed) return;
      hook.armed = false;
      // A page of the cache's next block that is somebody else's.
      heap.allocRange(CHUNK + 127 * PAGE, 1);
      if (flushes) cache.flush();
      cache.refill();
      throw fail;
    };
    const heap = grownHeap(palloc, [1], { sys: { used } });
    const cache = heap.allocToCache();
    cache.alloc(63);
    hook.armed = true;
    expect(() => cache.alloc(1)).toThrow(fail);
    const rest = 2n ** 63n - 1n;
    expect([cache.base, cache.cache, cache.scav]).toEqual([CHUNK + 64 * PAGE, rest, rest]);
    expectSound(heap);
    cache.flush();
    expect(bitsOf(heap)).toEqual({
      alloc: {
        1: [
          [0, 63],
          [127, 1],
        ],
      },
      scavenged: {
        1: [
          [63, 64],
          [128, 384],
        ],
      },
    });
    expectSound(heap);
  });

  it("dispose is refused while a hook runs", () => {
    const errors: unknown[] = [];
    const dispose = () => {
      try {
        heap.dispose();
      } catch (error) {
        errors.push(error);
      }
    };
    const heap = mixedHeap(palloc, { sys: { unused: dispose, used: dispose } });
    heap.scavengeOne();
    heap.alloc(1);
    const locked = expect.objectContaining({ code: "ERR_LOCKED" });
    expect(errors).toEqual([locked, locked]);
    expectSound(heap);
    heap.dispose();
  });

  it("released pages stay released if used throws", () => {
    const heap = PageAlloc.from(
      { alloc: { 1: [] }, scavenged: { 1: [[0, PAGES]] } },
      {
        sys: {
          used: () => {
            throw new Error("never");
          },
        },
      },
    );
    for (let k = 0; k < 3; k++) expect(() => heap.alloc(1)).toThrow("never");
    expect(heap.stats()).toMatchObject({ inUse: 0, released: CHUNK, allocs: 0 });
    expectSound(heap);
  });
}

type Call = (heap: PageAlloc) => unknown;

/** What a hook may do to its own heap, none of which touches the pages that it was called for. */
const CALLBACKS: Record<string, Call> = {
  alloc: (heap) => heap.alloc(3),
  "a long alloc": (heap) => heap.alloc(400),
  allocRange: (heap) => heap.allocRange(CHUNK + 190 * PAGE, 4),
  "free elsewhere": (heap) => heap.free(ELSEWHERE[0], ELSEWHERE[1] / PAGE),
  grow: (heap) => heap.grow(4 * CHUNK, 3 * CHUNK),
  "grow by so much that memory grows": (heap) => heap.grow(SPACE / 2, 20_000 * CHUNK),
  scavenge: (heap) => heap.scavenge(),
  scavengeOne: (heap) => heap.scavengeOne(PAGE),
  resetScavengeAddr: (heap) => heap.resetScavengeAddr(),
  allocToCache: (heap) => heap.allocToCache().alloc(2),
  "a cache that is flushed": (heap) => heap.allocToCache().flush(),
  snapshot: (heap) => heap.snapshot(),
  check: (heap) => heap.check(),
  stats: (heap) => heap.stats(),
  ranges: (heap) => heap.ranges(),
};

/** The calls that run hooks: on pages that the callbacks leave alone. */
const CALLERS: Record<string, { hook: "unused" | "used"; call: Call }> = {
  scavenge: { hook: "unused", call: (heap) => heap.scavenge() },
  scavengeOne: { hook: "unused", call: (heap) => heap.scavengeOne() },
  alloc: { hook: "used", call: (heap) => heap.alloc(12) },
  allocRange: { hook: "used", call: (heap) => heap.allocRange(CHUNK + 150 * PAGE, 20) },
  "PageCache.alloc": { hook: "used", call: (heap) => heap.allocToCache().alloc(3) },
};

function callbackTests({ palloc }: Subject): void {
  const failure = new Error("from the hook");
  const outcomes: Record<string, () => boolean> = {
    returns: () => true,
    declines: () => false,
    throws: () => {
      throw failure;
    },
  };

  describe.each(Object.entries(CALLERS))("in a hook run by %s", (caller, { hook, call }) => {
    const possible = Object.keys(outcomes).filter((outcome) => hook === "unused" || outcome !== "declines");
    describe.each(possible)("that then %s", (outcome) => {
      it.each(Object.entries(CALLBACKS))("the heap may be used: %s", (_, callback) => {
        let pages: Pages | undefined;
        const run = (...args: Pages) => {
          // Only the first call calls back: what it does would else call back again, without an end.
          if (pages === undefined) {
            pages = args;
            callback(heap);
          }
          return args[0] === pages[0] ? outcomes[outcome]() : true;
        };
        const heap = mixedHeap(palloc, { sys: { [hook]: run } });
        if (outcome === "throws") expect(() => call(heap)).toThrow(failure);
        else call(heap);

        expectSound(heap);
        if (!pages) throw new Error("the hook did not run");
        const untouched = countsOf(mixedHeap(palloc), pages);
        const npages = pages[1] / PAGE;
        const ends: Record<string, object> = {
          "unused returns": { inUse: 0, scavenged: npages },
          "unused declines": { inUse: 0, scavenged: 0 },
          "unused throws": { inUse: 0, scavenged: 0 },
          "used returns": { inUse: npages, scavenged: 0 },
          "used throws": caller === "PageCache.alloc" ? { inUse: npages, scavenged: 0 } : untouched,
        };
        expect(countsOf(heap, pages)).toEqual(ends[`${hook} ${outcome}`]);
        // The lock is free again.
        heap.grow(50 * CHUNK, CHUNK);
        expect(heap.allocRange(50 * CHUNK + 5 * PAGE, 1)).toBe(PAGE);
      });
    });
  });
}
