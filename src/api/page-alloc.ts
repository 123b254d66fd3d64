// PageAlloc: the public heap. It checks arguments, takes the lock, makes room for bookkeeping, runs hooks and reports
// errors. Its engine works on the bits.

/// <reference lib="esnext.disposable" preserve="true" />

import { countOrInfinity, integer, readOptions, refuse } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import { type PageRange, type Place, placeOf } from "../engine/pages.ts";
import { check } from "../heap/check.ts";
import { CORE, Core, coreOf, sharedCoreOf } from "../heap/core.ts";
import { type FreeRun, freeRuns, longestFree } from "../heap/free-runs.ts";
import { grow } from "../heap/grow.ts";
import { INSPECT, pictureOf } from "../heap/picture.ts";
import {
  type ChunkRanges,
  describe,
  fill,
  type MappedRanges,
  mappedRanges,
  readMapped,
  readRanges,
} from "../heap/ranges.ts";
import { recover } from "../heap/recover.ts";
import { releaseRange } from "../heap/release-range.ts";
import { scavengeOne, scavengeOneAsync } from "../heap/scavenger.ts";
import { lowest, type Taken, take } from "../heap/take.ts";
import { unmap } from "../heap/unmap.ts";
import type { Instance } from "../store/regions.ts";
import type { PageAllocHandle, SharedMemories } from "../store/shared-memories.ts";
import { seal, unseal } from "../store/snapshot.ts";
import { type RunOptions, runBatch } from "./batch.ts";
import {
  type AllocOptions,
  GEOMETRY,
  type PageAllocOptions,
  readAlign,
  readGeometry,
  readSharing,
  readSys,
  SHARING,
} from "./options.ts";
import { NEW, PageCache } from "./page-cache.ts";
import { ChunkData, type PallocData } from "./palloc-data.ts";
import { type PageAllocStats, readStats } from "./stats.ts";

/** Makes the core of the next heap object of class `entry`. Undefined: its options do. */
let makeNext: { entry: typeof PageAlloc; make: (entry: typeof PageAlloc) => Core } | undefined;

/**
 * Returns a new object of class `entry`, with a core from `make`. `make` is passed in a variable of this module, not as
 * an argument: a subclass need not pass arguments on, and users must not make cores.
 */
function heapOf(entry: typeof PageAlloc, make: (entry: typeof PageAlloc) => Core): PageAlloc {
  makeNext = { entry, make };
  try {
    return new entry();
  } finally {
    makeNext = undefined;
  }
}

/** Returns the class that a static method is called on. Throws TypeError if it is called on none. */
function classOf(entry: typeof PageAlloc): typeof PageAlloc {
  return entry ?? refuse("this", entry, "the class, as in PageAlloc.from(...)");
}

/**
 * A heap of pages. It knows which pages are in use, where there is room, and which pages the system can have back.
 * Numbers called base or nbytes are in bytes, those called npages in pages.
 *
 * Every call throws TypeError or RangeError for an argument of the wrong type or out of range, and TypeError for an
 * unknown option. It throws PageAllocError ERR_DISPOSED after `dispose`, and ERR_LOCKED when another call holds the
 * lock: in a shared heap only after `lockTimeoutMs`, or after 2 ms in a thread that may not block. A call that runs a
 * hook also throws ERR_METADATA_FULL when there is no memory for the hook's record. A call that throws has changed
 * nothing.
 *
 * `palloc` and `palloc/ts` have no shared heaps: there, all that only shared heaps have throws ERR_NOT_SHARED.
 */
export class PageAlloc {
  /** @internal */
  readonly [CORE]: Core;
  #lastAllocScavenged = 0;
  /** `dispose`, for `using`, in runtimes that know the symbol. */
  declare readonly [Symbol.dispose]: () => void;

  /** @internal Returns the engine that new heaps use; set by the package's entries. */
  declare static readonly instance: () => Instance;

  /** @internal The memories of shared heaps; only in entries that have shared heaps. */
  declare static readonly sharedMemories: SharedMemories;

  /** @internal The entry that has shared heaps on the same engine. */
  declare static readonly sharedEntry: string;

  /** @internal The class of chunk views. */
  declare static readonly PallocData: typeof PallocData;

