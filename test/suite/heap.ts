// The heap by its public calls: where pages come from, how it grows, what the scavenger takes, what is counted.
import { describe, expect, it } from "vitest";
import { bitsOf, CHUNK, grownHeap, PAGE, SPACE, touchedHeap } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import { refused } from "../support/refusals.ts";
import type { PageAlloc, Subject } from "../support/subject.ts";

export function heapSuite(subject: Subject): void {
  describe("heap", () => {
    newTests(subject);
    allocTests(subject);
    alignTests(subject);
    freeRunTests(subject);
    sizeTests(subject);
    searchTests(subject);
    growTests(subject);
    scavengeTests(subject);
    releaseTests(subject);
    stateTests(subject);
    statsTests(subject);
  });
}

function newTests({ label, palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("a new heap is empty", () => {
    const heap = new PageAlloc();
    expect(heap.engine).toBe(label);
    expect(heap.pageSize).toBe(8192);
    expect(heap.chunkBytes).toBe(palloc.CHUNK_PAGES * 8192);
    expect(palloc.CHUNK_PAGES).toBe(512);
    expect([heap.scavAddr, heap.searchAddr, heap.lastAllocScavenged]).toEqual([-1, SPACE, 0]);
    expect(bitsOf(heap)).toEqual({ alloc: {}, scavenged: {} });
    expect(heap.mappedRanges()).toEqual([]);
    expect(heap.bounds().end).toBe(heap.bounds().start);
    heap.check();
  });

  it("calls on an empty heap find nothing", () => {
    const heap = new PageAlloc();
    expect(heap.alloc(1)).toBe(-1);
    expect(heap.scavenge()).toBe(0);
    expect(heap.scavengeOne()).toBe(0);
    heap.resetScavengeAddr();
    expect(heap.scavAddr).toBe(-1);
    expect(heap.allocToCache().empty).toBe(true);
    heap.check();
  });

  it.each([
    { pageSize: 4096, heapAddrBits: 32 },
    { pageSize: 65536, heapAddrBits: 40 },
    { pageSize: 1024, physPageSize: 65536 },
  ])("options %o", (options) => {
    const heap = grownHeap(palloc, [0, 1], options);
    expect(heap.pageSize).toBe(options.pageSize);
    expect(heap.chunkBytes).toBe(PAGES * options.pageSize);
    expect(heap.alloc(PAGES + 1)).toBe(0);
    expect(heap.alloc(1)).toBe((PAGES + 1) * options.pageSize);
    const top = 2 ** (options.heapAddrBits ?? 48) - heap.chunkBytes;
    heap.grow(top, heap.chunkBytes);
    expect(heap.alloc(PAGES)).toBe(top);
    heap.check();
  });
}

function allocTests({ palloc }: Subject): void {
  it("alloc returns the lowest address first, which may be 0", () => {
    const heap = grownHeap(palloc, [0]);
    expect([1, 2, 3].map((n) => heap.alloc(n))).toEqual([0, PAGE, 3 * PAGE]);
    heap.free(PAGE, 2);
    expect(heap.alloc(3)).toBe(6 * PAGE);
    expect(heap.alloc(1)).toBe(PAGE);
    expect(heap.alloc(1)).toBe(2 * PAGE);
    heap.check();
  });

  it("alloc returns every page once", () => {
    const heap = grownHeap(palloc, [3, 4, 9]);
    const got = Array.from({ length: 3 * PAGES }, () => heap.alloc(1));
    expect(got).toEqual(
      [3, 4, 9].flatMap((chunk) => Array.from({ length: PAGES }, (_, i) => chunk * CHUNK + i * PAGE)),
    );
    expect(heap.alloc(1)).toBe(-1);
    expect(heap.searchAddr).toBe(SPACE);
    heap.check();
  });

  it("alloc crosses chunk borders, but no holes", () => {
    const heap = grownHeap(palloc, [7, 8, 10]);
    expect(heap.alloc(2 * PAGES + 1)).toBe(-1);
    expect(heap.alloc(PAGES + 1)).toBe(7 * CHUNK);
    expect(heap.alloc(PAGES)).toBe(10 * CHUNK);
    heap.grow(9 * CHUNK, CHUNK);
    expect(heap.alloc(2 * PAGES - 1)).toBe(8 * CHUNK + PAGE);
    heap.check();
  });

  it("alloc crosses the borders of subtrees", () => {
    for (const border of [8, 64, 512, 4096]) {
      const chunks = Array.from({ length: 20 }, (_, i) => border - 10 + i).filter((chunk) => chunk >= 0);
      const heap = grownHeap(palloc, chunks);
      const first = chunks[0] * CHUNK;
      expect(heap.alloc(chunks.length * PAGES)).toBe(first);
      heap.free(border * CHUNK - PAGE, 2);
      expect(heap.alloc(2)).toBe(border * CHUNK - PAGE);
      heap.check();
      heap.dispose();
    }
  });
}

const ALIGNS = Array.from({ length: 20 }, (_, i) => 2 ** (i + 1));

function alignTests({ palloc }: Subject): void {
  const { PageAlloc, Op } = palloc;

  it("alloc with align returns the lowest aligned address that fits", () => {
    const heap = grownHeap(palloc, [0, 1]);
    heap.alloc(1);
    expect(heap.alloc(3, { align: 4 })).toBe(4 * PAGE);
    expect(heap.alloc(1, { align: 1 })).toBe(PAGE);
    expect(heap.alloc(2, { align: 2 })).toBe(2 * PAGE);
    expect(heap.alloc(1, {})).toBe(7 * PAGE);
    expect(heap.alloc(100, { align: 64 })).toBe(64 * PAGE);
    expect(heap.alloc(400, { align: 128 })).toBe(256 * PAGE);
    expect(heap.alloc(PAGES, { align: PAGES })).toBe(-1);
    expect(heap.alloc(56, { align: 8 })).toBe(8 * PAGE);
    heap.check();
  });

  it("alloc with align passes over runs that have no aligned start", () => {
    // Pages 1, 3, 5 and so on are in use, up to the last chunk.
    const odd = Array.from({ length: PAGES / 2 }, (_, i) => [2 * i, 1] as const);
    const alloc = Object.fromEntries(Array.from({ length: 70 }, (_, chunk) => [chunk, odd]));
    const heap = PageAlloc.from({ alloc: { ...alloc, 70: [] } });
    expect(heap.alloc(1, { align: 2 })).toBe(70 * CHUNK);
    heap.allocRange(70 * CHUNK + PAGE, PAGES - 1);
    expect(heap.alloc(1, { align: 2 })).toBe(-1);
    expect(heap.alloc(1)).toBe(PAGE);
    heap.check();
  });

  it.each(ALIGNS)("align %i takes a run that is just long enough, and none that is a page short", (align) => {
    for (const npages of [1, 2, 63, 64, 65, 600]) {
      for (const before of [0, 1, align - 1]) {
        const heap = new PageAlloc();
        const short = before + npages - 1;
        if (short) heap.grow((3 * align - before) * PAGE, short * PAGE);
        expect(heap.alloc(npages, { align })).toBe(-1);
        heap.grow((3 * align + npages - 1) * PAGE, PAGE);
        expect(heap.alloc(npages, { align })).toBe(3 * align * PAGE);
        heap.check();
        heap.dispose();
      }
    }
  });

  it("alloc with align counts scavenged pages and runs the hook as alloc does", () => {
    const used: number[][] = [];
    const heap = grownHeap(palloc, [0], { sys: { used: (...run) => void used.push(run) } });
    heap.alloc(3);
    expect(heap.alloc(4, { align: 8 })).toBe(8 * PAGE);
    expect(heap.lastAllocScavenged).toBe(4 * PAGE);
    expect(used).toEqual([
      [0, 3 * PAGE],
      [8 * PAGE, 4 * PAGE],
    ]);
    expect(heap.alloc(PAGES, { align: 2 })).toBe(-1);
    expect(heap.lastAllocScavenged).toBe(0);
  });

  it("a batch allocates with align, and grows so that the pages fit", () => {
    const heap = grownHeap(palloc, [0, 1]);
    const results = new Float64Array(10);
    const ops = [
      [Op.alloc, 1, -1, 0],
      [Op.alloc, 1, -1, 1],
      [Op.alloc, 5, -1, 256],
      [Op.alloc, PAGES, -1, PAGES],
      [Op.alloc, 2 * PAGES, -1, 4 * PAGES],
    ];
    heap.run(Float64Array.from(ops.flat()), results, { grow: true });
    const bases = [0, PAGE, 256 * PAGE, CHUNK, 4 * CHUNK];
    expect([...results]).toEqual(bases.flatMap((base, i) => [base, ops[i][1] * PAGE]));
    expect(heap.bounds()).toEqual({ start: 0, end: 6 });
    heap.check();
  });

  it("a batch refuses a wrong align, and an align above 1 with a page cache", () => {
    const heap = grownHeap(palloc, [0]);
    const run = (where: number, align: number) =>
      heap.run(Float64Array.of(Op.alloc, 1, where, align), new Float64Array(2), { caches: [undefined] });
    for (const align of [-1, 0.5, 3, 2 ** 21, 2 ** 32, Number.NaN, Infinity]) {
      const allowed = "must be a power of two from 1 to 1048576";
      refused(
        () => run(-1, align),
        { error: RangeError, names: ["align", allowed, `got ${align}`] },
        `${align}`,
      );
    }
    refused(
      () => run(0, 2),
      { error: RangeError, names: ["where must be -1 for an aligned alloc"] },
      "cache",
    );
    run(0, 1);
    run(0, 0);
  });
}

function freeRunTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;
  const heapOf = () =>
    PageAlloc.from({
      alloc: { 0: [[3, 500]], 1: [[5, 1]], 2: [], 900: [[0, 512]], 901: [[32, 32]] },
      scavenged: { 1: [[0, 3]], 2: [[100, 30]] },
    });

  it("freeRuns lists the free runs over chunk borders, lowest first", () => {
    const runs = [...heapOf().freeRuns()];
    expect(runs.map(({ base, nbytes, scavenged }) => [base / PAGE, nbytes / PAGE, scavenged / PAGE])).toEqual(
      [
        [0, 3, 0],
        [503, 9 + 5, 3],
        [PAGES + 6, 506 + 512, 30],
        [901 * PAGES, 32, 0],
        [901 * PAGES + 64, 448, 0],
      ],
    );
  });

  it("longestFree is what alloc has room for", () => {
    const heap = heapOf();
    for (let longest = 506 + 512; longest; longest = heap.longestFree()) {
      expect(heap.longestFree()).toBe(longest);
      expect(heap.alloc(longest + 1)).toBe(-1);
      expect(heap.alloc(longest)).toBeGreaterThanOrEqual(0);
    }
    expect(heap.alloc(1)).toBe(-1);
  });

  it("freeRuns and longestFree see runs over whole subtrees", () => {
    const heap = new PageAlloc();
    heap.grow(3 * CHUNK, 5000 * CHUNK);
    heap.allocRange(9 * CHUNK, 1);
    heap.allocRange(4999 * CHUNK, 1);
    const [first, second, third, ...others] = heap.freeRuns();
    expect([first, second, third]).toEqual([
      { base: 3 * CHUNK, nbytes: 6 * CHUNK, scavenged: 6 * CHUNK },
      { base: 9 * CHUNK + PAGE, nbytes: 4990 * CHUNK - PAGE, scavenged: 4990 * CHUNK - PAGE },
      { base: 4999 * CHUNK + PAGE, nbytes: 4 * CHUNK - PAGE, scavenged: 4 * CHUNK - PAGE },
    ]);
    expect(others).toEqual([]);
    expect(heap.longestFree()).toBe(4990 * PAGES - 1);
  });

  it("freeRuns of an empty heap and of a full one lists none", () => {
    const heap = new PageAlloc();
    expect([[...heap.freeRuns()], heap.longestFree()]).toEqual([[], 0]);
    heap.grow(0, CHUNK);
    heap.alloc(PAGES);
    expect([[...heap.freeRuns()], heap.longestFree()]).toEqual([[], 0]);
  });

  const changes: [name: string, change: (heap: PageAlloc) => unknown][] = [
    ["alloc", (heap) => heap.alloc(1)],
    ["allocRange", (heap) => heap.allocRange(2 * CHUNK, 1)],
    ["free", (heap) => heap.free(3 * PAGE, 1)],
    ["grow", (heap) => heap.grow(5 * CHUNK, PAGE)],
    ["unmap", (heap) => heap.unmap(2 * CHUNK, PAGE)],
    ["unmap and grow of the same page", (heap) => heap.grow(2 * CHUNK, heap.unmap(2 * CHUNK, PAGE))],
    ["scavenge", (heap) => heap.scavenge(PAGE)],
    ["scavengeRange", (heap) => heap.scavengeRange(2 * CHUNK, 1)],
    ["allocToCache", (heap) => heap.allocToCache()],
  ];
  it.each(changes)("freeRuns throws ERR_CHANGED after %s", (_, change) => {
    const heap = heapOf();
    const runs = heap.freeRuns();
    runs.next();
    change(heap);
    refused(() => runs.next(), { error: "ERR_CHANGED", names: ["begin again"] }, "next");
    expect(runs.next()).toEqual({ done: true, value: undefined });
    heap.check();
  });

  it("freeRuns goes on after calls that change no page", () => {
    const heap = heapOf();
    const want = [...heap.freeRuns()];
    const cache = new palloc.PageCache(heap, { base: 0, cache: 0b1000n, scav: 0n });
    const got = [];
    for (const run of heap.freeRuns()) {
      got.push(run);
      heap.alloc(5000);
      heap.stats();
      heap.resetScavengeAddr();
      heap.snapshot();
      cache.alloc(1);
      expect([...heap.freeRuns()]).toEqual(want);
      expect(() => heap.free(0, 1)).toThrow();
    }
    expect(got).toEqual(want);
  });

  it("freeRuns of a disposed heap throws at once", () => {
    const heap = heapOf();
    const runs = heap.freeRuns();
    heap.dispose();
    refused(() => heap.freeRuns(), { error: "ERR_DISPOSED", names: [] }, "freeRuns");
    refused(() => runs.next(), { error: "ERR_DISPOSED", names: [] }, "next");
  });
}

function sizeTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("physical pages may be a whole chunk", () => {
    const heap = touchedHeap(palloc, [1, 2, 3], { physPageSize: CHUNK, physHugePageSize: 0 });
    heap.allocRange(2 * CHUNK + 100 * PAGE, 1);
    expect(heap.scavengeOne(1)).toBe(CHUNK);
    expect(heap.scavAddr).toBe(3 * CHUNK - 1);
    expect(heap.scavenge()).toBe(CHUNK);
    expect(heap.ranges().scavenged).toEqual({ 1: [[0, PAGES]], 2: [], 3: [[0, PAGES]] });
    heap.free(2 * CHUNK + 100 * PAGE, 1);
    heap.resetScavengeAddr();
    expect(heap.scavenge(1)).toBe(CHUNK);
    heap.check();
  });

  it.each([16, 32, 256])(
    "pages of %i bytes on physical pages of 4096: only whole physical pages are released",
    (pageSize) => {
      const heap = new PageAlloc({ pageSize });
      const group = 4096 / pageSize;
      heap.grow(0, 2 ** 20);
      const npages = 2 ** 20 / pageSize;
      expect(heap.alloc(npages)).toBe(0);
      heap.free(0, npages);
      heap.allocRange((3 * group + 1) * pageSize, 1);
      expect(heap.scavenge()).toBe(2 ** 20 - 4096);
      heap.check();
      expect(heap.stats().released).toBe(2 ** 20 - 4096);
    },
  );

  it("addresses of small pages end below 2**48, and the error says where", () => {
    for (const [pageSize, bits] of [
      [16, 43],
      [1, 39],
      [256, 47],
      [512, 48],
    ]) {
      const heap = new PageAlloc({ pageSize });
      heap.grow(2 ** bits - heap.chunkBytes, heap.chunkBytes);
      expect(heap.alloc(1)).toBe(2 ** bits - heap.chunkBytes);
      heap.check();
      refused(
        () => heap.grow(2 ** bits, pageSize),
        { error: RangeError, names: [`to ${2 ** bits - 1}`] },
        "grow",
      );
      const names = [`heapAddrBits for pages of ${pageSize} bytes must be an integer from 32 to ${bits}`];
      const heapAddrBits = bits + 1;
      refused(() => new PageAlloc({ pageSize, heapAddrBits }), { error: RangeError, names }, "heapAddrBits");
    }
  });
}

function searchTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("searchAddr rises with alloc and falls with free", () => {
    const heap = grownHeap(palloc, [5]);
    expect(heap.searchAddr).toBe(5 * CHUNK);
    heap.alloc(PAGES);
    expect(heap.alloc(1)).toBe(-1);
    expect(heap.searchAddr).toBe(SPACE);
    heap.free(5 * CHUNK + 70 * PAGE, 1);
    expect(heap.searchAddr).toBe(5 * CHUNK + 70 * PAGE);
    heap.grow(4 * CHUNK, CHUNK);
    expect(heap.searchAddr).toBe(4 * CHUNK);
    heap.grow(6 * CHUNK, CHUNK);
    expect(heap.searchAddr).toBe(4 * CHUNK);
  });

  it("allocRange takes exactly its range", () => {
    const heap = PageAlloc.from({ alloc: { 1: [[0, 2]], 2: [] }, scavenged: { 1: [[500, 12]] } });
    expect(heap.allocRange(CHUNK + 498 * PAGE, 20)).toBe(12 * PAGE);
    expect(heap.lastAllocScavenged).toBe(12 * PAGE);
    expect(bitsOf(heap)).toEqual({
      alloc: {
        1: [
          [0, 2],
          [498, 14],
        ],
        2: [[0, 6]],
      },
      scavenged: { 1: [], 2: [] },
    });
    expect(heap.alloc(496)).toBe(CHUNK + 2 * PAGE);
    heap.check();
  });

  it("alloc reports the scavenged bytes and clears the scavenged bits", () => {
    const heap = PageAlloc.from({
      alloc: { 1: [] },
      scavenged: {
        1: [
          [2, 3],
          [100, 1],
        ],
      },
    });
    expect(heap.alloc(4)).toBe(CHUNK);
    expect(heap.lastAllocScavenged).toBe(2 * PAGE);
    heap.free(CHUNK, 4);
    expect(heap.ranges().scavenged).toEqual({
      1: [
        [4, 1],
        [100, 1],
      ],
    });
    heap.alloc(4);
    expect(heap.lastAllocScavenged).toBe(0);
  });
}

function growTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("new pages are free and scavenged", () => {
    const heap = grownHeap(palloc, [1]);
    expect(bitsOf(heap)).toEqual({ alloc: { 1: [] }, scavenged: { 1: [[0, PAGES]] } });
    heap.alloc(3);
    expect(heap.lastAllocScavenged).toBe(3 * PAGE);
  });

  it("mappedRanges merges neighbours, whatever the order of growth", () => {
    const heap = grownHeap(palloc, [9, 2, 4, 3, 8]);
    expect(heap.mappedRanges()).toEqual([
      [2 * CHUNK, 5 * CHUNK],
      [8 * CHUNK, 10 * CHUNK],
    ]);
    expect(heap.bounds()).toEqual({ start: 2, end: 10 });
    heap.check();
  });

  it("one heap can have both ends of the 48-bit space", () => {
    const heap = grownHeap(palloc, [0]);
    heap.grow(SPACE - CHUNK, CHUNK);
    expect(heap.bounds()).toEqual({ start: 0, end: SPACE / CHUNK });
    expect(heap.mappedRanges()).toEqual([
      [0, CHUNK],
      [SPACE - CHUNK, SPACE],
    ]);
    expect(heap.alloc(PAGES)).toBe(0);
    expect(heap.alloc(1)).toBe(SPACE - CHUNK);
    heap.free(0, PAGES);
    heap.resetScavengeAddr();
    expect(heap.scavAddr).toBe(SPACE - 1);
    expect(heap.scavenge()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(-1);
    heap.check();
  });

  it("many chunks can be grown, allocated and freed at once", () => {
    const heap = new PageAlloc();
    heap.grow(100 * CHUNK, 1000 * CHUNK);
    expect(heap.mappedRanges()).toEqual([[100 * CHUNK, 1100 * CHUNK]]);
    expect(heap.alloc(1000 * PAGES)).toBe(100 * CHUNK);
    heap.free(100 * CHUNK, 1000 * PAGES);
    expect(heap.alloc(999 * PAGES + 1)).toBe(100 * CHUNK);
    heap.check();
  });
}

function scavengeTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("scavenge goes from the highest address down and takes each page once", () => {
    const heap = touchedHeap(palloc, [3, 4], { physHugePageSize: 0 });
    expect(heap.scavAddr).toBe(5 * CHUNK - 1);
    expect(heap.scavenge(PAGE)).toBe(PAGE);
    expect(heap.scavAddr).toBe(5 * CHUNK - PAGE - 1);
    expect(heap.scavenge(2 * PAGE + 1)).toBe(3 * PAGE);
    expect(heap.ranges().scavenged).toEqual({ 3: [], 4: [[508, 4]] });
    expect(heap.scavenge()).toBe(2 * CHUNK - 4 * PAGE);
    expect(heap.scavenge()).toBe(0);
    heap.check();
  });

  it("scavengeOne takes the top of one run", () => {
    const heap = PageAlloc.from({ alloc: { 3: [[100, 300]] } }, { physHugePageSize: 0 });
    expect(heap.scavengeOne(5 * PAGE)).toBe(5 * PAGE);
    expect(heap.scavengeOne()).toBe(107 * PAGE);
    expect(heap.scavengeOne(0)).toBe(PAGE);
    expect(heap.scavengeOne(Infinity)).toBe(99 * PAGE);
    expect(heap.scavAddr).toBe(3 * CHUNK - 1);
    expect(heap.scavengeOne()).toBe(0);
    expect(heap.ranges().scavenged).toEqual({
      3: [
        [0, 100],
        [400, 112],
      ],
    });
  });

  it("scavengeOne looks in scavAddr's chunk, though it last released pages of another leaf", () => {
    const heap = touchedHeap(palloc, [0, 200], { physHugePageSize: 0 });
    expect(heap.scavengeOne()).toBe(CHUNK);
    expect(heap.scavengeOne(PAGE)).toBe(PAGE);
    // Unscavenged pages above scavAddr, in the leaf of the first release.
    heap.allocRange(200 * CHUNK, 4);
    heap.free(200 * CHUNK, 4);
    expect(heap.scavengeOne(PAGE)).toBe(PAGE);
    expect(heap.ranges().scavenged).toEqual({ 0: [[510, 2]], 200: [[4, 508]] });
    heap.check();
  });

  it("a leaf that has been unmapped and mapped elsewhere is scavenged as the new one", () => {
    const heap = touchedHeap(palloc, [0, 8, 16], { physHugePageSize: 0 });
    heap.scavengeOne(PAGE);
    heap.scavengeOne(PAGE);
    heap.unmap(16 * CHUNK, CHUNK);
    heap.grow(24 * CHUNK, CHUNK);
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(2 * CHUNK);
    expect(heap.ranges().scavenged).toEqual({ 0: [[0, 512]], 8: [[0, 512]], 24: [[0, 512]] });
    heap.check();
  });

  it("alloc and free find their chunk when the leaf of the last alloc has other chunks by now", () => {
    const heap = touchedHeap(palloc, [8, 9, 16]);
    heap.free(heap.alloc(1), 1);
    heap.unmap(8 * CHUNK, CHUNK);
    expect(() => heap.free(8 * CHUNK, 1)).toThrow(expect.objectContaining({ code: "ERR_NOT_MAPPED" }));
    expect(heap.alloc(1)).toBe(9 * CHUNK);
    heap.free(9 * CHUNK, 1);
    heap.unmap(9 * CHUNK, CHUNK);
    heap.grow(0, CHUNK);
    expect(() => heap.free(9 * CHUNK, 1)).toThrow(expect.objectContaining({ code: "ERR_NOT_MAPPED" }));
    expect(heap.alloc(512)).toBe(0);
    expect(heap.alloc(1)).toBe(16 * CHUNK);
    heap.free(0, 512);
    heap.free(16 * CHUNK, 1);
    expect(heap.stats().inUse).toBe(0);
    heap.check();
  });

  it("an alloc that fails reports no scavenged bytes", () => {
    const heap = grownHeap(palloc, [0]);
    heap.alloc(3);
    expect(heap.lastAllocScavenged).toBe(3 * PAGE);
    expect(heap.alloc(512)).toBe(-1);
    expect(heap.lastAllocScavenged).toBe(0);
  });

  it("scavenge takes nothing above scavAddr's word until a reset", () => {
    const heap = PageAlloc.from({ alloc: { 3: [[64, 448]] } });
    expect(heap.scavenge()).toBe(64 * PAGE);
    heap.free(3 * CHUNK + 64 * PAGE, 448);
    expect(heap.scavenge()).toBe(0);
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(448 * PAGE);
    heap.allocRange(3 * CHUNK, 9);
    heap.free(3 * CHUNK, 9);
    heap.grow(4 * CHUNK, CHUNK);
    expect(heap.scavenge()).toBe(0);
    heap.resetScavengeAddr();
    expect(heap.scavAddr).toBe(5 * CHUNK - 1);
    expect(heap.scavenge()).toBe(9 * PAGE);
  });
}

function releaseTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("each grow moves scavAddr to the top, until the first reset", () => {
    const heap = grownHeap(palloc, [3]);
    expect(heap.scavAddr).toBe(4 * CHUNK - 1);
    heap.alloc(10);
    heap.free(3 * CHUNK, 10);
    expect(heap.scavenge()).toBe(10 * PAGE);
    expect(heap.scavenge()).toBe(0);
    heap.grow(5 * CHUNK, 7 * PAGE);
    expect(heap.scavAddr).toBe(5 * CHUNK + 7 * PAGE - 1);
    heap.grow(CHUNK, CHUNK);
    expect(heap.scavAddr).toBe(5 * CHUNK + 7 * PAGE - 1);
    expect(heap.scavenge()).toBe(0);
    heap.resetScavengeAddr();
    expect(heap.scavenge()).toBe(0);
    const { scavAddr } = heap;
    heap.grow(9 * CHUNK, CHUNK);
    expect(heap.scavAddr).toBe(scavAddr);
  });

  it("a grow in a hook before the first reset overrides the pass's own scavAddr", () => {
    const sys: { unused?: () => void } = {};
    const heap = grownHeap(palloc, [3], { sys });
    heap.allocRange(3 * CHUNK, PAGES);
    heap.free(3 * CHUNK, PAGES);
    sys.unused = () => {
      heap.grow(9 * CHUNK, CHUNK);
      sys.unused = undefined;
    };
    expect(heap.scavengeOne()).toBe(CHUNK);
    expect(heap.scavAddr).toBe(10 * CHUNK - 1);
  });

  it("only whole physical pages are scavenged", () => {
    const options = { physPageSize: 4 * PAGE, physHugePageSize: 0 };
    const heap = PageAlloc.from(
      {
        alloc: {
          1: [
            [0, 6],
            [11, 1],
            [21, 491],
          ],
        },
      },
      options,
    );
    expect(heap.scavenge()).toBe(8 * PAGE);
    expect(heap.ranges().scavenged).toEqual({ 1: [[12, 8]] });
  });

  it("scavengeRange scavenges free pages, wherever scavAddr is", () => {
    const alloc = { 1: [[0, 10] as const], 2: [], 4: [] };
    const heap = PageAlloc.from({ alloc, scavenged: { 1: [[20, 5]] } });
    const { scavAddr } = heap;
    expect(heap.scavengeRange(CHUNK + 5 * PAGE, 25)).toBe(15 * PAGE);
    expect(heap.scavengeRange(CHUNK + 5 * PAGE, 25)).toBe(0);
    expect(heap.scavengeRange(2 * CHUNK + 500 * PAGE, 1000)).toBe(12 * PAGE + 476 * PAGE);
    expect(heap.scavengeRange(0, 512)).toBe(0);
    expect(heap.scavengeRange(50 * CHUNK, 512)).toBe(0);
    expect(heap.ranges().scavenged).toEqual({ 1: [[10, 20]], 2: [[500, 12]], 4: [[0, 476]] });
    expect(heap.scavAddr).toBe(scavAddr);
    heap.check();
  });

  it("scavengeRange takes 2**31 pages that are nearly all holes", () => {
    const heap = grownHeap(palloc, [0, SPACE / CHUNK - 1]);
    heap.free(heap.alloc(9), 9);
    expect(heap.scavengeRange(0, 2 ** 31)).toBe(9 * PAGE);
    expect(heap.stats()).toMatchObject({ released: 2 * CHUNK, scavenges: 1, scavengedTotal: 9 * PAGE });
    expect(heap.scavengeRange(0, 9)).toBe(0);
    heap.check();
  });

  it("huge pages are not split", () => {
    const heap = touchedHeap(palloc, [1], { physHugePageSize: 16 * PAGE });
    expect(heap.scavengeOne(PAGE)).toBe(16 * PAGE);
    expect(heap.scavengeOne(17 * PAGE)).toBe(32 * PAGE);
    heap.allocRange(CHUNK + 450 * PAGE, 1);
    expect(heap.scavengeOne(PAGE)).toBe(PAGE);
    expect(heap.scavengeOne(12 * PAGE)).toBe(12 * PAGE);
  });
}

function stateTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("from accepts chunks without ranges and sets the scavenged bits first", () => {
    const heap = PageAlloc.from({
      alloc: {
        5: [],
        7: [
          [0, 3],
          [9, 0],
        ],
      },
      scavenged: { 5: [[1, 2]], 7: [[2, 2]] },
    });
    expect(bitsOf(heap)).toEqual({ alloc: { 5: [], 7: [[0, 3]] }, scavenged: { 5: [[1, 2]], 7: [[3, 1]] } });
    expect(heap.mappedRanges()).toEqual([
      [5 * CHUNK, 6 * CHUNK],
      [7 * CHUNK, 8 * CHUNK],
    ]);
    expect(heap.scavAddr).toBe(8 * CHUNK - 1);
    expect(heap.searchAddr).toBeLessThanOrEqual(5 * CHUNK);
    heap.check();
  });

  it("from is the inverse of ranges", () => {
    const heap = grownHeap(palloc, [2, 3, 70000]);
    for (let n = 1; n < 40; n++) heap.alloc(n);
    heap.free(2 * CHUNK + 3 * PAGE, 30);
    heap.free(2 * CHUNK + 200 * PAGE, 1);
    heap.resetScavengeAddr();
    heap.scavenge(20 * PAGE);
    const copy = PageAlloc.from(heap.ranges());
    expect(copy.ranges()).toEqual(heap.ranges());
    copy.check();
  });

  it("from an empty description makes an empty heap", () => {
    const heap = PageAlloc.from({ alloc: {} });
    expect(heap.mappedRanges()).toEqual([]);
    expect(heap.scavAddr).toBe(-1);
  });

  it("chunk returns a live view", () => {
    const heap = grownHeap(palloc, [6]);
    const chunk = heap.chunk(6);
    expect(chunk.summarize()).toEqual({ start: 512, max: 512, end: 512 });
    heap.alloc(70);
    expect(chunk.alloc.popcntRange(0, PAGES)).toBe(70);
    expect(chunk.alloc.words[1]).toBe(0x3fn);
    expect(chunk.scavenged.get(69)).toBe(false);
    expect(chunk.scavenged.get(70)).toBe(true);
    expect(chunk.find(1, 0)).toEqual({ index: 70, searchIdx: 70 });
  });

  it("check finds a page both in use and scavenged", () => {
    const heap = grownHeap(palloc, [6]);
    heap.chunk(6).alloc.setRange(9, 1);
    expect(() => heap.check()).toThrow(expect.objectContaining({ code: "ERR_CORRUPT" }));
  });

  it("check finds a wrong summary", () => {
    const heap = touchedHeap(palloc, [6]);
    heap.chunk(6).alloc.setRange(9, 1);
    expect(() => heap.check()).toThrow(expect.objectContaining({ code: "ERR_CORRUPT" }));
  });
}

function statsTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("stats count every call", () => {
    const heap = grownHeap(palloc, [1, 2]);
    heap.alloc(100);
    heap.alloc(10);
    heap.free(CHUNK, 60);
    heap.resetScavengeAddr();
    heap.scavenge(20 * PAGE);
    heap.allocRange(CHUNK + 50 * PAGE, 5);
    expect(heap.alloc(2000)).toBe(-1);
    const { metadata, ...stats } = heap.stats();
    expect(stats).toEqual({
      sys: 2 * CHUNK,
      inUse: 55 * PAGE,
      free: 2 * CHUNK - 55 * PAGE,
      released: 2 * CHUNK - 110 * PAGE + 15 * PAGE,
      retained: 95 * PAGE,
      peakInUse: 110 * PAGE,
      peakRetained: 110 * PAGE,
      allocs: 3,
      frees: 1,
      scavenges: 1,
      scavengedTotal: 20 * PAGE,
    });
    expect(metadata).toBeGreaterThan(0);
  });

  it("stats of a heap made by from start at its first state", () => {
    const { metadata: _, ...stats } = PageAlloc.from({
      alloc: { 1: [[0, 10]] },
      scavenged: { 1: [[100, 5]] },
    }).stats();
    const counters = { allocs: 0, frees: 0, scavenges: 0, scavengedTotal: 0 };
    const peaks = { peakInUse: 10 * PAGE, peakRetained: 507 * PAGE };
    const sizes = {
      sys: CHUNK,
      inUse: 10 * PAGE,
      free: 502 * PAGE,
      released: 5 * PAGE,
      retained: 507 * PAGE,
    };
    expect(stats).toEqual({ ...sizes, ...peaks, ...counters });
  });
}
