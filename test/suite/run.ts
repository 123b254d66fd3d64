// Batches: each operation does what the call of its name does, with the same results, counts and bytes; what is refused
// is refused as by that call, and what came before it stands.
import { describe, expect, it } from "vitest";
import { CHUNK, grownHeap, PAGE, SPACE } from "../support/heaps.ts";
import { Random } from "../support/random.ts";
import { NOT_OBJECTS, printed, refused } from "../support/refusals.ts";
import { same, sameBytes } from "../support/same.ts";
import type { PageAlloc, PageCache, Palloc, Subject } from "../support/subject.ts";

type Row = readonly [code: number, npages: number, where: number, offset: number];
type Result = [value: number, scavenged: number];
type Caches = Array<PageCache | undefined>;
type Options = Parameters<PageAlloc["run"]>[2];

export function runSuite(subject: Subject): void {
  describe("batches of operations", () => {
    resultTests(subject);
    cacheTests(subject);
    refillTests(subject);
    growTests(subject);
    refusedTests(subject);
    wrongNumberTests(subject);
    argumentTests(subject);
    readOnceTests(subject);
    bufferTests(subject);
    sizeTests(subject);
    randomTests(subject);
  });
}

/** Runs the rows as one batch. Results that it leaves out stay NaN. */
function runRows(heap: PageAlloc, rows: readonly Row[], options?: Options): Result[] {
  const results = new Float64Array(rows.length * 2).fill(Number.NaN);
  heap.run(Float64Array.from(rows.flat()), results, options);
  return rows.map((_, i) => [results[2 * i], results[2 * i + 1]]);
}

/** The operations, as rows. */
function rowsOf({ Op }: Palloc) {
  return {
    alloc: (npages: number, cache = -1): Row => [Op.alloc, npages, cache, 0],
    allocRange: (base: number, npages: number): Row => [Op.allocRange, npages, base, 0],
    free: (base: number, npages: number): Row => [Op.free, npages, base, 0],
    freeResult: (of: number, offset: number, npages: number): Row => [Op.freeResult, npages, of, offset],
    scavengeRange: (base: number, npages: number): Row => [Op.scavengeRange, npages, base, 0],
  };
}

function resultTests({ palloc }: Subject): void {
  const { alloc, allocRange, free, freeResult, scavengeRange } = rowsOf(palloc);

  it("keeps the codes of operations", () => {
    expect(palloc.Op).toEqual({ alloc: 0, allocRange: 1, free: 2, freeResult: 3, scavengeRange: 4 });
  });

  it("writes the value and the scavenged bytes of each operation", () => {
    const heap = grownHeap(palloc, [1]);
    const rows = [
      alloc(10),
      allocRange(CHUNK + 20 * PAGE, 5),
      free(CHUNK, 4),
      alloc(2),
      scavengeRange(CHUNK, 512),
      alloc(3),
      alloc(513),
    ];
    expect(runRows(heap, rows)).toEqual([
      [CHUNK, 10 * PAGE],
      [CHUNK + 20 * PAGE, 5 * PAGE],
      [CHUNK, 0],
      [CHUNK, 0],
      [2 * PAGE, 0],
      [CHUNK + 10 * PAGE, 3 * PAGE],
      [-1, 0],
    ]);
    expect(heap.stats()).toMatchObject({ allocs: 4, frees: 1, scavenges: 1, scavengedTotal: 2 * PAGE });
    heap.check();
  });

  it("frees earlier results of the batch, whole and in parts", () => {
    const heap = grownHeap(palloc, [1]);
    const rows = [
      alloc(10),
      alloc(6),
      freeResult(0, 3 * PAGE, 4),
      freeResult(1, 0, 6),
      freeResult(2, -PAGE, 1),
    ];
    expect(runRows(heap, rows).slice(2)).toEqual([
      [CHUNK + 3 * PAGE, 0],
      [CHUNK + 10 * PAGE, 0],
      [CHUNK + 2 * PAGE, 0],
    ]);
    expect(heap.ranges().alloc).toEqual({
      1: [
        [0, 2],
        [7, 3],
      ],
    });
  });

  it("writes no more results than there are operations", () => {
    const heap = grownHeap(palloc, [0]);
    const results = new Float64Array(6).fill(7);
    heap.run(Float64Array.from(alloc(2)), results);
    expect([...results]).toEqual([0, 2 * PAGE, 7, 7, 7, 7]);
  });

  it("does nothing without operations", () => {
    const heap = grownHeap(palloc, [0]);
    const before = heap.snapshot();
    heap.run(new Float64Array(0), new Float64Array(0));
    sameBytes(heap.snapshot(), before, "state");
  });
}

