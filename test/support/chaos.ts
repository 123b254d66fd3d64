// One heap whose hooks do what they like: they decline, throw, and call back into the heap, whose calls run hooks
// again. Which they do depends on the seed alone, so that both engines can be led through the same.
import { PAGES } from "./naive.ts";
import { Random } from "./random.ts";
import { same } from "./same.ts";
import type { PageAlloc, PageCache, Palloc } from "./subject.ts";

const FIRST = 5;
const MAX_CHUNKS = 6;
const MAX_DEPTH = 3;
const WHIM = new Error("a hook's whim");

export class Chaos {
  readonly heap: PageAlloc;
  /** Every call and what it gave. */
  readonly log: string[] = [];
  readonly #random: Random;
  /** What this has been given, and has not given back. */
  readonly #live: [base: number, npages: number][] = [];
  readonly #caches: PageCache[] = [];
  /** Calls of hooks that have not returned. */
  #depth = 0;

  constructor({ PageAlloc }: Palloc, seed: number) {
    const random = new Random(seed);
    this.#random = random;
    const sys = {
      unused: (base: number, nbytes: number) => this.#hook("unused", base, nbytes),
      used: (base: number, nbytes: number) => void this.#hook("used", base, nbytes),
    };
    const physPageSize = 8192 * random.pick([1, 1, 4, 16]);
    this.heap = new PageAlloc({ physPageSize, physHugePageSize: random.pick([0, 2 ** 21, 2 ** 17]), sys });
    this.heap.grow(FIRST * this.heap.chunkBytes, this.heap.chunkBytes);
  }

  /** Makes calls. Throws when the heap is unsound, or has other pages in use than those that it has given. */
  run(calls: number): void {
    for (let k = 0; k < calls; k++) {
      this.#step();
      this.heap.check();
      const live = this.#live.reduce((sum, [, npages]) => sum + npages, 0);
      const cached = this.#caches.reduce(
        (sum, { cache }) => sum + cache.toString(2).replaceAll("0", "").length,
        0,
      );
      same(
        this.heap.stats().inUse,
        (live + cached) * this.heap.pageSize,
        () => `in use after ${this.log.at(-1)}`,
      );
    }
  }

  /** A hook: calls back now and then, and then accepts, declines or throws. */
  #hook(name: string, base: number, nbytes: number): boolean {
    this.#depth++;
    this.log.push(`${name}(${base}, ${nbytes}) at depth ${this.#depth}`);
    try {
      this.heap.check();
      if (this.#depth < MAX_DEPTH) for (let k = this.#random.below(3); k > 0; k--) this.#step();
      if (this.#random.oneIn(6)) throw WHIM;
      return !this.#random.oneIn(4);
    } finally {
      this.#depth--;
    }
  }

  /** Makes one call, and notes what it gives. What hooks throw ends here. */
  #step(): void {
    const { heap } = this;
    const random = this.#random;
    const npages = random.pick([1, random.between(1, 20), random.between(1, 150), random.between(1, 700)]);
    const nbytes = random.pick([0, Infinity, npages * heap.pageSize]);
    const calls = {
      alloc: () => this.#take(heap.alloc(npages), npages),
      allocRange: () => this.#takeRange(npages),
      free: () => this.#free(),
      grow: () => this.#grow(),
      unmap: () => this.#unmap(),
      scavengeRange: () =>
        heap.scavengeRange(FIRST * heap.chunkBytes + random.below(PAGES) * heap.pageSize, npages),
      scavenge: () => heap.scavenge(nbytes),
      scavengeOne: () => heap.scavengeOne(nbytes),
      resetScavengeAddr: () => heap.resetScavengeAddr(),
      allocToCache: () => this.#allocToCache(),
      cacheAlloc: () => this.#cacheAlloc(random.between(1, 20)),
      flush: () => this.#caches.splice(random.below(this.#caches.length), 1)[0]?.flush(),
      snapshot: () => heap.snapshot().length,
    };
    const weights = {
      allocRange: 2,
      free: 12,
      grow: 3,
      unmap: 1,
      scavengeRange: 2,
      scavenge: 3,
      scavengeOne: 5,
      resetScavengeAddr: 4,
    };
    const others = { alloc: 10, allocToCache: 2, cacheAlloc: 6, flush: 2, snapshot: 1 };
    const name = random.weighted<keyof typeof calls>({ ...weights, ...others });
    try {
      this.log.push(`${name} gave ${calls[name]()}`);
    } catch (error) {
      if (error !== WHIM) throw error;
      this.log.push(`${name} threw`);
    }
  }

  #take(base: number, npages: number): number {
    if (base !== -1) this.#live.push([base, npages]);
    return base;
  }

  /** Takes pages that the bitmap shows as free, if there are any where it looks. */
  #takeRange(npages: number): number {
    const { heap } = this;
    const index = FIRST + this.#random.below(MAX_CHUNKS);
    const first = this.#random.below(PAGES);
    const count = Math.min(npages, PAGES - first);
    const base = index * heap.chunkBytes + first * heap.pageSize;
    const limit = base + count * heap.pageSize;
    const runs = [...heap.freeRuns()];
    if (!runs.some((run) => run.base <= base && limit <= run.base + run.nbytes)) return -1;
    heap.allocRange(base, count);
    return this.#take(base, count);
  }

  #free(): void {
    const [piece] = this.#live.splice(this.#random.below(this.#live.length), 1);
    if (piece) this.heap.free(...piece);
  }

  #grow(): void {
    const { heap } = this;
    const { end } = heap.bounds();
    if (end < FIRST + MAX_CHUNKS) heap.grow(end * heap.chunkBytes, heap.chunkBytes);
  }

  /** Unmaps the lower third of a free run. Returns how many bytes were unscavenged; -1 if it picks no run. */
  #unmap(): number {
    const { heap } = this;
    const { base, nbytes } = this.#random.pick([...heap.freeRuns(), { base: 0, nbytes: 0 }]);
    return nbytes ? heap.unmap(base, Math.ceil(nbytes / heap.pageSize / 3) * heap.pageSize) : -1;
  }

  #allocToCache(): number {
    const cache = this.heap.allocToCache();
    if (!cache.empty) this.#caches.push(cache);
    return cache.base;
  }

  #cacheAlloc(npages: number): number {
    if (this.#caches.length === 0) return -1;
    return this.#take(this.#random.pick(this.#caches).alloc(npages), npages);
  }
}
