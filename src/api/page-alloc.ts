// PageAlloc: the public heap. It checks arguments, takes the lock, makes room for bookkeeping, runs hooks and says what
// went wrong; the engine it stands on looks at the bits.

/// <reference lib="esnext.disposable" preserve="true" />

import { countOrInfinity, integer, readOptions, refuse } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import { type PageRange, type Place, placeOf, runsOf } from "../engine/pages.ts";
import { check } from "../heap/check.ts";
import { CORE, Core, coreOf, sharedCoreOf } from "../heap/core.ts";
import { Reuse } from "../heap/hooks.ts";
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
import { scavengeOne, scavengeOneAsync, scavengePages } from "../heap/scavenger.ts";
import { roomToGrow } from "../store/header.ts";
import type { Instance } from "../store/regions.ts";
import type { PageAllocHandle, SharedMemories } from "../store/shared-memories.ts";
import { seal, unseal } from "../store/snapshot.ts";
import { type RunOptions, run } from "./batch.ts";
import { GEOMETRY, type PageAllocOptions, readGeometry, readSharing, readSys, SHARING } from "./options.ts";
import { NEW, PageCache } from "./page-cache.ts";
import { DataPlace, type PallocData } from "./palloc-data.ts";
import { type PageAllocStats, readStats } from "./stats.ts";

/** Makes the inside of the next heap object, where options do not. Nobody outside can bring that about. */
let coming: ((home: typeof PageAlloc) => Core) | undefined;

/** The heap object that `construct` gives, with the inside that `make` makes, whatever a subclass passes on. */
function heapOf<T>(make: (home: typeof PageAlloc) => Core, construct: () => T): T {
  coming = make;
  try {
    return construct();
  } finally {
    coming = undefined;
  }
}

/**
 * A heap of pages: which are in use, where there is room for more, and what can be given back to the system. Addresses
 * and sizes are in bytes where they are called base or nbytes, in pages where they are called npages.
 *
 * Every call throws TypeError or RangeError for arguments of the wrong type or out of range, TypeError for options that
 * it does not know, and PageAllocError ERR_DISPOSED after `dispose`, or ERR_LOCKED when another call has the lock: in a
 * shared heap for longer than `lockTimeoutMs`, or 2 ms in a thread that may not block. One that runs a hook also throws
 * ERR_METADATA_FULL when there is no memory to note what the hook runs on. A call that throws has changed nothing.
 */
export class PageAlloc {
  /** @internal */
  readonly [CORE]: Core;
  #lastAllocScavenged = 0;
  /** `dispose`, for `using`, in runtimes that know the symbol. */
  declare readonly [Symbol.dispose]: () => void;

  /** @internal What heaps are made of; the package's entries say which engine. */
  declare static readonly instance: () => Instance;

  /** @internal Where shared heaps live. */
  declare static readonly sharedMemories: SharedMemories;

  /** @internal The class of chunk views. */
  declare static readonly PallocData: typeof PallocData;

  /**
   * An empty heap. Throws PageAllocError ERR_METADATA_FULL when there is no linear memory for it, ERR_NOT_ISOLATED when
   * it is to be shared where memory cannot be, ERR_WASM_UNAVAILABLE.
   */
  constructor(options?: PageAllocOptions) {
    const make = coming;
    coming = undefined;
    this[CORE] = make ? make(new.target) : makeCore(new.target, options);
  }

  /**
   * A heap described by its chunks: first `scavenged` is applied (none if left out), then `alloc`, which clears
   * scavenged bits. `mapped` are the address ranges that are part of the heap, ascending, in bytes; without it each
   * chunk that is named is, whole. scavAddr is at the top, and the counts start at 0. Throws TypeError or RangeError,
   * also for pages that are not in `mapped`; PageAllocError ERR_MISALIGNED, ERR_METADATA_FULL.
   */
  static from(
    state: { alloc: ChunkRanges; scavenged?: ChunkRanges; mapped?: MappedRanges },
    options?: PageAllocOptions,
  ): PageAlloc {
    const { alloc, scavenged = {}, mapped } = readOptions("state", state, ["alloc", "scavenged", "mapped"]);
    return new this(options).#filled((heap) => heap.#describe(alloc, scavenged, mapped));
  }