function cacheTests({ palloc }: Subject): void {
  const { alloc, free } = rowsOf(palloc);

  it("creates missing caches and allocates from the numbered one", () => {
    const heap = grownHeap(palloc, [0]);
    const caches: Caches = [undefined, undefined];
    const results = runRows(heap, [alloc(4, 1), alloc(4, 0), alloc(4), alloc(4, 1), alloc(4, 0)], { caches });
    expect(results.map(([value]) => value / PAGE)).toEqual([0, 64, 128, 4, 68]);
    expect(caches.map((cache) => cache?.base)).toEqual([64 * PAGE, 0]);
    expect(caches.map((cache) => cache?.cache)).toEqual([2n ** 64n - 2n ** 8n, 2n ** 64n - 2n ** 8n]);
    expect(heap.stats()).toMatchObject({ allocs: 3, inUse: 132 * PAGE, released: 380 * PAGE });
    for (const cache of caches) cache?.flush();
    expect(heap.stats().inUse).toBe(20 * PAGE);
    heap.check();
  });

  it("refills an empty cache, and allocates from the heap if the cache has no room", () => {
    const heap = grownHeap(palloc, [0]);
    const caches: Caches = [];
    caches.length = 1;
    const sizes = [40, 30, 24, 65, 64];
    const results = runRows(
      heap,
      sizes.map((npages) => alloc(npages, 0)),
      { caches },
    );
    expect(results.map(([value]) => value / PAGE)).toEqual([0, 64, 40, 94, 192]);
    expect(heap.stats()).toMatchObject({ allocs: 5 });
    // The block of the lowest free page had no 64 of them.
    expect(caches[0]?.base).toBe(128 * PAGE);
  });

  it("refills no cache for more than 64 pages", () => {
    const heap = grownHeap(palloc, [0]);
    const caches: Caches = [undefined];
    expect(runRows(heap, [alloc(65, 0)], { caches })[0]).toEqual([0, 65 * PAGE]);
    expect(caches[0]?.empty).toBe(true);
    expect(caches[0]?.base).toBe(-1);
    expect(heap.stats()).toMatchObject({ allocs: 1, inUse: 65 * PAGE });
  });

  it("refills a flushed cache", () => {
    const heap = grownHeap(palloc, [0]);
    const caches: Caches = [heap.allocToCache()];
    caches[0]?.flush();
    expect(runRows(heap, [alloc(3, 0)], { caches })).toEqual([[0, 3 * PAGE]]);
    expect(caches[0]?.alloc(1)).toBe(3 * PAGE);
    caches[0]?.flush();
    expect(heap.stats().inUse).toBe(4 * PAGE);
  });

  it("accepts one cache under two numbers", () => {
    const heap = grownHeap(palloc, [0]);
    const cache = heap.allocToCache();
    const results = runRows(heap, [alloc(3, 0), alloc(3, 1), alloc(3, 0)], { caches: [cache, cache] });
    expect(results.map(([value]) => value / PAGE)).toEqual([0, 3, 6]);
  });

  it("frees pages allocated from a cache, but none that the cache owns", () => {
    const heap = grownHeap(palloc, [0]);
    const caches: Caches = [undefined];
    runRows(heap, [alloc(4, 0), free(PAGE, 2)], { caches });
    const refusal = { error: "ERR_NOT_ALLOCATED", names: ["operation 0 of the batch: the page at"] };
    refused(() => runRows(heap, [free(3 * PAGE, 2)], { caches }), refusal, "a cache's page");
  });
}