  /**
   * Makes an empty heap. Throws PageAllocError ERR_METADATA_FULL when there is no linear memory for it,
   * ERR_NOT_ISOLATED when `shared` is set where memory cannot be shared, ERR_WASM_UNAVAILABLE.
   */
  constructor(options?: PageAllocOptions) {
    // A subclass may make another heap before it calls super().
    const make = makeNext?.entry === new.target ? makeNext?.make : undefined;
    if (make) makeNext = undefined;
    this[CORE] = make ? make(new.target) : makeCore(new.target, options);
  }

  /**
   * Makes a heap from ranges of pages by chunk index. Applies `scavenged` first (default: none), then `alloc`, which
   * clears scavenged bits. `mapped` lists the heap's address ranges in bytes, ascending; without it every chunk that is
   * named is mapped, whole. scavAddr is at the top, and all counts start at 0. Throws TypeError or RangeError, also for
   * pages that are not in `mapped`; PageAllocError ERR_MISALIGNED, ERR_METADATA_FULL.
   */
  static from(
    state: { alloc: ChunkRanges; scavenged?: ChunkRanges; mapped?: MappedRanges },
    options?: PageAllocOptions,
  ): PageAlloc {
    const { alloc, scavenged = {}, mapped } = readOptions("state", state, ["alloc", "scavenged", "mapped"]);
    // biome-ignore lint/complexity/noThisInStatic: a subclass makes an object of its own
    return new (classOf(this))(options).#filled((heap) => heap.#fill(alloc, scavenged, mapped));
  }

  /**
   * Attaches to a shared heap by its `handle`, from any thread and with either engine. Each heap object has its own
   * hooks. If an object without `sys.unused` scavenges, no hook runs, but the pages still count as released. Throws
   * TypeError for anything but a handle of this layout version; PageAllocError ERR_WASM_UNAVAILABLE, or
   * ERR_METADATA_FULL after 1,073,741,823 objects.
   */
  static attach(
    handle: PageAllocHandle,
    options?: Pick<PageAllocOptions, "sys" | "lockTimeoutMs">,
  ): PageAlloc {
    // biome-ignore lint/complexity/noThisInStatic: a subclass makes an object of its own
    const entry = classOf(this);
    if (!PALLOC_SHARED) throw notShared(entry);
    const given = readOptions("options", options, ["lockTimeoutMs", "sys"]);
    const { lockTimeoutMs } = readSharing(given);
    const sys = readSys(given.sys);
    return heapOf(entry, ({ sharedMemories }) => new Core(sharedMemories.find(handle), sys, lockTimeoutMs));
  }

