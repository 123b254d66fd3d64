// Drives one heap of each engine and the model through the same random calls, and compares everything after each.
// What calls are made how often, with what sizes and in which corners of the address space differs from seed to seed.
import { bitsOfWord } from "./bitmaps.ts";
import { Model, type ModelCache, type ModelOptions } from "./model.ts";
import { type Bits, PAGES } from "./naive.ts";
import { Random } from "./random.ts";
import { same, sameBytes } from "./same.ts";
import type { PageAlloc, PageCache, Palloc, Subject } from "./subject.ts";

const ADDRESS_BITS = 48;
const MAX_CHUNKS = 16;
const MAX_CACHES = 4;
const EVENTS = [
  "grow",
  "unmap",
  "alloc",
  "allocAligned",
  "allocRange",
  "free",
  "scavenge",
  "scavengeOne",
  "scavengeRange",
  "resetScavengeAddr",
  "allocToCache",
  "cacheAlloc",
  "flush",
  "refused",
  "restore",
  "batch",
] as const;
type Event = (typeof EVENTS)[number];
type Pages = readonly [base: number, npages: number];

export class Lockstep {
  readonly #seed: number;
  readonly #random: Random;
  readonly #pallocs: readonly Palloc[];
  readonly #model: Model;
  /** One heap an engine. */
  #heaps: PageAlloc[];
  /** What is in use and may be freed. */
  #live: Pages[] = [];
  #caches: { real: PageCache[]; model: ModelCache }[] = [];
  /** First chunks of the places where the heap grows. */
  readonly #areas: number[];
  readonly #weights: Record<Event, number>;
  /** The latest call, for messages. */
  #call = "";

  constructor(seed: number, subjects: readonly Subject[]) {
    const random = new Random(seed);
    const options = randomOptions(random);
    this.#seed = seed;
    this.#random = random;
    this.#pallocs = subjects.map(({ palloc }) => palloc);
    this.#model = new Model(options);
    this.#heaps = this.#pallocs.map(({ PageAlloc }) => new PageAlloc(options));
    const last = 2 ** ADDRESS_BITS / this.#model.chunkBytes - MAX_CHUNKS;
    this.#areas = [0, last, random.below(last), random.below(last)].filter(() => !random.oneIn(3));
    this.#areas.push(random.pick([0, last, 0xc000]));
    // Some calls never, some ten times as often as others; without room nothing else happens.
    const weight = () => (random.oneIn(5) ? 0 : random.between(1, 10));
    this.#weights = Object.fromEntries(EVENTS.map((event) => [event, weight()])) as Record<Event, number>;
    this.#weights.grow = random.between(1, 3);
    this.#weights.alloc++;
  }