function refillTests({ palloc }: Subject): void {
  it("PageCache.refill gives an emptied cache the same pages as allocToCache", () => {
    const heap = grownHeap(palloc, [0]);
    const [cache, other] = [heap.allocToCache(), grownHeap(palloc, [0])];
    other.allocToCache();
    for (const each of [heap, other]) each.allocRange(70 * PAGE, 3);
    expect(cache.refill()).toBe(true);
    expect(cache.base).toBe(0);
    cache.alloc(64);
    expect(cache.empty).toBe(true);
    expect(cache.refill()).toBe(true);
    const want = other.allocToCache();
    expect([cache.base, cache.cache, cache.scav]).toEqual([want.base, want.cache, want.scav]);
    expect({ ...heap.stats(), metadata: 0 }).toEqual({ ...other.stats(), metadata: 0 });
    heap.check();
  });

  it("PageCache.refill fills a flushed cache, and returns false if no page is free", () => {
    const heap = grownHeap(palloc, [0]);
    const cache = heap.allocToCache();
    cache.flush();
    heap.alloc(512);
    const before = heap.stats();
    expect(cache.refill()).toBe(false);
    expect(cache.empty).toBe(true);
    expect(cache.alloc(1)).toBe(-1);
    expect(heap.stats()).toEqual({ ...before, metadata: heap.stats().metadata });
    heap.free(5 * PAGE, 1);
    expect(cache.refill()).toBe(true);
    expect(cache.cache).toBe(2n ** 5n);
    cache.flush();
    expect(heap.stats().inUse).toBe(511 * PAGE);
    heap.dispose();
    refused(() => cache.refill(), { error: "ERR_DISPOSED", names: [] }, "refill of a heap that is gone");
  });
}

function growTests({ palloc }: Subject): void {
  const { alloc, freeResult } = rowsOf(palloc);

  it("grows upward by the request in whole chunks, if options.grow is set", () => {
    const heap = grownHeap(palloc, [3]);
    expect(runRows(heap, [alloc(500), alloc(513)]).map(([value]) => value)).toEqual([3 * CHUNK, -1]);
    const rows = [alloc(513), alloc(12), freeResult(0, 0, 513), alloc(1025)];
    expect(runRows(heap, rows, { grow: true }).map(([value]) => value / PAGE)).toEqual([
      ...[2036, 2549, 2036, 2561],
    ]);
    expect(heap.mappedRanges()).toEqual([[3 * CHUNK, 9 * CHUNK]]);
    expect(heap.stats().allocs).toBe(4);
    heap.check();
  });

  it("grows if a cache cannot be refilled", () => {
    const heap = grownHeap(palloc, [0]);
    heap.alloc(512);
    const caches: Caches = [undefined];
    const rows = [alloc(3, 0), alloc(3, 0)];
    const pages = runRows(heap, rows, { caches, grow: true }).map(([value]) => value / PAGE);
    expect(pages).toEqual([512, 515]);
    expect(caches[0]?.base).toBe(CHUNK);
  });

  it("stops if no addresses are left", () => {
    const heap = grownHeap(palloc, [SPACE / CHUNK - 1]);
    const refusal = { error: RangeError, names: ["operation 1 of the batch: base must be"] };
    refused(() => runRows(heap, [alloc(500), alloc(13)], { grow: true }), refusal, "growth beyond the end");
    expect(heap.stats()).toMatchObject({ sys: CHUNK, inUse: 500 * PAGE });
  });
}

