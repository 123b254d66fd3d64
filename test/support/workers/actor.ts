// An actor: a worker that makes random calls on a shared heap, stamps every page that it gets with its number, and
// writes down what it is about to do before it does it, so that others can tell what it owned if it is ended in the
// middle.
import { PAGES } from "../naive.ts";
import { Random } from "../random.ts";
import type { PageAlloc, PageCache, Palloc } from "../subject.ts";
import {
  ALLOCS,
  Board,
  type BoardMemory,
  FIRST_CHUNKS,
  FREES,
  INTENT,
  Intent,
  Kind,
  NPAGES,
  OWNER,
  PAGE,
  SCAVENGED,
  SCAVENGES,
  stampOf,
} from "./board.ts";

/** Which calls an actor makes, by weight. */
const ROLES = {
  allocator: { alloc: 30, allocRange: 5, free: 45, cacheAlloc: 40, flush: 1, grow: 1 },
  scavenger: { scavenge: 1 },
  resetter: { reset: 8, stats: 1 },
  all: {
    alloc: 30,
    allocRange: 8,
    free: 50,
    cacheAlloc: 30,
    flush: 3,
    grow: 1,
    scavenge: 20,
    reset: 2,
    stats: 1,
  },
} as const;

export type Role = keyof typeof ROLES;
type CallName = keyof (typeof ROLES)["all"];

export interface ActorOptions {
  handle: PageAlloc["handle"];
  board: BoardMemory;
  /** Which of the board's actors it is. */
  slot: number;
  role: Role;
  seed: number;
  /** Whether it has the hook `used`. */
  used: boolean;
}

/** Steps between two looks at whether to go on. */
const BATCH = 64;
/** Blocks of which an actor gives some back before it takes any more. */
const ENOUGH_BLOCKS = 150;

export class Actor {
  readonly #heap: PageAlloc;
  readonly #board: Board;
  readonly #words: Int32Array;
  readonly #random: Random;
  readonly #owner: number;
  readonly #plan: ReadonlyArray<() => void>;
  /** What it owns. */
  readonly #blocks: Array<readonly [page: number, npages: number]> = [];
  #cache: PageCache | undefined;
  /** Calls that take or give pages or chunks, since the board was last told of them. */
  #made = 0;

  constructor({ PageAlloc }: Palloc, { handle, board, slot, role, seed, used }: ActorOptions) {
    this.#board = new Board(board);
    this.#words = this.#board.actor(slot);
    this.#random = new Random(seed);
    const sys = {
      unused: (base: number, nbytes: number) => this.#unused(base, nbytes),
      ...(used && { used: (base: number, nbytes: number) => this.#used(base, nbytes) }),
    };
    this.#heap = PageAlloc.attach(handle, { sys, lockTimeoutMs: 60_000 });
    this.#owner = this.#heap.owner;
    this.#set(OWNER, this.#owner);
    const calls: Record<CallName, () => void> = {
      alloc: () => (this.#hasEnough() ? this.#free() : this.#alloc()),
      allocRange: () => this.#allocRange(),
      free: () => this.#free(),
      cacheAlloc: () => (this.#hasEnough() ? this.#free() : this.#cacheAlloc()),
      flush: () => this.#flush(),
      grow: () => this.#grow(),
      scavenge: () => this.#scavenge(),
      reset: () => this.#heap.resetScavengeAddr(),
      stats: () => this.#stats(),
    };
    this.#plan = Object.entries(ROLES[role]).flatMap(([name, weight]) =>
      Array.from({ length: weight }, () => calls[name as CallName]),
    );
  }

  /** Acts until the board says to stop, then gives back all that it owns. */
  run(): void {
    while (!this.#board.stopped) {
      this.#board.park(this.#words);
      for (let k = 0; k < BATCH; k++) this.#random.pick(this.#plan)();
      this.#board.addCalls(this.#made);
      this.#made = 0;
    }
    this.#flush();
    while (this.#blocks.length) this.#free();
    this.#heap.dispose();
  }

  #set(word: number, value: number): void {
    Atomics.store(this.#words, word, value);
  }

  /** Says what is about to happen, and to which pages. */
  #begin(intent: number, npages: number, page = -1): void {
    if (intent !== Intent.scavenge) this.#made++;
    this.#set(NPAGES, npages);
    this.#set(PAGE, page);
    this.#set(INTENT, intent);
  }

  /** Says that it has happened, and how often that counts. */
  #end(tally = ALLOCS, more = 0): void {
    if (more) this.#set(tally, this.#words[tally] + more);
    this.#set(INTENT, Intent.none);
  }

  #stamp(kind: number): number {
    return stampOf(this.#owner, kind);
  }

  #hasEnough(): boolean {
    return this.#blocks.length >= ENOUGH_BLOCKS;
  }

  #npages(): number {
    const random = this.#random;
    if (random.oneIn(200)) return random.between(1, PAGES + PAGES / 2);
    return random.pick([1, 1, 2, random.between(1, 8), random.between(1, 8), random.between(1, 50)]);
  }