  /**
   * Makes a heap from a snapshot, whichever engine took it. Copies the bytes. Pages that were in page caches, or held
   * while a hook ran, are free. Throws PageAllocError ERR_CORRUPT unless the bytes are a whole snapshot of this layout
   * version.
   */
  static restore(
    snapshot: Uint8Array,
    options?: Pick<PageAllocOptions, "shared" | "metadataLimit" | "lockTimeoutMs" | "sys">,
  ): PageAlloc {
    // biome-ignore lint/complexity/noThisInStatic: a subclass makes an object of its own
    const heap = heapOf(classOf(this), (entry) => makeCore(entry, options, unseal(snapshot)));
    return heap.#filled(() => {
      heap.check();
      heap[CORE].locked((core) => core.dropRecords());
    });
  }

  /** Which engine the heap runs on. */
  get engine(): "wasm" | "ts" {
    return this[CORE].engine.name;
  }

  /** Bytes per page. */
  get pageSize(): number {
    return this[CORE].pageSize;
  }

  /** Bytes per chunk: 512 pages. */
  get chunkBytes(): number {
    return this[CORE].chunkBytes;
  }

  /**
   * Maps exactly [base, base + nbytes): the pages are free and scavenged. Both are multiples of the page size. The rest
   * of a chunk stays a hole, which a later `grow` may map. Until the first reset, moves scavAddr to the top of the
   * heap. Throws PageAllocError ERR_MISALIGNED; ERR_OVERLAP when a page is mapped already; ERR_METADATA_FULL when
   * linear memory is full, or the heap would have more than 4,194,303 chunks. Bookkeeping takes about 140 bytes a
   * chunk.
   */
  grow(base: number, nbytes: number): void {
    const core = this[CORE];
    const { place, npages } = this.#span(base, nbytes);
    core.locked(() => grow(core, place, npages));
  }

  /**
   * Unmaps exactly [base, base + nbytes): the pages, which must all be free, become holes. A later `grow` may map them
   * again, and reuses the bookkeeping of chunks that have no page left. Returns how many of the bytes were unscavenged.
   * If there is a `sys.unused`, it runs for those, and cannot decline. While it runs, all of the pages are in use.
   * Throws PageAllocError ERR_MISALIGNED, ERR_NOT_MAPPED, ERR_NOT_FREE, or what `sys.unused` throws; what was released
   * before stays released.
   */
  unmap(base: number, nbytes: number): number {
    const core = this[CORE];
    const { place, npages } = this.#span(base, nbytes);
    return unmap(core, place, core.count(npages)) * core.pageSize;
  }

  /**
   * Allocates the lowest npages (1 or more) free pages in a row. Returns their base address, or -1 when there is no
   * such run. Throws what `sys.used` throws.
   *
   * With `align`, looks through the runs of at least npages pages, from the lowest up, for one with an aligned start.
   * In the worst case it looks at every chunk with such a run and finds nothing. That takes 50 to 100 ns a chunk.
   */
  alloc(npages: number, options?: AllocOptions): number {
    const core = this[CORE];
    if (options === undefined && isSmall(npages) && core.allocIsDirect) {
      const found = core.allocNow(npages);
      // The pages are taken. Calls nothing from here on: a call could overflow the stack.
      if (found !== layout.BUSY) {
        const page = Math.floor(found);
        this.#lastAllocScavenged = (found - page) * layout.LAST_SCALE * core.pageSize;
        return page < 0 ? -1 : page * core.pageSize;
      }
    }
    return this.#alloc(npages, options);
  }

  /** `alloc` in all cases. */
  #alloc(npages: number, options: AllocOptions | undefined): number {
    const core = this[CORE];
    const n = core.count(npages);
    const align = options === undefined ? 1 : readAlign(options);
    if (core.sys.used) return this.#took(take(core, n, lowest(core, n, align)));
    core.lock.acquire();
    try {
      const last = (core.at + layout.HEADER_LAST_SCAVENGED) >>> 2;
      const page = core.engine.alloc(core.at, n, align);
      // As above.
      const scavenged = core.engine.memory.i32[last];
      this.#lastAllocScavenged = page < 0 ? 0 : scavenged * core.pageSize;
      return page < 0 ? -1 : page * core.pageSize;
    } finally {
      try {
        core.lock.release();
      } catch {
        core.engine.memory.i32[(core.region.at + layout.HEADER_LOCK) >>> 2] = 0;
      }
    }
  }

  /** Pages of the longest free run: the most that `alloc` has room for. Takes the same time in a heap of any size. */
  longestFree(): number {
    return this[CORE].locked(longestFree);
  }

  /**
   * Allocates exactly these pages, which must be free. Returns how many of their bytes had been scavenged. Throws
   * PageAllocError ERR_MISALIGNED, ERR_NOT_MAPPED, ERR_NOT_FREE, or what `sys.used` throws.
   */
  allocRange(base: number, npages: number): number {
    const core = this[CORE];
    const place = core.range(base, npages);
    const n = core.count(npages);
    if (core.sys.used) {
      this.#took(take(core, n, () => place));
    } else {
      const scavenged = core.locked(({ at, engine }) => {
        if (engine.allocRange(at, place.chunk, place.index, n)) core.mustBe(false, place, n);
        return engine.memory.i32[(at + layout.HEADER_LAST_SCAVENGED) >>> 2];
      });
      // As in `alloc`, calls nothing from here on.
      this.#lastAllocScavenged = scavenged * core.pageSize;
    }
    return this.#lastAllocScavenged;
  }

  /** How many bytes of the latest alloc had been scavenged, and must be paged in again. */
  get lastAllocScavenged(): number {
    this[CORE].mustBeThere();
    return this.#lastAllocScavenged;
  }

  /**
   * Frees npages pages, starting at base, which must be in use. Any part of an allocation may be freed. Throws
   * PageAllocError ERR_MISALIGNED, ERR_NOT_MAPPED, or ERR_NOT_ALLOCATED, also for pages that a page cache owns or a
   * hook runs on.
   */
  free(base: number, npages: number): void {
    const core = this[CORE];
    if (typeof base === "number" && isSmall(npages) && core.freeIsDirect) {
      const page = (base * core.perByte) >>> 0;
      // False if base is not that of a page, or beyond the pages that 32 bits can number.
      if (page * core.pageSize === base) {
        const chunk = page >>> layout.CHUNK_SHIFT;
        const index = page & (layout.CHUNK_PAGES - 1);
        if (core.freeNow(chunk, index, npages) === layout.RANGE_DONE) return;
      }
    }
    this.#free(base, npages);
  }

  /** `free` in all cases. */
  #free(base: number, npages: number): void {
    const core = this[CORE];
    const place = core.range(base, npages);
    const n = core.count(npages);
    core.lock.acquire();
    try {
      if (core.engine.free(core.at, place.chunk, place.index, n)) core.mustBe(true, place, n);
    } finally {
      try {
        core.lock.release();
      } catch {
        core.engine.memory.i32[(core.region.at + layout.HEADER_LOCK) >>> 2] = 0;
      }
    }
  }

  /**
   * Releases at least nbytes (default: everything), from scavAddr downward. Returns the bytes released; 0 when nothing
   * is left below scavAddr. Throws what `sys.unused` throws; what was released before stays released. In a shared heap,
   * each run first leaves the lock to others for 20 µs if a thread has had to wait for it.
   */
  scavenge(nbytes: number = Infinity): number {
    const core = this[CORE];
    countOrInfinity("nbytes", nbytes);
    let released = 0;
    while (released < nbytes) {
      const more = scavengeOne(core, pagesFor(core, nbytes - released));
      if (!more) break;
      released += more * core.pageSize;
    }
    return released;
  }

  /**
   * Releases one run of at most maxBytes (default: no limit), rounded up to physPageSize; more if that keeps a huge
   * page whole. Returns its bytes; 0 when nothing is left below scavAddr. Throws what `sys.unused` throws. Takes as
   * long in a heap of 1 TiB as in a small one.
   */
  scavengeOne(maxBytes: number = Infinity): number {
    const core = this[CORE];
    countOrInfinity("maxBytes", maxBytes);
    return scavengeOne(core, pagesFor(core, maxBytes)) * core.pageSize;
  }

  /** Moves scavAddr to the top of the heap. Pages that were freed above it can be scavenged again. */
  resetScavengeAddr(): void {
    this[CORE].locked((core) => core.engine.reset(core.at));
  }

  /**
   * Where the next scavenge starts, in bytes. Until the first reset, each grow moves it to the top of the heap. After
   * that only a reset raises it, except within its own block of 64 pages. When nothing is left to scavenge, it is below
   * all mapped pages: -1, or just below the lowest page if the last search released that page.
   */
  get scavAddr(): number {
    const core = this[CORE];
    return core.locked(() => core.getF64(layout.HEADER_SCAV_END) * core.pageSize - 1);
  }

  /** Address of the first free page, in bytes; 2**heapAddrBits when nothing is free at all. */
  get searchAddr(): number {
    const core = this[CORE];
    const page = core.locked(() => core.engine.findFree(core.at, 1, 1));
    return page < 0 ? core.limit : page * core.pageSize;
  }

  /**
   * Takes all free pages of one aligned 64-page block, the one with the first free page. The cache owns them until
   * `flush`. It is empty when nothing is free. Throws PageAllocError ERR_METADATA_FULL.
   */
  allocToCache(): PageCache {
    const cache = new PageCache(this, NEW);
    cache.refill();
    return cache;
  }

  /**
   * Indices [start, end) of the first mapped chunk and of the one after the last; not every chunk between need be
   * mapped. Both are 0 in an empty heap.
   */
  bounds(): { start: number; end: number } {
    return this[CORE].locked((core) => ({
      start: core.get(layout.HEADER_START),
      end: core.get(layout.HEADER_END),
    }));
  }

  /** The mapped address ranges [base, limit), ascending, neighbours merged. In bytes. */
  mappedRanges(): Array<readonly [base: number, limit: number]> {
    return this[CORE].locked(mappedRanges);
  }

  /**
   * A live view of one mapped chunk. A page that is a hole has both of its bits set. Writing bits bypasses the
   * summaries: for tests and kernels only. Throws PageAllocError ERR_NOT_MAPPED, and so does the view once all pages of
   * the chunk have been unmapped.
   */
  chunk(index: number): PallocData {
    const core = this[CORE];
    integer("index", index, 0, core.limit / core.chunkBytes - 1);
    const address = () => {
      const data = core.dataOf(index);
      if (data) return data;
      throw new PageAllocError("ERR_NOT_MAPPED", `chunk ${index} is not mapped; call grow() first`);
    };
    core.locked(address);
    const { PallocData } = this.constructor as typeof PageAlloc;
    return new PallocData(new ChunkData(core.engine, address));
  }

  /**
   * The free runs, lowest first: address and length in bytes, and how many of these bytes are scavenged. A run may span
   * chunks. Takes time for each run, not for each page. To count scavenged bytes it also looks at each free chunk that
   * has something to scavenge or, if physPageSize is above the page size, at each free chunk. Throws PageAllocError
   * ERR_CHANGED when a page of the heap changes on the way.
   */
  freeRuns(): IterableIterator<FreeRun> {
    this[CORE].mustBeThere();
    return freeRuns(this[CORE]);
  }

  /** The whole state as ranges of pages by chunk index; the inverse of `from`. */
  ranges(): {
    alloc: Record<number, PageRange[]>;
    scavenged: Record<number, PageRange[]>;
    mapped: Array<[base: number, limit: number]>;
  } {
    return this[CORE].locked(describe);
  }

  /** What is in use, free and released now, and what has happened so far. */
  stats(): PageAllocStats {
    return this[CORE].locked(readStats);
  }

  /**
   * The heap in about ten lines: its numbers, in bytes, and a picture of its first mapped ranges. For people to read.
   */
  toString(): string {
    return this[CORE].region.at ? this[CORE].locked(pictureOf) : "PageAlloc, disposed of";
  }

  /**
   * Checks the whole state. Throws PageAllocError ERR_CORRUPT, naming the place, if an invariant does not hold. Takes
   * about half a microsecond a chunk.
   */
  check(): void {
    this[CORE].locked(check);
  }

  /** Returns the whole state as bytes. Both engines return the same bytes after the same calls. */
  snapshot(): Uint8Array {
    return this[CORE].locked((core) => {
      const words = core.engine.memory.i32.slice(
        core.at >>> 2,
        (core.at + core.get(layout.HEADER_USED)) >>> 2,
      );
      seal(words);
      return new Uint8Array(words.buffer);
    });
  }

  /**
   * Releases the free pages among npages pages, starting at base, wherever scavAddr is and whatever physPageSize is.
   * Skips holes and pages in use. `sys.unused` runs for each run of unscavenged pages within a chunk, and may decline.
   * Returns the bytes released. Throws PageAllocError ERR_MISALIGNED, or what `sys.unused` throws; what was released
   * before stays released.
   */
  scavengeRange(base: number, npages: number): number {
    const core = this[CORE];
    const place = core.range(base, npages);
    return releaseRange(core, place, npages) * core.pageSize;
  }

  /**
   * Runs a batch of calls. `ops` has four numbers per operation. Each operation does what the call of its name does,
   * and writes two numbers to `results`, in bytes. The second is how much of the allocation had been scavenged:
   *
   * | code | npages | where | offset | value | scavenged |
   * |---|---|---|---|---|---|
   * | Op.alloc | 1 or more | number of the page cache to ask first, or -1 | 0 or 1 | base, or -1 | bytes |
   * | Op.alloc, aligned | 1 or more | -1 | `align` in pages | base, or -1 | bytes |
   * | Op.allocRange | 1 or more | base | - | base | bytes |
   * | Op.free | 1 or more | base | - | base | 0 |
   * | Op.freeResult | 1 or more | number of an earlier operation | bytes to add to its value | base | 0 |
   * | Op.scavengeRange | 1 or more | base | - | bytes released | 0 |
   *
   * If an operation throws, so does the batch. The message then begins with the number of that operation. The
   * operations before it are done, and their results are written. `lastAllocScavenged` of the heap and of its caches is
   * undefined after a batch. On a shared heap each operation takes the lock by itself, so other threads' calls may come
   * between. `ops` and `results` may share memory: all operations are read first. Throws TypeError if an array is not a
   * Float64Array or has lost its bytes, and RangeError if its length does not fit. Throws TypeError for a cache of
   * another heap. If a hook detaches or shrinks the memory of `results`, throws TypeError after that operation.
   */
  run(ops: Float64Array, results: Float64Array, options?: RunOptions): void {
    runBatch(this[CORE], this, ops, results, options);
  }

  /**
   * What `attach` needs: post it to the other thread. Once it has been read, the heap lives for as long as anybody has
   * the handle. Throws PageAllocError ERR_NOT_SHARED for a heap that is not shared.
   */
  get handle(): PageAllocHandle {
    const core = this.#shared();
    core.region.giveBack = undefined;
    return core.handle as PageAllocHandle;
  }

  /**
   * The number of this heap object, 1 or more. No other object of the heap has it. Another object's `recover` takes
   * it.
   */
  get owner(): number {
    return this[CORE].owner;
  }

  /**
   * Cleans up after the worker of another heap object, which has ended. Its last call is finished or undone, its page
   * caches are flushed, pages that its hooks held are free and unscavenged, and the lock is free. Pages that it had
   * allocated stay in use: only their user knows of them. Calling this for a worker that still runs breaks the heap; in
   * a browser a worker may run for seconds after `terminate()`. Takes microseconds, plus 0.1 per chunk if the worker
   * died within a call. Throws RangeError unless `owner` is the number of another object; PageAllocError
   * ERR_NOT_SHARED, ERR_LOCKED.
   */
  recover(owner: number): void {
    const core = this.#shared();
    integer("owner", owner, 1, core.get(layout.HEADER_OWNERS));
    if (owner === core.owner) refuse("owner", owner, "the number of another heap object", "number");
    if (PALLOC_SHARED) recover(core, owner);
  }

  /**
   * Waits for the lock without blocking, then runs `call`; for example `callAsync((heap) => heap.grow(base, nbytes))`.
   * The first call of this heap object in `call` has the lock; further ones take it as usual. Returns what `call`
   * returns. Rejects with what it throws, or PageAllocError ERR_LOCKED after `lockTimeoutMs`.
   */
  async callAsync<T>(call: (heap: this) => T): Promise<T> {
    if (!PALLOC_SHARED) throw this.#notShared();
    if (typeof call !== "function") refuse("call", call, "a function");
    this[CORE].mustBeThere();
    return this[CORE].lock.whenFree(() => call(this));
  }

  /**
   * `alloc` for a thread that may not block. Another call may change `lastAllocScavenged` before this one resolves; use
   * `callAsync` to read both.
   */
  async allocAsync(npages: number, options?: AllocOptions): Promise<number> {
    if (!PALLOC_SHARED) throw this.#notShared();
    this[CORE].count(npages);
    const align = readAlign(options);
    return this.callAsync(() => this.alloc(npages, { align }));
  }

  /** `free` for a thread that may not block. */
  async freeAsync(base: number, npages: number): Promise<void> {
    if (!PALLOC_SHARED) throw this.#notShared();
    this[CORE].range(base, npages);
    return this.callAsync(() => this.free(base, npages));
  }

  /** `scavenge` for a thread that may not block. Others may use this heap object while it waits. */
  async scavengeAsync(nbytes: number = Infinity): Promise<number> {
    const core = this[CORE];
    if (PALLOC_SHARED) {
      countOrInfinity("nbytes", nbytes);
      core.mustBeThere();
      let released = 0;
      while (released < nbytes) {
        const more = await scavengeOneAsync(core, pagesFor(core, nbytes - released));
        if (!more) break;
        released += more * core.pageSize;
      }
      return released;
    }
    throw this.#notShared();
  }

  /**
   * Ends this object's use of the heap. Later calls of it, of its page caches and of its chunk views throw
   * ERR_DISPOSED. A plain heap is gone and its bookkeeping freed, which also happens when it is garbage-collected. A
   * shared heap whose `handle` was never read is gone too. Any other shared heap stays for the objects that are
   * attached, and this object's page caches are flushed. Throws PageAllocError ERR_LOCKED when called from one of the
   * object's own hooks.
   */
  dispose(): void {
    const core = this[CORE];
    if (!core.region.at) return;
    core.locked(() => {
      if (core.isInHook()) {
        throw new PageAllocError("ERR_LOCKED", "a sys hook is running; let it return first");
      }
      if (PALLOC_SHARED && core.handle) core.dropRecords(core.owner);
    });
    core.close();
  }

  /** Returns the error for a call that only the heaps of another entry have. */
  #notShared(): PageAllocError {
    this[CORE].mustBeThere();
    return notShared(this.constructor as typeof PageAlloc);
  }

  /** Returns the core. Throws PageAllocError ERR_NOT_SHARED unless the heap is shared. */
  #shared(): Core {
    const core = this[CORE];
    if (!PALLOC_SHARED) throw this.#notShared();
    core.mustBeThere();
    if (core.handle) return core;
    throw new PageAllocError("ERR_NOT_SHARED", "the heap is not shared; make it with { shared: true }");
  }

  /** Checks a range of addresses, given in bytes. Returns its pages. Throws what `grow` and `unmap` do. */
  #span(base: number, nbytes: number): { place: Place; npages: number } {
    const core = this[CORE];
    integer("base", base, 0, core.limit - 1);
    integer("nbytes", nbytes, 1, core.limit - base);
    core.multiple("base", base);
    core.multiple("nbytes", nbytes);
    return { place: placeOf(base / core.pageSize), npages: nbytes / core.pageSize };
  }

  /** Takes note of what an allocation has given. Returns its address in bytes, or -1. */
  #took({ base, scavenged }: Taken): number {
    this.#lastAllocScavenged = scavenged * this[CORE].pageSize;
    return base;
  }

  /** Finishes a new heap with `finish`. If that throws, disposes of the heap. */
  #filled(finish: (heap: this) => void): this {
    try {
      finish(this);
      return this;
    } catch (error) {
      this[CORE].close();
      throw error;
    }
  }

  /** Fills an empty heap; see `from`. */
  #fill(allocRanges: ChunkRanges | undefined, scavengedRanges: ChunkRanges, mapped?: MappedRanges): void {
    const core = this[CORE];
    const most = core.limit / core.chunkBytes - 1;
    const alloc = readRanges("state.alloc", allocRanges, most);
    const scavenged = readRanges("state.scavenged", scavengedRanges, most);
    const named = [...new Set([...alloc.keys(), ...scavenged.keys()])].sort((a, b) => a - b);
    const ranges = mapped
      ? readMapped("state.mapped", mapped)
      : named.map((chunk) => [chunk * core.chunkBytes, (chunk + 1) * core.chunkBytes] as const);
    for (const [base, limit] of ranges) this.grow(base, limit - base);
    core.locked(() => fill(core, alloc, scavenged));
  }
}