function refusedTests({ palloc }: Subject): void {
  const { alloc, allocRange, free, freeResult, scavengeRange } = rowsOf(palloc);
  const heapAt1 = () => grownHeap(palloc, [1]);

  it.each([
    { row: free(CHUNK + 8 * PAGE, 4), error: "ERR_NOT_ALLOCATED", single: "free" },
    { row: free(0, 1), error: "ERR_NOT_MAPPED", single: "free" },
    { row: free(CHUNK + 1, 1), error: "ERR_MISALIGNED", single: "free" },
    { row: free(SPACE, 1), error: RangeError, single: "free" },
    { row: allocRange(CHUNK + 9 * PAGE, 4), error: "ERR_NOT_FREE", single: "allocRange" },
    { row: allocRange(CHUNK + 500 * PAGE, 13), error: "ERR_NOT_MAPPED", single: "allocRange" },
    { row: scavengeRange(CHUNK + 1, 1), error: "ERR_MISALIGNED", single: "scavengeRange" },
    { row: scavengeRange(SPACE, 1), error: RangeError, single: "scavengeRange" },
  ] as const)(
    "refuses $row like $single, names the operation and keeps the earlier ones",
    ({ row, error, single }) => {
      const [heap, other] = [heapAt1(), heapAt1()];
      const results = new Float64Array(8).fill(-7);
      const ops = Float64Array.from([alloc(10), freeResult(0, 0, 2), row, alloc(1)].flat());
      other.alloc(10);
      other.free(CHUNK, 2);
      const message = messageOf(() => other[single](row[2], row[1]));
      const refusal = { error, names: [`operation 2 of the batch: ${message}`] };
      refused(() => heap.run(ops, results), refusal, "batch");
      expect([...results]).toEqual([CHUNK, 10 * PAGE, CHUNK, 0, -7, -7, -7, -7]);
      sameBytes(heap.snapshot(), other.snapshot(), "state");
      expect(runRows(heap, [alloc(1)])).toEqual([[CHUNK, 0]]);
    },
  );

  it("refuses to free a result that is not an address", () => {
    const heap = heapAt1();
    const refusal = { error: RangeError, names: ["operation 1 of the batch: base must be", "got -1"] };
    refused(() => runRows(heap, [alloc(513), freeResult(0, 0, 1)]), refusal, "free of nothing");
    const again = { error: "ERR_NOT_ALLOCATED", names: ["operation 2 of the batch: "] };
    const rows = [alloc(1), freeResult(0, 0, 1), freeResult(0, 0, 1)];
    refused(() => runRows(heap, rows), again, "free of what is free");
  });

  it("passes on what sys.used throws, with the operation's number", () => {
    const why = new Error("not now");
    let left = 1;
    const used = () => {
      if (left-- === 0) throw why;
    };
    const heap = grownHeap(palloc, [0], { sys: { used } });
    const results = new Float64Array(4).fill(-7);
    const call = () => heap.run(Float64Array.from([alloc(3), alloc(4)].flat()), results);
    expect(call).toThrow(why);
    expect(why.message).toBe("operation 1 of the batch: not now");
    expect([...results]).toEqual([0, 3 * PAGE, -7, -7]);
    expect(heap.stats()).toMatchObject({ inUse: 3 * PAGE, allocs: 1 });
  });

  it.each([new DOMException("not now"), Object.freeze(new Error("not now")), "not now"])(
    "passes on what sys.used throws, even if its message is read-only: %o",
    (why) => {
      const used = () => {
        throw why;
      };
      const heap = grownHeap(palloc, [0], { sys: { used } });
      let thrown: unknown;
      try {
        runRows(heap, [alloc(3)]);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBe(why);
    },
  );
}

/** What the call says when it is refused. */
function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return expect.unreachable("the call was not refused");
}

function wrongNumberTests({ palloc }: Subject): void {
  const { alloc, allocRange, free, freeResult, scavengeRange } = rowsOf(palloc);
  const wrong = [NaN, -0.5, 0.5, 1.5, -2, -Infinity, Infinity, 2 ** 32, 2 ** 53, -(2 ** 63), 2 ** 64, 1e300];
  const fields = [
    { what: "the code", at: 0, row: alloc(1), values: [...wrong, -1, 5], names: "code must be" },
    ...[
      alloc(1),
      alloc(1, 0),
      allocRange(9 * PAGE, 1),
      free(0, 1),
      freeResult(0, 0, 1),
      scavengeRange(0, 1),
    ].map((row) => ({ what: "npages", at: 1, row, values: [...wrong.filter((n) => n !== 2 ** 32), 0, -1] })),
    {
      what: "a cache's number",
      at: 2,
      row: alloc(1, 0),
      values: [...wrong, 1, 2 ** 31],
      names: "where must be",
    },
    ...[allocRange(9 * PAGE, 1), free(0, 1), scavengeRange(0, 1)].map((row) => ({
      what: "a base",
      at: 2,
      row,
      values: [...wrong.filter((n) => n !== 2 ** 32), -1, -PAGE, SPACE],
    })),
    {
      what: "another operation",
      at: 2,
      row: freeResult(0, 0, 1),
      values: [...wrong, -1, 1, 2],
      names: "where must",
    },
    {
      what: "an offset",
      at: 3,
      row: freeResult(0, 0, 1),
      values: [NaN, -Infinity, Infinity, 0.5, -PAGE, 1e300],
    },
  ];

  it.each(fields)(
    "refuses $row with a wrong number for $what and does nothing",
    ({ at, row, values, ...rest }) => {
      const heap = grownHeap(palloc, [0]);
      const caches = [heap.allocToCache()];
      caches[0].alloc(64);
      heap.resetScavengeAddr();
      const names = "names" in rest ? [String(rest.names)] : [];
      for (const value of values) {
        const bad = row.with(at, value) as unknown as Row;
        heap.alloc(3);
        const before = heap.snapshot();
        const refusal = { error: RangeError, names: ["operation 0 of the batch: ", ...names] };
        refused(() => runRows(heap, [bad], { caches, grow: true }), refusal, `${bad}`);
        sameBytes(heap.snapshot(), before, `state after ${bad}`);
      }
      heap.check();
    },
  );
}