  /**
   * The heap that another thread, or this one, has made, and whose `handle` that is. Either engine attaches to a heap
   * of the other. Each object has hooks of its own: what one without `sys.unused` scavenges, no system is told of.
   * Throws TypeError for anything but a handle, or that of another layout version; PageAllocError ERR_WASM_UNAVAILABLE,
   * or ERR_METADATA_FULL when 1,073,741,823 objects, this heap's first among them, have been attached.
   */
  static attach(
    handle: PageAllocHandle,
    options?: Pick<PageAllocOptions, "sys" | "lockTimeoutMs">,
  ): PageAlloc {
    const given = readOptions("options", options, ["lockTimeoutMs", "sys"]);
    const { lockTimeoutMs } = readSharing(given);
    const sys = readSys(given.sys);
    return heapOf(
      ({ sharedMemories }) => new Core(sharedMemories.find(handle), sys, lockTimeoutMs),
      () => new this(),
    );
  }

  /**
   * The heap that a snapshot shows, of either engine. Pages that were in page caches, or held while a hook ran, are
   * free. The bytes are copied. Throws PageAllocError ERR_CORRUPT when they are not a snapshot, not whole, or of
   * another layout version.
   */
  static restore(
    snapshot: Uint8Array,
    options?: Pick<PageAllocOptions, "shared" | "metadataLimit" | "lockTimeoutMs" | "sys">,
  ): PageAlloc {
    const heap = heapOf(
      (home) => makeCore(home, options, unseal(snapshot)),
      () => new this(),
    );
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
   * Adds exactly [base, base + nbytes) to the heap: free, and scavenged. Both are multiples of the page size; what is
   * left of a chunk stays a hole until it is grown over. Until the first reset, puts scavAddr to the top of the heap.
   * Throws PageAllocError ERR_MISALIGNED, ERR_OVERLAP when part of it is mapped already, ERR_METADATA_FULL when there
   * is no linear memory for the bookkeeping, about 140 bytes a chunk, or when the heap would have more than 4,194,303
   * chunks.
   */
  grow(base: number, nbytes: number): void {
    const core = this[CORE];
    integer("base", base, 0, core.limit - 1);
    integer("nbytes", nbytes, 1, core.limit - base);
    core.multiple("base", base);
    core.multiple("nbytes", nbytes);
    const { chunk, index } = placeOf(base / core.pageSize);
    const npages = nbytes / core.pageSize;
    const last = Math.ceil((base + nbytes) / core.chunkBytes) - 1;
    core.locked(() => {
      const nmapped = core.get(layout.HEADER_CHUNKS);
      const shared = Number(core.dataOf(chunk) > 0) + Number(last > chunk && core.dataOf(last) > 0);
      if (nmapped + last - chunk + 1 - shared > layout.MAX_CHUNKS) {
        const more = last - chunk + 1 - shared;
        const message = `the heap can have ${layout.MAX_CHUNKS} chunks, got ${more} more than ${nmapped}`;
        throw new PageAllocError("ERR_METADATA_FULL", message);
      }
      const mapped = core.engine.mappedPage(core.at, chunk, index, npages);
      if (mapped >= 0) {
        const message = `the page at ${mapped * core.pageSize} is mapped already; see mappedRanges()`;
        throw new PageAllocError("ERR_OVERLAP", message);
      }
      core.makeRoom(roomToGrow(chunk, last - chunk + 1, nmapped ? core.get(layout.HEADER_START) : chunk));
      core.engine.map(core.at, chunk, index, npages);
    });
  }

  /**
   * Address-ordered first fit: the base address of the lowest npages (1 or more) free pages in a row, or -1 when there
   * are none. Throws what `sys.used` throws.
   */
  alloc(npages: number): number {
    const core = this[CORE];
    const n = core.count(npages);
    if (core.sys.used) return this.#allocUsed(n);
    core.lock.acquire();
    try {
      const last = (core.at + layout.HEADER_LAST_SCAVENGED) >>> 2;
      const page = core.engine.alloc(core.at, n);
      // The pages are taken: nothing is called from here on, as it might not return for lack of stack.
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

  /**
   * Takes exactly these pages, which must be free. Returns how many of their bytes had been scavenged. Throws
   * PageAllocError ERR_MISALIGNED, ERR_NOT_MAPPED, ERR_NOT_FREE, or what `sys.used` throws.
   */
  allocRange(base: number, npages: number): number {
    const core = this[CORE];
    const place = core.range(base, npages);
    this.#take(core.count(npages), () => place);
    return this.#lastAllocScavenged;
  }

  /** Bytes of the latest alloc that had been scavenged, so must be paged in again. */
  get lastAllocScavenged(): number {
    this[CORE].mustBeThere();
    return this.#lastAllocScavenged;
  }

  /**
   * Gives back npages pages from base on, which must be in use; any part of what was allocated may be freed. Throws
   * PageAllocError ERR_MISALIGNED, ERR_NOT_MAPPED, or ERR_NOT_ALLOCATED, also for pages in a page cache and pages that
   * a hook runs on.
   */
  free(base: number, npages: number): void {
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
   * Releases at least nbytes (default: all there is), highest address first, from scavAddr downward. Returns the bytes
   * released; 0 when nothing is left below scavAddr. Throws what `sys.unused` throws; what was released before stays
   * so. In a shared heap each run first leaves the lock to others for 20 µs if one has had to wait for it.
   */
  scavenge(nbytes: number = Infinity): number {
    countOrInfinity("nbytes", nbytes);
    let released = 0;
    while (released < nbytes) {
      const more = this.scavengeOne(nbytes - released);
      if (!more) break;
      released += more;
    }
    return released;
  }

  /**
   * Releases one contiguous run of at most maxBytes (default: no limit), rounded up to what the system releases at
   * once, and more where a huge page would be broken. Returns its bytes; 0 when nothing is left below scavAddr. Throws
   * what `sys.unused` throws. Takes as long for a heap of a terabyte as for a small one.
   */
  scavengeOne(maxBytes: number = Infinity): number {
    const core = this[CORE];
    countOrInfinity("maxBytes", maxBytes);
    return scavengeOne(core, pagesFor(core, maxBytes)) * core.pageSize;
  }

  /** Starts the scavenger again at the top of the heap: what was freed above scavAddr counts again. */
  resetScavengeAddr(): void {
    this[CORE].locked((core) => core.engine.reset(core.at));
  }

  /**
   * Where the next scavenge starts, in bytes. Until the first reset each grow puts it to the top of the heap; after
   * that a reset raises it, and nothing else does so beyond its 64-page block. Once the heap is exhausted it lies below
   * all mapped pages: at -1 after a walk, and just below the lowest page after a look there.
   */
  get scavAddr(): number {
    const core = this[CORE];
    return core.locked(() => core.getF64(layout.HEADER_SCAV_END) * core.pageSize - 1);
  }

  /** Address of the first free page, in bytes; 2**heapAddrBits when nothing is free at all. */
  get searchAddr(): number {
    const core = this[CORE];
    const page = core.locked(() => core.engine.findFreePage(core.at, 1));
    return page < 0 ? core.limit : page * core.pageSize;
  }

  /**
   * Up to 64 free pages, one aligned block of a chunk, the one with the first free page: owned by the cache until
   * flush. Nothing when the heap is exhausted: the cache is empty. Throws PageAllocError ERR_METADATA_FULL.
   */
  allocToCache(): PageCache {
    const cache = new PageCache(this, NEW);
    cache.refill();
    return cache;
  }

  /** Chunk indices [start, end) that have been grown over; chunks between may be holes. Both 0 in an empty heap. */
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
   * A live view of one chunk that is mapped, if only in part: a page of it that is a hole has both of its bits set.
   * Writing to its bits bypasses the summaries: for tests and kernels only. Throws PageAllocError ERR_NOT_MAPPED.
   */
  chunk(index: number): PallocData {
    const core = this[CORE];
    integer("index", index, 0, core.limit / core.chunkBytes - 1);
    const data = core.locked(() => core.dataOf(index));
    if (!data) {
      throw new PageAllocError("ERR_NOT_MAPPED", `chunk ${index} is not mapped; grow over it first`);
    }
    const offset = data - core.at;
    const { PallocData } = this.constructor as typeof PageAlloc;
    return new PallocData(new DataPlace(core.engine, () => core.at + offset));
  }

  /** The whole state as ranges of pages by chunk index; the inverse of `from`. */
  ranges(): {
    alloc: Record<number, PageRange[]>;
    scavenged: Record<number, PageRange[]>;
    mapped: Array<[base: number, limit: number]>;
  } {
    return this[CORE].locked(describe);
  }

  /** What is in use, free and released now, and what has happened since the heap was made. */
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
   * Goes over the whole state. Throws PageAllocError ERR_CORRUPT, naming the place, if any invariant does not hold.
   * Takes about a microsecond a chunk.
   */
  check(): void {
    this[CORE].locked(check);
  }

  /** The whole state as bytes, the same from either engine after the same calls. */
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
   * Marks as scavenged those of npages pages from base on that are free and unscavenged, wherever scavAddr is. Holes
   * and pages in use are passed over. No hook runs: this is for replaying what a system is known to have released.
   * Returns the bytes released. Throws PageAllocError ERR_MISALIGNED.
   */
  scavengeRange(base: number, npages: number): number {
    const core = this[CORE];
    const place = core.range(base, npages);
    return core.locked(() => scavengePages(core, place, npages)) * core.pageSize;
  }

  /**
   * Carries out a batch of calls at once, each as the call of its name would. `ops` has four numbers an operation, and
   * `results` gets two for each, in bytes:
   *
   * | code | npages | where | offset | value | scavenged |
   * |---|---|---|---|---|---|
   * | Op.alloc | 1 or more | number of the page cache to ask first, or -1 | - | base, or -1 | bytes that had been |
   * | Op.allocRange | 1 or more | base | - | base | bytes that had been |
   * | Op.free | 1 or more | base | - | base | 0 |
   * | Op.freeResult | 1 or more | number of an earlier operation | bytes from its value on | base | 0 |
   * | Op.scavengeRange | 1 or more | base | - | bytes released | 0 |
   *
   * What an operation throws, this throws, its message beginning with the operation's number; those before it stand,
   * and their results are written. What `lastAllocScavenged` says of the heap and its caches after a batch is open. On
   * a shared heap each operation takes the lock by itself, so others' calls may come between. `ops` and `results` may
   * share memory: all operations are read before the first is carried out. Throws TypeError or RangeError for arrays of
   * another kind, too short, or without their bytes, TypeError for a cache of another heap; TypeError, after the
   * operation, when a hook has detached or shrunk what `results` is written to.
   */
  run(ops: Float64Array, results: Float64Array, options?: RunOptions): void {
    run(this[CORE], this, ops, results, options);
  }

  /**
   * What `attach` needs in another thread; post it there. From its first use on, the heap is there for as long as
   * anybody has the handle. Throws PageAllocError ERR_NOT_SHARED for a heap that is not shared.
   */
  get handle(): PageAllocHandle {
    const core = this.#shared();
    core.region.giveBack = undefined;
    return core.handle as PageAllocHandle;
  }

  /**
   * This object's number among all that are or were attached to the heap, 1 or more: what `recover` wants, elsewhere.
   */
  get owner(): number {
    return this[CORE].owner;
  }

  /**
   * Says that the worker of the heap object with that number has ended. What it was doing is finished, or has not
   * begun; its page caches are flushed, pages that its hooks held are free and unscavenged, and the lock is free. Pages
   * that it had allocated stay in use: only their user knows of them. Calling this for a worker that is still at work
   * breaks the heap; in a browser, a worker may go on for seconds after `terminate()`. Takes some microseconds, and
   * about one a chunk more if the worker died within a call. Throws RangeError for a number that no object has, or this
   * one's; PageAllocError ERR_NOT_SHARED, ERR_LOCKED.
   */
  recover(owner: number): void {
    const core = this.#shared();
    integer("owner", owner, 1, core.get(layout.HEADER_OWNERS));
    if (owner === core.owner) refuse("owner", owner, "the number of another heap object", "number");
    recover(core, owner);
  }

  /**
   * Makes a call of this heap, say `callAsync((heap) => heap.grow(base, nbytes))`, for a thread that may not block, as
   * a page's main thread: waits for the lock without blocking. The first call of this heap object in `call` has the
   * lock; others of it take it as ever, and those of another object on the same heap do not get it before. Gives what
   * `call` gives. Rejects with what it throws, or PageAllocError ERR_LOCKED after `lockTimeoutMs`.
   */
  async callAsync<T>(call: (heap: this) => T): Promise<T> {
    if (typeof call !== "function") refuse("call", call, "a function");
    this[CORE].mustBeThere();
    return this[CORE].lock.whenFree(() => call(this));
  }

  /**
   * `alloc` for a thread that may not block. What `lastAllocScavenged` says is this call's only until the next; use
   * `callAsync` to have both.
   */
  async allocAsync(npages: number): Promise<number> {
    this[CORE].count(npages);
    return this.callAsync(() => this.alloc(npages));
  }

  /** `free` for a thread that may not block. */
  async freeAsync(base: number, npages: number): Promise<void> {
    this[CORE].range(base, npages);
    return this.callAsync(() => this.free(base, npages));
  }

  /** `scavenge` for a thread that may not block. Others may use this heap object while it waits. */
  async scavengeAsync(nbytes: number = Infinity): Promise<number> {
    const core = this[CORE];
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

  /**
   * Ends this object's use of the heap; any later use of it, of its page caches and of its chunks' views throws
   * ERR_DISPOSED. A heap that is not shared is gone, and its bookkeeping given back, which also happens when it is
   * collected; so is a shared one whose `handle` was never read. Else a shared heap stays for all others that are
   * attached; this object's page caches are flushed. Throws PageAllocError ERR_LOCKED from within one of the object's
   * own hooks.
   */
  dispose(): void {
    const core = this[CORE];
    if (!core.region.at) return;
    core.locked(() => {
      if (core.holds()) {
        throw new PageAllocError("ERR_LOCKED", "a sys hook is in the heap; let it return first");
      }
      if (core.handle) core.dropRecords(core.owner);
    });
    core.close();
  }

  /** The core of a heap that is shared. */
  #shared(): Core {
    const core = this[CORE];
    core.mustBeThere();
    if (core.handle) return core;
    throw new PageAllocError(
      "ERR_NOT_SHARED",
      "the heap is this thread's only; make it with { shared: true }",
    );
  }

  /** `alloc` for a heap whose system wants to know. */
  #allocUsed(npages: number): number {
    const core = this[CORE];
    return this.#take(npages, () => {
      const page = core.engine.findFreePage(core.at, npages);
      return page < 0 ? undefined : placeOf(page);
    });
  }

  /**
   * Takes the pages that `choose` finds, if any, and tells the system that they are about to be used again. Returns
   * their address, or -1.
   */
  #take(npages: number, choose: () => Place | undefined): number {
    const core = this[CORE];
    const reuse = new Reuse(core);
    let scavenged = 0;
    let base = -1;
    try {
      core.locked(() => {
        const place = choose();
        if (!place) return;
        const { chunk, index } = place;
        if (core.engine.inspect(core.at, chunk, index, npages, false)) core.mustBe(false, place, npages);
        const runs = core.sys.used ? scavengedRuns(core, place, npages) : [];
        const address = core.address(place);
        if (runs.length) {
          scavenged = runs.reduce((sum, [, count]) => sum + count, 0);
          reuse.work = reuse.givingBack(place, layout.HOLD_UNDONE, runs);
          reuse.ref = core.hold(layout.KIND_REUSING, place, npages, core.getF64(layout.HEADER_SCAV_END));
        } else {
          const last = (core.at + layout.HEADER_LAST_SCAVENGED) >>> 2;
          core.engine.allocRange(core.at, chunk, index, npages);
          scavenged = core.engine.memory.i32[last];
        }
        base = address;
      });
      if (reuse.ref) reuse.run(base, npages * core.pageSize);
    } finally {
      // Nobody gets the pages, and they are not held for ever: the next call frees them.
      if (reuse.ref) {
        reuse.next = core.lock.rest;
        core.lock.rest = reuse;
      }
    }
    this.#lastAllocScavenged = scavenged * core.pageSize;
    return base;
  }