  /** Makes the calls. Throws at the first difference, with all that it takes to see it again. */
  run(count: number): void {
    for (let k = 0; k < count; k++) {
      const event = this.#random.weighted(this.#weights);
      try {
        this[event]();
        this.#compare();
        if (k % 16 === 15 || k === count - 1) this.#compareAll();
      } catch (cause) {
        const { message } = cause as Error;
        throw new Error(`seed ${this.#seed}, event ${k}, ${this.#call}: ${message}`, { cause });
      }
    }
    for (const heap of this.#heaps) heap.dispose();
  }

  grow(): void {
    const { chunkBytes, pageSize } = this.#model;
    const random = this.#random;
    const chunk = random.pick(this.#areas) + random.below(MAX_CHUNKS);
    // Often by the pages after, or before, those that are mapped.
    const next = random.pick([...this.#model.mappedRanges().flat(), chunk * chunkBytes]);
    const ragged = random.oneIn(2) ? random.below(PAGES) * pageSize : 0;
    const npages = random.pick([1, 70, PAGES, random.between(1, 3) * PAGES, random.below(3 * PAGES)]);
    const nbytes = npages * pageSize + (random.oneIn(20) ? 1 : 0);
    const base = random.pick([next, next - npages * pageSize, chunk * chunkBytes + ragged]);
    const [start, end] = this.#model.touched(base, nbytes);
    const mapped = this.#model.count(base, npages, () => true) > 0;
    const beyond = base < 0 || nbytes === 0 || base + nbytes > 2 ** ADDRESS_BITS;
    if (this.#model.chunks.length + end - start > MAX_CHUNKS) return;
    const got = this.#each(`grow(${base}, ${nbytes})`, (heap) => heap.grow(base, nbytes));
    const misaligned = nbytes % pageSize > 0;
    const refused = beyond
      ? "RangeError"
      : misaligned
        ? "ERR_MISALIGNED"
        : mapped
          ? "ERR_OVERLAP"
          : undefined;
    same(got, refused, "result");
    if (!refused) this.#model.grow(base, nbytes);
  }

  /** Unmaps all or some pages of a free run, or tries to unmap pages of which some may not be free. */
  unmap(): void {
    const model = this.#model;
    const random = this.#random;
    const runs = model.freeRuns();
    let [base, npages] = this.#somewhere();
    if (runs.length > 0 && !random.oneIn(4)) {
      const run = random.pick(runs);
      const count = run.nbytes / model.pageSize;
      const skipped = random.oneIn(2) ? 0 : random.below(count);
      base = run.base + skipped * model.pageSize;
      npages = random.oneIn(2) ? count - skipped : random.between(1, count - skipped);
    }
    if (npages === 0) return;
    const nbytes = npages * model.pageSize;
    const refused = this.#usedOrHoles(base, npages);
    const got = this.#each(`unmap(${base}, ${nbytes})`, (heap) => heap.unmap(base, nbytes));
    if (refused.length === 0) same(got, model.unmap(base, nbytes), "result");
    else if (!refused.includes(String(got))) throw new Error(`got ${got}, want one of ${refused}`);
  }

  alloc(): void {
    const npages = this.#size();
    const want = this.#model.alloc(npages);
    same(
      this.#each(`alloc(${npages})`, (heap) => heap.alloc(npages)),
      want,
      "result",
    );
    if (want !== -1) this.#live.push([want, npages]);
  }

  allocAligned(): void {
    const npages = this.#size();
    const align = this.#align();
    const want = this.#model.alloc(npages, { align });
    same(
      this.#each(`alloc(${npages}, { align: ${align} })`, (heap) => heap.alloc(npages, { align })),
      want,
      "result",
    );
    if (want !== -1) this.#live.push([want, npages]);
  }

  allocRange(): void {
    const [base, npages] = this.#somewhere();
    if (npages === 0 || this.#usedOrHoles(base, npages).length > 0) return;
    const got = this.#each(`allocRange(${base}, ${npages})`, (heap) => heap.allocRange(base, npages));
    same(got, this.#model.allocRange(base, npages), "result");
    this.#live.push([base, npages]);
  }

  free(): void {
    const piece = this.#pieceInUse();
    if (piece === undefined) return;
    const [base, npages] = piece;
    this.#model.free(base, npages);
    same(
      this.#each(`free(${base}, ${npages})`, (heap) => heap.free(base, npages)),
      undefined,
      "result",
    );
  }

  scavenge(): void {
    const nbytes = this.#random.pick([0, 1, Infinity, this.#random.below(200 * this.#model.pageSize)]);
    const got = this.#each(`scavenge(${nbytes})`, (heap) => heap.scavenge(nbytes));
    same(got, this.#model.scavenge(nbytes), "result");
  }

  scavengeOne(): void {
    const maxBytes = this.#random.pick([0, 1, Infinity, this.#random.below(600 * this.#model.pageSize)]);
    const got = this.#each(`scavengeOne(${maxBytes})`, (heap) => heap.scavengeOne(maxBytes));
    same(got, this.#model.scavengeOne(maxBytes), "result");
  }

  scavengeRange(): void {
    const [base, npages] = this.#somewhere();
    if (npages === 0) return;
    const got = this.#each(`scavengeRange(${base}, ${npages})`, (heap) => heap.scavengeRange(base, npages));
    same(got, this.#model.scavengeRange(base, npages), "result");
  }

  resetScavengeAddr(): void {
    this.#model.resetScavengeAddr();
    this.#each("resetScavengeAddr()", (heap) => heap.resetScavengeAddr());
  }

  allocToCache(): void {
    if (this.#caches.length === MAX_CACHES) return;
    const model = this.#model.allocToCache();
    const real: PageCache[] = [];
    this.#each("allocToCache()", (heap) => void real.push(heap.allocToCache()));
    for (const cache of real) {
      same(cache.base, model.base, "base");
      same(cache.empty, model.base === -1, "empty");
      if (cache.empty) continue;
      same(bitsOfWord(cache.cache), model.cache, "cache");
      same(bitsOfWord(cache.scav), model.scav, "scav");
    }
    if (model.base !== -1) this.#caches.push({ real, model });
  }

  cacheAlloc(): void {
    if (this.#caches.length === 0) return;
    const { real, model } = this.#random.pick(this.#caches);
    const npages = this.#random.between(1, this.#random.pick([2, 15, 64]));
    const [base, scavenged] = this.#model.cacheAlloc(model, npages);
    same(
      this.#each(`cache.alloc(${npages})`, (_, i) => real[i].alloc(npages)),
      base,
      "result",
    );
    if (base === -1) return;
    same(
      this.#each("cache.lastAllocScavenged", (_, i) => real[i].lastAllocScavenged),
      scavenged,
      "result",
    );
    this.#live.push([base, npages]);
  }

  flush(): void {
    if (this.#caches.length === 0) return;
    const [{ real, model }] = this.#caches.splice(this.#random.below(this.#caches.length), 1);
    this.#model.flush(model);
    same(
      this.#each("cache.flush()", (_, i) => real[i].flush()),
      undefined,
      "result",
    );
    for (const cache of real) same([cache.empty, cache.cache, cache.scav], [true, 0n, 0n], "after flush");
  }

  /** A call that must be refused, with the same code by both, and change nothing. */
  refused(): void {
    const [base, npages] = this.#somewhere();
    if (npages === 0) return;
    const before = this.#heaps.map((heap) => heap.snapshot());
    const [name, codes] = this.#random.oneIn(2)
      ? (["allocRange", this.#usedOrHoles(base, npages)] as const)
      : (["free", this.#freeOrHoles(base, npages)] as const);
    if (codes.length === 0) return;
    const got = this.#each(`${name}(${base}, ${npages})`, (heap) => heap[name](base, npages));
    if (!codes.includes(String(got))) throw new Error(`got ${got}, want one of ${codes}`);
    this.#heaps.forEach((heap, i) => {
      sameBytes(heap.snapshot(), before[i], "state after a refused call");
    });
  }

  /** Both heaps go on from the other engine's snapshot. */
  restore(): void {
    if (this.#caches.length > 0) return;
    this.#call = "restore";
    const snapshots = this.#heaps.map((heap) => heap.snapshot()).reverse();
    for (const heap of this.#heaps) heap.dispose();
    this.#heaps = this.#pallocs.map(({ PageAlloc }, i) => PageAlloc.restore(snapshots[i]));
    this.#model.lastAllocScavenged = 0;
  }

  /** Calls of the kinds above in one batch, of which none is refused. */
  batch(): void {
    const random = this.#random;
    const ops: number[] = [];
    const want: number[] = [];
    for (let k = random.below(16); k > 0; k--) {
      const kind = random.pick(["alloc", "alloc", "allocRange", "free", "free", "scavengeRange"] as const);
      const [op, result] = this.#operation(kind, want) ?? [];
      if (op) ops.push(...op);
      if (result) want.push(...result);
    }
    const caches = (i: number) => this.#caches.map(({ real }) => real[i]);
    const got = this.#each(`run([${ops}])`, (heap, i) => {
      const results = new Float64Array(want.length);
      heap.run(Float64Array.from(ops), results, { caches: caches(i) });
      return [...results];
    });
    same(got, want, "results");
    this.#model.lastAllocScavenged = undefined;
  }

  /** An operation of a batch, carried out on the model: its numbers and its result's. */
  #operation(
    kind: "alloc" | "allocRange" | "free" | "scavengeRange",
    earlier: number[],
  ): [op: number[], result: number[]] | undefined {
    const { Op } = this.#pallocs[0];
    const model = this.#model;
    if (kind === "alloc") return this.#allocOperation();
    if (kind === "free") {
      const piece = this.#pieceInUse();
      if (piece === undefined) return undefined;
      const [base, npages] = piece;
      model.free(base, npages);
      const other = this.#random.below(earlier.length / 2 + 1) - 1;
      if (other < 0)
        return [
          [Op.free, npages, base, 0],
          [base, 0],
        ];
      return [
        [Op.freeResult, npages, other, base - earlier[2 * other]],
        [base, 0],
      ];
    }
    const [base, npages] = this.#somewhere();
    if (npages === 0) return undefined;
    if (kind === "scavengeRange") {
      return [
        [Op.scavengeRange, npages, base, 0],
        [model.scavengeRange(base, npages), 0],
      ];
    }
    if (this.#usedOrHoles(base, npages).length > 0) return undefined;
    this.#live.push([base, npages]);
    return [
      [Op.allocRange, npages, base, 0],
      [base, model.allocRange(base, npages)],
    ];
  }

  /** An allocation in a batch, from a cache or the heap. */
  #allocOperation(): [op: number[], result: number[]] {
    const model = this.#model;
    const npages = this.#random.oneIn(2) ? this.#random.between(1, 20) : this.#size();
    const where = this.#random.below(this.#caches.length + 1) - 1;
    const align = where < 0 ? this.#random.pick([0, 1, this.#align()]) : this.#random.pick([0, 1]);
    const result = where < 0 ? [-1, 0] : this.#allocFromRefilled(this.#caches[where], npages);
    if (result[0] === -1) {
      result[0] = model.alloc(npages, { align: Math.max(align, 1) });
      result[1] = model.lastAllocScavenged ?? 0;
    }
    if (result[0] !== -1) this.#live.push([result[0], npages]);
    return [[this.#pallocs[0].Op.alloc, npages, where, align], result];
  }

  /** From a cache that is refilled when it is empty, and could then have so many pages. */
  #allocFromRefilled(entry: { model: ModelCache }, npages: number): number[] {
    if (!entry.model.cache.includes(true) && npages <= 64) {
      const refilled = this.#model.allocToCache();
      if (refilled.base !== -1) entry.model = refilled;
    }
    return this.#model.cacheAlloc(entry.model, npages);
  }

  /** Makes a call on both heaps, which must give the same. Of a refused call, its code or its class is the result. */
  #each<T>(call: string, make: (heap: PageAlloc, i: number) => T): T | string {
    this.#call = call;
    const [first, ...others] = this.#heaps.map((heap, i) => outcomeOf(() => make(heap, i)));
    for (const other of others) same(other, first, "one engine against the other");
    return first;
  }

  /** What can be seen without a search, after every call. */
  #compare(): void {
    const want = this.#model.stats();
    const firstFree = this.#model.findRun(1);
    const longest = Math.max(0, ...this.#model.freeRuns().map(({ nbytes }) => nbytes / this.#model.pageSize));
    for (const heap of this.#heaps) {
      const { metadata, ...stats } = heap.stats();
      same(heap.scavAddr, this.#model.scavAddr, "scavAddr");
      same(heap.longestFree(), longest, "longestFree");
      const scavenged = this.#model.lastAllocScavenged;
      if (scavenged !== undefined) same(heap.lastAllocScavenged, scavenged, "lastAllocScavenged");
      same(heap.searchAddr, this.#heaps[0].searchAddr, "searchAddr of one engine against the other");
      same(heap.searchAddr, firstFree === -1 ? 2 ** ADDRESS_BITS : firstFree, "searchAddr");
      same(metadata, this.#heaps[0].stats().metadata, "metadata of one engine against the other");
      for (const [key, value] of Object.entries(want)) same(stats[key as keyof typeof stats], value, key);
    }
  }

  /** All there is. */
  #compareAll(): void {
    const { chunks } = this.#model;
    const want = {
      alloc: Object.fromEntries(chunks.map(({ index, alloc }) => [index, rangesOf(alloc)])),
      scavenged: Object.fromEntries(chunks.map(({ index, scavenged }) => [index, rangesOf(scavenged)])),
      mapped: this.#model.mappedRanges(),
    };
    for (const heap of this.#heaps) {
      heap.check();
      same(heap.ranges(), want, "ranges");
      same([...heap.freeRuns()], this.#model.freeRuns(), "freeRuns");
      const bounds =
        chunks.length > 0
          ? { start: chunks[0].index, end: chunks[chunks.length - 1].index + 1 }
          : { start: 0, end: 0 };
      same(heap.bounds(), bounds, "bounds");
    }
    const [first, ...others] = this.#heaps.map((heap) => heap.snapshot());
    for (const other of others) sameBytes(other, first, "one engine's state against the other's");
  }

  #size(): number {
    const random = this.#random;
    return random.pick([
      1,
      random.between(1, 16),
      random.between(1, 64),
      random.between(1, 600),
      random.between(1, 2000),
    ]);
  }

  /** A power of two, mostly a small one. */
  #align(): number {
    return 2 ** this.#random.below(this.#random.pick([4, 8, 13, 21]));
  }

  /** Pages in and around the heap, in whatever state; none when the heap has none. */
  #somewhere(): Pages {
    const { chunks, chunkBytes, pageSize } = this.#model;
    if (chunks.length === 0) return [0, 0];
    const base = this.#random.pick(chunks).index * chunkBytes + this.#random.below(PAGES) * pageSize;
    const limit = (2 ** ADDRESS_BITS - base) / pageSize;
    return [base, Math.min(limit, this.#random.pick([1, this.#random.between(1, 20), this.#size()]))];
  }

  /** The codes that allocRange of these pages may be refused with; none when it must not be refused. */
  #usedOrHoles(base: number, npages: number): string[] {
    const used = this.#model.count(base, npages, ({ alloc }, i) => alloc[i]);
    return [...(used > 0 ? ["ERR_NOT_FREE"] : []), ...this.#holes(base, npages)];
  }

  /** The codes that free of these pages may be refused with: for those that are free, or in a cache, or no pages. */
  #freeOrHoles(base: number, npages: number): string[] {
    const { pageSize } = this.#model;
    const free = this.#model.count(base, npages, ({ alloc }, i) => !alloc[i]);
    const cached = this.#caches.some(({ model }) =>
      model.cache.some((owned, i) => {
        const page = model.base + i * pageSize;
        return owned && page >= base && page < base + npages * pageSize;
      }),
    );
    return [...(free > 0 || cached ? ["ERR_NOT_ALLOCATED"] : []), ...this.#holes(base, npages)];
  }

  #holes(base: number, npages: number): string[] {
    return this.#model.count(base, npages, () => true) < npages ? ["ERR_NOT_MAPPED"] : [];
  }

  /** Takes all or a part of something in use off the list. */
  #pieceInUse(): Pages | undefined {
    if (this.#live.length === 0) return undefined;
    const [[base, npages]] = this.#live.splice(this.#random.below(this.#live.length), 1);
    if (npages === 1 || this.#random.oneIn(2)) return [base, npages];
    const skipped = this.#random.below(npages);
    const count = this.#random.between(1, npages - skipped);
    const rest = npages - skipped - count;
    const at = (page: number) => base + page * this.#model.pageSize;
    if (skipped > 0) this.#live.push([base, skipped]);
    if (rest > 0) this.#live.push([at(skipped + count), rest]);
    return [at(skipped), count];
  }
}

function randomOptions(random: Random): ModelOptions {
  const pageSize = random.pick([8192, 8192, 4096, 16384, 65536, 512]);
  const physPageSize = pageSize * random.pick([0.5, 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
  const physHugePageSize = random.pick([
    0,
    2 ** 21,
    ...[4, 32, 128, 256, 512, 1024].map((pages) => pages * pageSize),
  ]);
  return { pageSize, physPageSize, physHugePageSize };
}

/** A call's result, or the code or class of what it throws. */
function outcomeOf<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    const { code, name } = error as Error & { code?: string };
    return code ?? name;
  }
}

/** The runs of 1s. */
function rangesOf(bits: Bits): [first: number, count: number][] {
  const ranges: [number, number][] = [];
  bits.forEach((bit, i) => {
    if (!bit) return;
    if (i > 0 && bits[i - 1]) ranges[ranges.length - 1][1]++;
    else ranges.push([i, 1]);
  });
  return ranges;
}