function argumentTests({ palloc }: Subject): void {
  const { alloc } = rowsOf(palloc);
  const one = Float64Array.from(alloc(1));

  it("refuses arrays that are no Float64Array or too short", () => {
    const heap = grownHeap(palloc, [0]);
    const before = heap.snapshot();
    const others = [
      undefined,
      1,
      "x",
      [0, 1, -1, 0],
      new Float32Array(4),
      new ArrayBuffer(32),
      ...NOT_OBJECTS,
    ];
    for (const value of others) {
      const refusal = { error: TypeError, names: ["ops must be a Float64Array", printed(value)] };
      refused(() => heap.run(value as never, new Float64Array(2)), refusal, `ops ${printed(value)}`);
      const names = ["results must be a Float64Array", printed(value)];
      refused(() => heap.run(one, value as never), { error: TypeError, names }, `results ${printed(value)}`);
    }
    const odd = { error: RangeError, names: ["ops.length must be a multiple of 4, got 5"] };
    refused(() => heap.run(new Float64Array(5), new Float64Array(9)), odd, "ops");
    const short = { error: RangeError, names: ["results.length must be 2 or more, got 1"] };
    refused(() => heap.run(one, new Float64Array(1)), short, "results");
    sameBytes(heap.snapshot(), before, "state");
  });

  it("refuses wrong options", () => {
    const heap = grownHeap(palloc, [0]);
    const run = (options: unknown) => heap.run(one, new Float64Array(2), options as Options);
    for (const value of NOT_OBJECTS) {
      refused(() => run(value), { error: TypeError, names: ["options", printed(value)] }, "options");
      const caches = { error: TypeError, names: ["options.caches must be an array", printed(value)] };
      refused(() => run({ caches: value }), caches, `caches ${printed(value)}`);
    }
    for (const grow of [null, 0, 1, "true", {}]) {
      const refusal = { error: TypeError, names: ["options.grow must be", printed(grow)] };
      refused(() => run({ grow }), refusal, `grow ${printed(grow)}`);
    }
    expect(heap.stats().allocs).toBe(0);
  });

  it("refuses caches not of this heap before it creates any", () => {
    const heap = grownHeap(palloc, [0]);
    const foreign = grownHeap(palloc, [0]).allocToCache();
    const before = heap.snapshot();
    for (const value of [null, 5, {}, foreign]) {
      const caches = [undefined, value] as Caches;
      const refusal = { error: TypeError, names: ["a page cache must be one of this heap", printed(value)] };
      refused(() => runRows(heap, [alloc(1)], { caches }), refusal, `cache ${printed(value)}`);
      expect(caches).toEqual([undefined, value]);
    }
    sameBytes(heap.snapshot(), before, "state");
  });

  it("refuses everything after dispose", () => {
    const heap = grownHeap(palloc, [0]);
    heap.dispose();
    const gone = { error: "ERR_DISPOSED", names: [] };
    refused(() => runRows(heap, []), gone, "no operations");
    refused(() => runRows(heap, [alloc(1)]), gone, "an operation");
    const caches: Caches = [undefined];
    refused(() => runRows(heap, [alloc(1)], { caches }), gone, "a cache to make");
    expect(caches).toEqual([undefined]);
  });
}

function readOnceTests({ palloc }: Subject): void {
  const { PageCache } = palloc;
  const { alloc } = rowsOf(palloc);

  it("reads each element of options.caches once and writes only missing ones", () => {
    const heap = grownHeap(palloc, [0]);
    const seen: string[] = [];
    const note = (what: string, key: PropertyKey) => {
      if (/^\d+$/.test(String(key))) seen.push(`${what} ${String(key)}`);
    };
    const caches = new Proxy([undefined, heap.allocToCache(), undefined] as Caches, {
      get: (target, key) => {
        note("get", key);
        return Reflect.get(target, key);
      },
      set: (target, key, value) => {
        note("set", key);
        return Reflect.set(target, key, value);
      },
    });
    const rows = [alloc(1, 0), alloc(1, 1), alloc(1, 2)];
    expect(runRows(heap, rows, { caches }).map(([value]) => value / PAGE)).toEqual([64, 0, 128]);
    expect(seen).toEqual(["get 0", "get 1", "get 2", "set 0", "set 2"]);
  });

  it("accepts a frozen array of caches if none is missing", () => {
    const heap = grownHeap(palloc, [0]);
    const caches = Object.freeze([heap.allocToCache()]) as Caches;
    expect(runRows(heap, [alloc(1, 0)], { caches })).toEqual([[0, PAGE]]);
    const before = heap.snapshot();
    const missing = Object.freeze([...caches, undefined]) as Caches;
    expect(() => runRows(heap, [alloc(1, 1)], { caches: missing })).toThrow(TypeError);
    sameBytes(heap.snapshot(), before, "state");
    heap.check();
  });

  it("refuses imitations of page caches and of their states", () => {
    const heap = grownHeap(palloc, [0]);
    const cache = heap.allocToCache();
    const before = heap.snapshot();
    for (const value of [Object.create(PageCache.prototype), new Proxy(cache, {})]) {
      const refusal = { error: TypeError, names: ["a page cache must be one of this heap"] };
      refused(() => runRows(heap, [], { caches: [value] }), refusal, "cache");
    }
    for (const state of [{ ref: 0 }, { base: 0, cache: 0n, scav: 0n, ref: 0 }, Symbol("new")])
      refused(
        () => new PageCache(heap, state as never),
        { error: TypeError, names: ["state"] },
        "new PageCache",
      );
    sameBytes(heap.snapshot(), before, "state");
  });
}

