// GoHeap beside an index that is told of each call by hand, under all kinds of calls: batches, page caches of all
// origins, pages at chosen places, growth and unmapping in parts.

import type { IndexVersion } from "palloc/lab";
import { describe, it } from "vitest";
import { addressOf, PAGE } from "../../support/go-heap.ts";
import { bitsOf } from "../../support/heaps.ts";
import { PAGES } from "../../support/naive.ts";
import { Random } from "../../support/random.ts";
import { same } from "../../support/same.ts";
import {
  countCached,
  countFlushed,
  goScavenged,
  handScavenged,
  pageOf,
  type Run,
  type Scavenged,
} from "../../support/scavenged.ts";
import type { PageCache, Palloc, Subject } from "../../support/subject.ts";

const CHUNKS = 24;
const BLOCK = 64;
const ROUNDS = 25;
const CALLS = 400;
/** How often each call is made. */
const WEIGHTS = {
  grow: 2,
  unmap: 3,
  alloc: 40,
  allocRange: 8,
  free: 40,
  fillCache: 6,
  adoptCache: 4,
  allocCached: 15,
  flushCache: 6,
  batch: 8,
  nextGen: 4,
  scavenge: 12,
};

export function lockstepSuite({ label, palloc }: Subject): void {
  describe(`GoHeap beside an index told by hand (${label})`, () => {
    it.each<IndexVersion>(["1.19", "1.21", "1.22"])("releases the same runs (%s)", (version) => {
      for (let seed = 1; seed <= ROUNDS; seed++) new Lockstep(palloc, version, seed).run();
    });
  });
}

/** A heap of either kind under the same calls. Pages count from chunk 0 of the fixtures. */
class Lockstep {
  readonly #palloc: Palloc;
  readonly #what: string;
  readonly #random: Random;
  readonly #go: Scavenged;
  readonly #hand: Scavenged;
  /** Pages in use that no cache owns. */
  #inUse: Run[] = [];
  #caches: { go: PageCache; hand: PageCache }[] = [];
  #releases = 0;

  constructor(palloc: Palloc, version: IndexVersion, seed: number) {
    this.#palloc = palloc;
    this.#what = `${version} seed ${seed}`;
    this.#random = new Random(seed);
    const sizes = {
      physPageSize: this.#random.pick([4096, 16384]),
      physHugePageSize: this.#random.pick([0, 2 ** 21]),
    };
    this.#go = goScavenged(palloc, version, sizes);
    this.#hand = handScavenged(palloc, version, CHUNKS, sizes);
    this.#map(0, 2 * PAGES);
  }