  /** Finishes a new heap, which is gone if that fails. */
  #filled(finish: (heap: this) => void): this {
    try {
      finish(this);
      return this;
    } catch (error) {
      this[CORE].close();
      throw error;
    }
  }

  /** Fills an empty heap as `from` says. */
  #describe(allocRanges: ChunkRanges | undefined, scavengedRanges: ChunkRanges, mapped?: MappedRanges): void {
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

/** The inside of a new heap, as its options say, with a state that is empty or given. */
function makeCore(
  { instance, sharedMemories }: typeof PageAlloc,
  options: PageAllocOptions | undefined,
  state?: Int32Array,
): Core {
  const given = readOptions("options", options, state ? SHARING : [...GEOMETRY, ...SHARING]);
  const sys = readSys(given.sys);
  const { shared, metadataLimit, lockTimeoutMs } = readSharing(given);
  const first = state ?? readGeometry(given);
  if (!shared) return coreOf(instance(), first, sys);
  return sharedCoreOf(sharedMemories.place(metadataLimit), first, sys, lockTimeoutMs);
}

/** Pages that a scavenge of that many bytes releases at a time, at the most. */
function pagesFor(core: Core, nbytes: number): number {
  return Math.min(Math.ceil(nbytes / core.pageSize), layout.CHUNK_PAGES);
}

/** The runs of scavenged pages in a range. Caller must hold the lock. */
function scavengedRuns(core: Core, { chunk, index }: Place, npages: number): PageRange[] {
  const { engine } = core;
  const runs: PageRange[] = [];
  for (let done = 0; done < npages; ) {
    const at = placeOf(chunk * layout.CHUNK_PAGES + index + done);
    const n = Math.min(npages - done, layout.CHUNK_PAGES - at.index);
    const bits = core.dataOf(at.chunk) + layout.DATA_SCAVENGED;
    const scavenged = engine.popcntRange(bits, at.index, n);
    if (scavenged === n) runs.push([done, n]);
    else if (scavenged) runs.push(...runsOf((i) => engine.popcntRange(bits, at.index + i, 1) > 0, n, done));
    done += n;
  }
  return runs;
}