/** A buffer that can be made smaller. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (bytes: number) =>
  new (ArrayBuffer as new (bytes: number, options: object) => Resizable)(bytes, { maxByteLength: bytes });
const detach = (buffer: ArrayBufferLike) =>
  void structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });

/** An array whose own getters and methods tell nothing of its numbers. */
class Odd extends Float64Array {
  override get length() {
    return 4;
  }
  override get byteLength() {
    return 8;
  }
  override set = () => {};
  override slice = () => this as never;
  override subarray = () => new Float64Array(0) as never;
}

function bufferTests({ palloc }: Subject): void {
  const { alloc, free, freeResult } = rowsOf(palloc);
  const rows = [alloc(3), alloc(4), freeResult(0, 0, 3), alloc(600), alloc(2), free(PAGE, 1), alloc(1, 0)];
  const numbers = rows.flat();
  /** What the rows give where nothing is odd: on one heap with a hook, on one without. */
  const run = (make: () => [ops: Float64Array, results: Float64Array], hook: boolean) => {
    const heap = grownHeap(palloc, [0], { sys: hook ? { used() {} } : {} });
    const [ops, results] = make();
    const view = new Float64Array(results.buffer, results.byteOffset, 2 * rows.length);
    heap.run(ops, results, { caches: [undefined], grow: true });
    return [...view];
  };
  const plainly = () => run(() => [Float64Array.from(numbers), new Float64Array(2 * rows.length)], false);

  it.each([false, true])("refuses detached and shrunken arrays (with a hook: %s)", (hook) => {
    const heap = grownHeap(palloc, [0], { sys: hook ? { used() {} } : {} });
    const before = heap.snapshot();
    const gone = (length: number) => {
      const detached = new Float64Array(length);
      detach(detached.buffer);
      const shrunk = resizable(8 * length + 8);
      const views = [new Float64Array(shrunk, 8, length), new Float64Array(shrunk, 8)];
      shrunk.resize(4);
      return [detached, ...views];
    };
    for (const [name, good, bad] of [
      ["ops", new Float64Array(2), gone(4)],
      ["results", Float64Array.from(alloc(1)), gone(2)],
    ] as const) {
      for (const view of bad) {
        const call = () => (name === "ops" ? heap.run(view, good) : heap.run(good, view));
        const names = [`${name} must keep its bytes`, "detached or has shrunk"];
        refused(call, { error: TypeError, names }, name);
      }
    }
    sameBytes(heap.snapshot(), before, "state");
  });

  it.each(["detaches", "shrinks"])("names the lost result if a hook %s results", (how) => {
    for (const count of [2, 1]) {
      const buffer = resizable(8 * 2 * count);
      const used = () => (how === "shrinks" ? buffer.resize(8) : detach(buffer));
      const heap = grownHeap(palloc, [0], { sys: { used } });
      const ops = Float64Array.from([alloc(3), alloc(4)].slice(0, count).flat());
      const names = ["operation 0 of the batch: results must keep its bytes", "value 0, scavenged 24576"];
      const call = () => heap.run(ops, new Float64Array(buffer));
      refused(call, { error: TypeError, names }, `${count} operations`);
      expect(heap.stats()).toMatchObject({ allocs: 1, inUse: 3 * PAGE });
      heap.check();
    }
  });

  it("completes even if a hook detaches ops, or shrinks results to what is needed", () => {
    const ops = Float64Array.from(numbers);
    const room = resizable(8 * (2 * rows.length + 5));
    const sys = {
      used: () => {
        if (ops.length) detach(ops.buffer);
        room.resize(8 * 2 * rows.length);
      },
    };
    const heap = grownHeap(palloc, [0], { sys });
    heap.run(ops, new Float64Array(room), { caches: [undefined], grow: true });
    expect([...new Float64Array(room)]).toEqual(plainly());
  });

  it.each([false, true])("reads all operations before it writes a result (with a hook: %s)", (hook) => {
    const want = plainly();
    const shared = (bytes: number) => new SharedArrayBuffer(bytes);
    for (const make of [(bytes: number) => new ArrayBuffer(bytes), shared]) {
      for (let at = 0; at <= numbers.length; at++) {
        const arrays = (): [Float64Array, Float64Array] => {
          const buffer = make(8 * (numbers.length + 2 * rows.length));
          // A second view of the same memory, where it can have one.
          const again = buffer instanceof ArrayBuffer ? buffer : structuredClone(buffer);
          new Float64Array(buffer).set(numbers, Math.min(at, 2));
          return [
            new Float64Array(buffer, 8 * Math.min(at, 2), numbers.length),
            new Float64Array(again, 8 * at, 2 * rows.length),
          ];
        };
        expect(run(arrays, hook), `results ${at} numbers into the buffer`).toEqual(want);
      }
    }
  });

  it.each([false, true])("reads the real numbers of a subclass (with a hook: %s)", (hook) => {
    const arrays = (): [Float64Array, Float64Array] => [
      new Odd(Float64Array.from(numbers).buffer),
      new Odd(new ArrayBuffer(8 * 2 * rows.length)),
    ];
    expect(run(arrays, hook)).toEqual(plainly());
  });
}