  run(): void {
    for (let call = 0; call < CALLS; call++) this.#make(this.#random.weighted(WEIGHTS), call);
    for (const { heap } of [this.#go, this.#hand]) heap.check();
    if (this.#releases < 20) throw new Error(`${this.#what}: only ${this.#releases} releases`);
  }

  #make(kind: keyof typeof WEIGHTS, call: number): void {
    const random = this.#random;
    switch (kind) {
      case "grow":
        this.#grow();
        break;
      case "unmap":
        this.#unmap();
        break;
      case "alloc":
        this.#alloc(this.#size());
        break;
      case "allocRange":
        this.#allocRange();
        break;
      case "free":
        this.#free();
        break;
      case "fillCache":
        this.#fillCache();
        break;
      case "adoptCache":
        this.#adoptCache();
        break;
      case "allocCached":
        this.#allocCached();
        break;
      case "flushCache":
        this.#flushCache();
        break;
      case "batch":
        this.#batch(random.between(1, 12));
        break;
      case "nextGen":
        for (const each of [this.#go, this.#hand]) each.nextGen();
        break;
      case "scavenge":
        this.#scavenge(`${this.#what} call ${call}`);
        break;
    }
  }

  #scavenge(what: string): void {
    const random = this.#random;
    const nbytes = random.oneIn(12) ? Infinity : random.between(0, 200) * 4096;
    const force = random.oneIn(4);
    const [got, want] = [this.#go, this.#hand].map((each) => each.scavenge(nbytes, force));
    same(got, want, `${what}: scavenge(${nbytes}, ${force})`);
    same(bitsOf(this.#go.heap), bitsOf(this.#hand.heap), `${what}: bitmaps`);
    this.#releases += got.runs.length;
  }

  #map(page: number, npages: number): void {
    for (const { heap } of [this.#go, this.#hand]) heap.grow(addressOf(page), npages * PAGE);
  }

  /** Maps a hole or some pages at the end, in whole chunks or not. */
  #grow(): void {
    const ends = this.#go.heap.mappedRanges().map((range) => range.map(pageOf));
    const holes = ends.map(([, from], i): Run => [from, (ends[i + 1]?.[0] ?? CHUNKS * PAGES) - from]);
    const [from, room] = this.#random.pick(holes);
    if (room > 0) this.#map(from, Math.min(room, this.#random.pick([PAGES, 2 * PAGES, 100])));
  }

  /** Unmaps free pages: often a whole chunk. That of page 0 stays, as the index by hand begins there. */
  #unmap(): void {
    const run = this.#freeRun();
    if (!run) return;
    const first = Math.max(run[0], PAGES);
    const chunk = Math.ceil(first / PAGES) * PAGES;
    const left = run[0] + run[1] - first;
    if (left <= 0) return;
    const [from, npages] =
      chunk + PAGES <= run[0] + run[1] ? [chunk, PAGES] : [first, this.#random.between(1, left)];
    for (const { heap } of [this.#go, this.#hand]) heap.unmap(addressOf(from), npages * PAGE);
  }

  #alloc(npages: number): void {
    const at = this.#go.heap.alloc(npages);
    same(this.#hand.heap.alloc(npages), at, `${this.#what}: alloc(${npages})`);
    if (at !== -1) this.#took(pageOf(at), npages);
  }

  #allocRange(): void {
    const run = this.#freeRun();
    if (!run) return;
    const first = this.#random.between(run[0], run[0] + run[1] - 1);
    const npages = this.#random.between(1, Math.min(600, run[0] + run[1] - first));
    for (const { heap } of [this.#go, this.#hand]) heap.allocRange(addressOf(first), npages);
    this.#took(first, npages);
  }

  /** Frees a part of a run, or all of it. */
  #free(): void {
    const run = this.#takeOut();
    if (!run) return;
    const [first, npages] = run;
    const [from, to] = this.#random.oneIn(3) ? [this.#random.below(npages), npages] : [0, npages];
    if (from > 0) this.#inUse.push([first, from]);
    for (const { heap } of [this.#go, this.#hand]) heap.free(addressOf(first + from), to - from);
    this.#hand.index?.free(first + from, to - from);
  }

  #fillCache(): void {
    const [go, hand] = [this.#go, this.#hand].map(({ heap }) => heap.allocToCache());
    this.#filled(hand);
    this.#caches.push({ go, hand });
  }

  /** Makes a cache of pages that are in use already. */
  #adoptCache(): void {
    const run = this.#takeOut();
    if (!run) return;
    const [first, npages] = run;
    const block = first - (first % BLOCK);
    const taken = Math.min(npages, block + BLOCK - first);
    if (taken < npages) this.#inUse.push([first + taken, npages - taken]);
    const cache = ((1n << BigInt(taken)) - 1n) << BigInt(first - block);
    const state = { base: addressOf(block), cache, scav: 0n };
    const [go, hand] = [this.#go, this.#hand].map(({ heap }) => new this.#palloc.PageCache(heap, state));
    this.#caches.push({ go, hand });
  }

  #allocCached(): void {
    if (this.#caches.length === 0) return;
    const { go, hand } = this.#random.pick(this.#caches);
    const npages = this.#random.between(1, 12);
    const wasEmpty = hand.empty;
    same(go.refill(), hand.refill(), `${this.#what}: refill`);
    if (wasEmpty) this.#filled(hand);
    const at = go.alloc(npages);
    same(hand.alloc(npages), at, `${this.#what}: alloc(${npages}) of a cache`);
    if (at !== -1) this.#inUse.push([pageOf(at), npages]);
  }

  #flushCache(): void {
    if (this.#caches.length === 0) return;
    const [{ go, hand }] = this.#caches.splice(this.#random.below(this.#caches.length), 1);
    go.flush();
    if (this.#hand.counting) countFlushed(this.#hand.counting, hand);
    hand.flush();
  }

  /** Makes some calls in a batch, and by hand one by one. */
  #batch(count: number): void {
    const { Op } = this.#palloc;
    const caches = this.#caches.map(({ go }) => go);
    const ops: number[] = [];
    const byHand: (() => number)[] = [];
    const taken: number[] = [];
    for (let i = 0; i < count; i++) {
      const run = this.#random.oneIn(2) ? this.#takeOut() : undefined;
      if (run) {
        ops.push(Op.free, run[1], addressOf(run[0]), 0);
        byHand.push(() => this.#freeByHand(...run));
      } else {
        const npages = this.#size();
        const cache = this.#random.between(-1, caches.length - 1);
        ops.push(Op.alloc, npages, cache, 0);
        byHand.push(() => this.#allocByHand(npages, this.#caches[cache]?.hand));
        taken.push(i);
      }
    }
    const results = new Float64Array(2 * count);
    this.#go.heap.run(Float64Array.from(ops), results, { caches });
    const want = byHand.map((call) => call());
    same(
      want.map((_, i) => results[2 * i]),
      want,
      `${this.#what}: batch of ${ops}`,
    );
    for (const i of taken) if (want[i] !== -1) this.#inUse.push([pageOf(want[i]), ops[4 * i + 1]]);
  }

  #freeByHand(first: number, npages: number): number {
    this.#hand.heap.free(addressOf(first), npages);
    this.#hand.index?.free(first, npages);
    return addressOf(first);
  }

  #allocByHand(npages: number, cache: PageCache | undefined): number {
    let at = cache?.alloc(npages) ?? -1;
    if (at === -1 && cache?.empty && npages <= BLOCK) {
      cache.refill();
      this.#filled(cache);
      at = cache.alloc(npages);
    }
    if (at !== -1) return at;
    at = this.#hand.heap.alloc(npages);
    if (at !== -1) this.#hand.counting?.alloc(pageOf(at), npages);
    return at;
  }

  /** Tells the index by hand of a cache that was filled, if it was. */
  #filled(hand: PageCache): void {
    if (this.#hand.counting) countCached(this.#hand.counting, hand);
  }

  /** Tells the index by hand of pages that were taken. */
  #took(first: number, npages: number): void {
    this.#hand.counting?.alloc(first, npages);
    this.#inUse.push([first, npages]);
  }

  #size(): number {
    return this.#random.pick([1, 2, 3, 5, 8, 13, 30, 60, 130, 300, 700]);
  }

  #freeRun(): Run | undefined {
    const runs = [...this.#hand.heap.freeRuns()];
    if (runs.length === 0) return undefined;
    const { base, nbytes } = this.#random.pick(runs);
    return [pageOf(base), nbytes / PAGE];
  }

  #takeOut(): Run | undefined {
    return this.#inUse.splice(this.#random.below(this.#inUse.length), 1)[0];
  }
}