if (Symbol.dispose)
  Object.defineProperty(PageAlloc.prototype, Symbol.dispose, { value: PageAlloc.prototype.dispose });
Object.defineProperty(PageAlloc.prototype, INSPECT, { value: PageAlloc.prototype.toString });

/** Makes the core of a new heap from its options, with an empty or a given state. */
function makeCore(entry: typeof PageAlloc, options: PageAllocOptions | undefined, state?: Int32Array): Core {
  const given = readOptions("options", options, state ? SHARING : [...GEOMETRY, ...SHARING]);
  const sys = readSys(given.sys);
  const { shared, metadataLimit, lockTimeoutMs } = readSharing(given);
  const first = state ?? readGeometry(given);
  if (!shared) return coreOf(entry.instance(), first, sys);
  if (PALLOC_SHARED) {
    return sharedCoreOf(entry.sharedMemories.reserve(metadataLimit), first, sys, lockTimeoutMs);
  }
  throw notShared(entry);
}

/** Returns the error for the use of a shared heap in an entry that has none. */
function notShared({ sharedEntry }: typeof PageAlloc): PageAllocError {
  const message = `heaps of this entry cannot be shared; import PageAlloc from "${sharedEntry}"`;
  return new PageAllocError("ERR_NOT_SHARED", message);
}

/** Reports whether a value is a number of pages that a direct call takes. Faster than Number.isInteger. */
function isSmall(npages: number): boolean {
  return typeof npages === "number" && npages === (npages | 0) && npages >= 1 && npages <= layout.CHUNK_PAGES;
}

/** Returns the most pages that one step of a scavenge of nbytes releases. */
function pagesFor(core: Core, nbytes: number): number {
  return Math.min(Math.ceil(nbytes * core.perByte), layout.CHUNK_PAGES);
}