function sizeTests({ palloc }: Subject): void {
  const { alloc, freeResult } = rowsOf(palloc);

  it("accepts a batch larger than the present memory", () => {
    const count = 150_000;
    const ops = new Float64Array(count * 4);
    const results = new Float64Array(count * 2).fill(Number.NaN);
    for (let i = 0; i < count; i++)
      ops.set(i % 3 < 2 ? alloc(1 + (i % 7)) : freeResult(i - 2, 0, 1 + ((i - 2) % 7)), i * 4);
    const heap = grownHeap(palloc, [0]);
    heap.run(ops, results, { grow: true });
    expect(results.every((value) => value >= 0)).toBe(true);
    expect(heap.stats()).toMatchObject({ allocs: 100_000, frees: 50_000 });
    heap.check();
    const [other, rest] = [grownHeap(palloc, [0]), new Float64Array(4)];
    other.run(Float64Array.from([alloc(2), freeResult(0, 0, 2)].flat()), rest);
    expect([...rest]).toEqual([0, 2 * PAGE, 0, 0]);
  });
}

function randomTests({ palloc }: Subject): void {
  const seeds = Array.from({ length: 40 }, (_, i) => i + 1);

  it.each(seeds)("gives the same as single calls, seed %i", (seed) => new Pair(palloc, seed, false).run(15));
  it.each(seeds.slice(0, 10))("gives the same as single calls, with a sys.used hook, seed %i", (seed) => {
    new Pair(palloc, seed, true).run(15);
  });
}

/** Two heaps: one gets batches of random operations, right and wrong, the other the same in single calls. */
class Pair {
  readonly #random: Random;
  readonly #palloc: Palloc;
  readonly #heaps: PageAlloc[];
  readonly #caches: Caches[] = [[], []];
  /** What the hooks of either heap were told. */
  readonly #told: number[][][] = [[], []];
  #live: [base: number, npages: number][] = [];