  #alloc(): void {
    const npages = this.#npages();
    this.#begin(Intent.alloc, npages);
    this.#got(this.#heap.alloc(npages), npages, 0, 1);
  }

  /** Takes over what an allocation has given, if it is anything. */
  #got(base: number, npages: number, stamp: number, allocs: number): void {
    if (base < 0) {
      this.#end();
      return;
    }
    const page = base / this.#heap.pageSize;
    this.#set(PAGE, page);
    this.#board.restamp(page, npages, stamp, this.#stamp(Kind.own));
    this.#blocks.push([page, npages]);
    this.#end(ALLOCS, allocs);
  }

  /** Takes pages that nobody has, as far as can be seen: somebody else may be faster. */
  #allocRange(): void {
    const npages = this.#npages();
    const page = this.#random.below(FIRST_CHUNKS * PAGES - npages);
    if (this.#board.stamps.subarray(page, page + npages).some((stamp) => stamp !== 0)) return;
    this.#begin(Intent.alloc, npages, page);
    try {
      this.#heap.allocRange(page * this.#heap.pageSize, npages);
    } catch (error) {
      if ((error as { code?: string }).code !== "ERR_NOT_FREE") throw error;
      this.#end();
      return;
    }
    this.#got(page * this.#heap.pageSize, npages, 0, 1);
  }

  /** Frees a block, or a part of it. */
  #free(): void {
    const blocks = this.#blocks;
    if (!blocks.length) return;
    const at = this.#random.below(blocks.length);
    const [page, npages] = blocks[at];
    const kept = npages > 4 && this.#random.oneIn(4) ? this.#random.below(npages) : 0;
    if (kept) blocks[at] = [page, kept];
    else blocks[at] = blocks[blocks.length - 1];
    if (!kept) blocks.length--;
    const first = page + kept;
    const count = npages - kept;
    this.#begin(Intent.free, count, first);
    this.#board.restamp(first, count, this.#stamp(Kind.own), 0);
    this.#heap.free(first * this.#heap.pageSize, count);
    this.#end(FREES, 1);
  }

  #cacheAlloc(): void {
    const npages = this.#random.pick([1, 1, 2, this.#random.between(1, 12)]);
    if (!this.#cache) this.#refill();
    this.#begin(Intent.alloc, npages);
    this.#got(this.#cache?.alloc(npages) ?? -1, npages, this.#stamp(Kind.cached), 0);
    if (this.#cache?.empty) this.#refill();
  }

  #refill(): void {
    this.#begin(Intent.cache, 0);
    if (this.#cache) this.#cache.refill();
    else this.#cache = this.#heap.allocToCache();
    this.#restampCache(0, this.#stamp(Kind.cached));
    this.#end(ALLOCS, this.#cache.empty ? 0 : 1);
  }

  #flush(): void {
    const cache = this.#cache;
    if (!cache) return;
    this.#cache = undefined;
    const wasEmpty = cache.empty;
    this.#begin(Intent.cache, 0);
    this.#restampCache(this.#stamp(Kind.cached), 0, cache);
    cache.flush();
    this.#end(FREES, wasEmpty ? 0 : 1);
  }

  /** Changes the stamps on the pages that are in a cache. */
  #restampCache(from: number, to: number, cache = this.#cache): void {
    if (!cache || cache.empty) return;
    const first = cache.base / this.#heap.pageSize;
    let page = first;
    for (let bits = cache.cache; bits; bits >>= 1n) {
      if (bits & 1n) this.#board.restamp(page, 1, from, to);
      page++;
    }
  }

  #grow(): void {
    const count = this.#random.pick([1, 1, 2, this.#random.between(1, 12)]);
    const first = this.#board.takeChunks(count);
    if (first < 0) return;
    this.#begin(Intent.grow, count * PAGES, first * PAGES);
    this.#heap.grow(first * this.#heap.chunkBytes, count * this.#heap.chunkBytes);
    this.#end();
  }

  #scavenge(): void {
    this.#begin(Intent.scavenge, 0);
    const released = this.#heap.scavengeOne(this.#random.pick([1, 2 ** 16, 2 ** 20, Infinity]));
    if (released) this.#set(SCAVENGED, this.#words[SCAVENGED] + released / this.#heap.pageSize);
    this.#end(SCAVENGES, released ? 1 : 0);
  }

  /** The hook: nobody may own the pages, or get them meanwhile. */
  #unused(base: number, nbytes: number): boolean {
    const page = base / this.#heap.pageSize;
    const npages = nbytes / this.#heap.pageSize;
    this.#board.restamp(page, npages, 0, this.#stamp(Kind.inHook));
    this.#board.restamp(page, npages, this.#stamp(Kind.inHook), 0);
    return !this.#random.oneIn(8);
  }

  /** The hook: nobody else may own the pages. */
  #used(base: number, nbytes: number): void {
    const page = base / this.#heap.pageSize;
    const stamps = this.#board.stamps.subarray(page, page + nbytes / this.#heap.pageSize);
    const wrong = stamps.findIndex((stamp) => stamp !== 0 && stamp !== this.#stamp(Kind.cached));
    if (wrong >= 0)
      throw new Error(`page ${page + wrong} is about to be used, and has the stamp ${stamps[wrong]}`);
  }

  #stats(): void {
    const { sys, inUse, free, released, retained } = this.#heap.stats();
    if (sys !== inUse + free || sys !== released + retained || released > free) {
      throw new Error(`sys ${sys}, inUse ${inUse}, free ${free}, released ${released}, retained ${retained}`);
    }
  }
}