  constructor(palloc: Palloc, seed: number, hook: boolean) {
    this.#random = new Random(seed);
    this.#palloc = palloc;
    this.#heaps = this.#told.map((told) => {
      const sys = hook ? { used: (...args: number[]) => void told.push(args) } : {};
      return grownHeap(palloc, [2, 3, 5], { sys });
    });
  }

  run(count: number): void {
    const [heap, other] = this.#heaps;
    for (let k = 0; k < count; k++) {
      this.#batch();
      const stats = heap.stats();
      expect(stats).toEqual(other.stats());
      sameBytes(heap.snapshot(), other.snapshot(), `state after batch ${k}`);
      expect(this.#told[0]).toEqual(this.#told[1]);
      this.#changeCaches();
    }
    heap.check();
  }

  #batch(): void {
    const random = this.#random;
    const grow = random.oneIn(2);
    const [heap, other] = this.#heaps;
    // A batch of nothing makes the records of the caches.
    runRows(other, [], { caches: this.#caches[1] });
    const rows: Row[] = [];
    const want: Result[] = [];
    let why: Error | undefined;
    for (let n = random.below(80); n > 0 && !why; n--) {
      rows.push(this.#row(want));
      try {
        want.push(this.#single(rows[rows.length - 1], want, grow));
      } catch (error) {
        why = error as Error;
      }
    }
    const results = new Float64Array(rows.length * 2).fill(-7);
    const call = () => heap.run(Float64Array.from(rows.flat()), results, { caches: this.#caches[0], grow });
    if (why)
      refused(
        call,
        { ...kindOf(why), names: [`operation ${want.length} of the batch: ${why.message}`] },
        "batch",
      );
    else call();
    expect([...results]).toEqual([...want.flat(), ...(why ? [-7, -7] : [])]);
  }

  /** An operation; some are wrong. */
  #row(want: readonly Result[]): Row {
    const random = this.#random;
    const { alloc, allocRange, free, freeResult, scavengeRange } = rowsOf(this.#palloc);
    const somewhere = random.below(6 * 512) * PAGE;
    const npages = random.pick([1, random.between(1, 16), random.between(1, 70), random.between(1, 700)]);
    const piece = this.#live.splice(random.below(this.#live.length || 1), 1)[0];
    if (piece && random.oneIn(2)) {
      const of = random.below(want.length + 1) - 1;
      return of < 0 ? free(...piece) : freeResult(of, piece[0] - want[of][0], piece[1]);
    }
    if (piece) this.#live.push(piece);
    if (random.oneIn(60)) return random.pick([free(somewhere, npages), [7, npages, 0, 0], alloc(0.5)]);
    if (random.oneIn(9)) return scavengeRange(somewhere, npages);
    if (random.oneIn(30)) return allocRange(somewhere, random.between(1, 4));
    return alloc(npages, random.below(this.#caches[1].length + 1) - 1);
  }

  /** What an operation is in single calls. */
  #single([code, npages, where, offset]: Row, want: readonly Result[], grow: boolean): Result {
    const { Op } = this.#palloc;
    const heap = this.#heaps[1];
    if (code === Op.alloc) return this.#alloc(npages, this.#caches[1][where], grow);
    if (code === Op.scavengeRange) return [heap.scavengeRange(where, npages), 0];
    if (code === Op.allocRange) {
      const scavenged = heap.allocRange(where, npages);
      this.#live.push([where, npages]);
      return [where, scavenged];
    }
    if (code !== Op.free && code !== Op.freeResult)
      throw new RangeError("code must be an integer from 0 to 4");
    const base = code === Op.free ? where : want[where][0] + offset;
    heap.free(base, npages);
    return [base, 0];
  }

  #alloc(npages: number, cache: PageCache | undefined, grow: boolean): Result {
    const heap = this.#heaps[1];
    let base = cache?.alloc(npages) ?? -1;
    if (base < 0 && cache && npages <= 64 && cache.refill()) base = cache.alloc(npages);
    let from: PageAlloc | PageCache | undefined = cache;
    if (base < 0) {
      from = heap;
      base = heap.alloc(npages);
    }
    if (base < 0 && grow) {
      heap.grow(heap.bounds().end * CHUNK, Math.ceil((npages * PAGE) / CHUNK) * CHUNK);
      base = heap.alloc(npages);
    }
    if (base >= 0) this.#live.push([base, npages]);
    return [base, from?.lastAllocScavenged ?? 0];
  }

  /** Adds a cache, leaves one out, or flushes one. */
  #changeCaches(): void {
    const random = this.#random;
    const [caches, others] = this.#caches;
    const at = random.below(caches.length + 1);
    for (const list of [caches, others]) {
      list[at]?.flush();
      if (at === list.length && list.length < 4) list.push(undefined);
    }
    for (const heap of this.#heaps) heap.resetScavengeAddr();
    const nbytes = random.below(40) * PAGE;
    same(this.#heaps[0].scavenge(nbytes), this.#heaps[1].scavenge(nbytes), "scavenge");
  }
}

/** What kind of error it is. */
function kindOf(error: Error & { code?: string }) {
  return { error: error.code ?? (error.name === "TypeError" ? TypeError : RangeError) };
}
