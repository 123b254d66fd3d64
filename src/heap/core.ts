// What the public classes of a heap share: its engine and region, its lock, its options, and the steps that more than
// one of them takes. One core belongs to one PageAlloc; its page caches and chunk views refer to it.

import { integer } from "../base/arguments.ts";
import { PageAllocError, type PageAllocErrorCode } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import type { Region } from "../engine/memory.ts";
import { type Place, placeOf } from "../engine/pages.ts";
import { bytesOf, type Geometry, writeState } from "../store/header.ts";
import { broken, mend } from "../store/mend.ts";
import { type Instance, memoryFull, type Regions } from "../store/regions.ts";
import type { PageAllocHandle, SharedPlace } from "../store/shared-memories.ts";
import { State } from "../store/state.ts";
import { check } from "./check.ts";
import { LocalLock, type Lock, SharedLock } from "./lock.ts";
import type { Sys } from "./sys.ts";

/** The key of a PageAlloc's core, for the other classes of the package. */
export const CORE = Symbol("core");

/** An object that users hold and that has a core: a PageAlloc. */
export interface HeapObject {
  /** @internal */
  readonly [CORE]: Core;
  /** Which engine the heap runs on. */
  readonly engine: "wasm" | "ts";
  /** Bytes per page. */
  readonly pageSize: number;
}

/** Where a heap is: in a region of an engine's own memory, or in memory that is shared. */
interface Home {
  readonly engine: Engine;
  readonly region: Region;
  readonly regions?: Regions;
  readonly handle?: PageAllocHandle;
}

/** The inside of a heap. */
export class Core extends State {
  readonly regions: Regions | undefined;
  readonly lock: Lock;
  readonly sys: Sys;
  readonly pageSize: number;
  readonly chunkBytes: number;
  /** Addresses are below this. */
  readonly limit: number;
  /** Pages that there are addresses for. */
  readonly #pages: number;
  /** This object's number among all that are or were attached to the heap. */
  readonly owner: number;
  /** What another thread can attach with, if the heap is shared. */
  readonly handle: PageAllocHandle | undefined;

  /**
   * Throws PageAllocError ERR_METADATA_FULL when a shared heap has no number left for its owner.
   * @param lockTimeoutMs for a shared heap: how long calls wait for the lock
   */
  constructor({ engine, region, regions, handle }: Home, sys: Sys, lockTimeoutMs: number) {
    super(engine, region);
    this.regions = regions;
    this.handle = handle;
    this.sys = sys;
    this.owner = handle ? nextOwner(engine.memory.i32, (region.at + layout.HEADER_OWNERS) >>> 2) : 1;
    this.lock = handle ? new SharedLock(this, this.owner, lockTimeoutMs) : new LocalLock(this);
    this.pageSize = 2 ** this.get(layout.HEADER_PAGE_SHIFT);
    this.chunkBytes = this.pageSize * layout.CHUNK_PAGES;
    this.limit = 2 ** this.get(layout.HEADER_ADDR_BITS);
    this.#pages = this.limit / this.pageSize;
  }

  /** Runs `work` with the lock held. */
  locked<T>(work: (core: Core) => T): T {
    this.lock.acquire();
    try {
      return work(this);
    } finally {
      // What was done stands: the call must return, also when there is no stack left for another.
      try {
        this.lock.release();
      } catch {
        this.engine.memory.i32[(this.region.at + layout.HEADER_LOCK) >>> 2] = 0;
      }
    }
  }

  /**
   * Mends the heap if an earlier call was broken off, then does the work that was left for the next holder of the lock.
   * Caller must hold the lock. If this throws, it has released the lock.
   */
  catchUp(): void {
    const { lock } = this;
    try {
      if (this.get(layout.JOURNAL_OP)) this.#mend();
      for (; lock.rest; lock.rest = lock.rest.next) lock.rest.work();
    } catch (error) {
      Atomics.store(this.engine.memory.i32, (this.region.at + layout.HEADER_LOCK) >>> 2, 0);
      throw error;
    }
  }

  /** Mends the heap. If it cannot be made whole, every later call throws ERR_CORRUPT. */
  #mend(): void {
    mend(this);
    try {
      check(this);
    } catch (cause) {
      if (!(cause instanceof PageAllocError)) throw cause;
      this.set(layout.JOURNAL_OP, layout.JOURNAL_BROKEN);
      throw broken(cause);
    }
  }

  /** Makes room in the region for pieces of that many bytes. Throws PageAllocError ERR_METADATA_FULL. */
  makeRoom(bytes: number): void {
    const { region, regions } = this;
    const used = this.get(layout.HEADER_USED);
    const end = used + bytes;
    if (end <= region.bytes && this.engine.memory.reach(region.at + end)) return;
    // A little more, so that a heap that grows chunk by chunk is not moved each time.
    if (!regions?.resize(region, end + (used >>> 6)) && !regions?.resize(region, end))
      throw memoryFull(bytes);
    this.set(layout.HEADER_ROOM, region.bytes);
  }

  /** Makes room for that many records. */
  makeRoomForRecords(count = 1): void {
    let missing = count;
    for (
      let ref = this.get(layout.HEADER_DEAD_RECORDS);
      ref && missing;
      ref = this.get(ref + layout.RECORD_NEXT)
    )
      missing--;
    if (missing) this.makeRoom(missing * layout.RECORD_BYTES);
  }

  /** Makes room for what a refill may need: a record, if the cache has none yet, and an index. */
  makeRoomForBlock(hasRecord: boolean): void {
    this.makeRoom(
      (hasRecord || this.get(layout.HEADER_DEAD_RECORDS) ? 0 : layout.RECORD_BYTES) + layout.BLOCKS_BYTES,
    );
  }

  /** Makes a record of pages in use, or of none, after making room for it. Returns its ref. */
  newRecord(kind: number, { chunk, index }: Place, npages: number): number {
    this.makeRoomForRecords();
    return this.engine.newRecord(this.at, kind, this.owner, chunk, index, npages);
  }

  /** Takes free pages for a hook to run on, after making room for their record. Returns its ref. */
  hold(kind: number, { chunk, index }: Place, npages: number, scavEnd: number): number {
    this.makeRoomForRecords();
    return this.engine.hold(this.at, kind, this.owner, chunk, index, npages, scavEnd);
  }

  /**
   * Ends a hold with one of the HOLD_ outcomes, if it is still there. Returns whether it was. Caller must hold the
   * lock.
   */
  endHold(ref: number, outcome: number): boolean {
    const held = this.holdsStill(ref);
    if (held) this.engine.endHold(this.at, ref, outcome);
    return held;
  }

  /**
   * Whether a hold of this object is still there. It is gone if somebody called `recover` for this object while its
   * hook ran. Caller must hold the lock.
   */
  holdsStill(ref: number): boolean {
    const kind = this.get(ref + layout.RECORD_KIND);
    return (
      kind !== layout.KIND_CACHE &&
      kind !== layout.KIND_DEAD &&
      this.get(ref + layout.RECORD_OWNER) === this.owner
    );
  }

  /**
   * Refs of the records of one owner, or of all. The list is a copy: its records may be dropped one by one. Caller must
   * hold the lock.
   */
  recordsOf(owner?: number): number[] {
    return [...this.#listed(layout.HEADER_HOLDS, owner), ...this.#listed(layout.HEADER_RECORDS, owner)];
  }

  /** The same for one list of records, whose first ref is in that field. */
  #listed(list: number, owner?: number): number[] {
    const refs: number[] = [];
    for (let ref = this.get(list); ref; ref = this.get(ref + layout.RECORD_NEXT)) {
      if (owner === undefined || this.get(ref + layout.RECORD_OWNER) === owner) refs.push(ref);
    }
    return refs;
  }

  /**
   * Frees the pages that the page caches and hooks of one owner have, or of all owners, which are gone. Caller must
   * hold the lock.
   */
  dropRecords(owner?: number): void {
    for (const ref of this.recordsOf(owner)) {
      if (this.get(ref + layout.RECORD_KIND) !== layout.KIND_CACHE) {
        this.engine.endHold(this.at, ref, layout.HOLD_PASSED);
        continue;
      }
      const taken = this.get(ref + layout.RECORD_TAKEN);
      if (taken)
        this.engine.clearRange(this.at + ref + layout.RECORD_CACHE, taken % layout.CACHE_PAGES, taken >>> 8);
      this.engine.flush(this.at, ref);
    }
  }

  /** Whether a hook of this object is running. Caller must hold the lock. */
  holds(): boolean {
    return this.get(layout.HEADER_HOLDS) > 0 && this.#listed(layout.HEADER_HOLDS, this.owner).length > 0;
  }

  /** Ends this object's use of the heap. Frees the heap unless others can be attached. */
  close(): void {
    const { region, regions } = this;
    if (!region.at) return;
    regions?.free(region);
    region.giveBack?.();
    region.at = 0;
  }

  /** Checks the arguments of a call over a range of pages, the first at a multiple of `align` pages. */
  range(base: number, npages: number, name = "base", align = 1): Place {
    integer(name, base, 0, this.limit - 1);
    this.count(npages);
    this.multiple(name, base, align);
    return placeOf(base / this.pageSize);
  }

  /** Throws PageAllocError ERR_MISALIGNED unless a number of bytes is a multiple of `align` pages. */
  multiple(name: string, nbytes: number, align = 1): void {
    // Sizes of pages are powers of two, so this is exact; a remainder of numbers beyond 32 bits takes 20 ns.
    const times = nbytes / (align * this.pageSize);
    if (times === Math.floor(times)) return;
    const message = `${name} must be a multiple of ${align * this.pageSize} bytes, got ${nbytes}`;
    throw new PageAllocError("ERR_MISALIGNED", message);
  }

  /**
   * Checks a number of pages. Engines count pages in 32 bits, so it returns at most one more than any heap can have.
   */
  count(npages: number): number {
    return Math.min(integer("npages", npages, 1, this.#pages), layout.CHUNK_PAGES * (layout.MAX_CHUNKS + 1));
  }

  /** Where a chunk's bitmaps are in linear memory; 0 for a hole. */
  dataOf(chunk: number): number {
    const leaf = this.engine.mappedLeafOf(this.at, chunk) >>> 0;
    return leaf && leaf + layout.LEAF_DATA + (chunk % layout.FANOUT) * layout.DATA_BYTES;
  }

  /** Address of a page, in bytes. */
  address({ chunk, index }: Place): number {
    return (chunk * layout.CHUNK_PAGES + index) * this.pageSize;
  }

  /** Throws PageAllocError, naming the first page that is not as wanted: in use and free to be freed, or free. */
  mustBe(inUse: boolean, { chunk, index }: Place, npages: number): void {
    const first = chunk * layout.CHUNK_PAGES + index;
    const end = first + npages;
    for (let page = first; page < end; ) {
      // A chunk without a page in the way needs no look at each.
      const rest = Math.min(end - page, layout.CHUNK_PAGES - (page % layout.CHUNK_PAGES));
      if (!this.#inTheWay(inUse, page, rest)) {
        page += rest;
        continue;
      }
      const answer = this.#inTheWay(inUse, page, 1);
      if (answer) {
        const [code, why] = inUse || answer === layout.RANGE_NOT_MAPPED ? WHY_NOT[answer] : WHY_IN_USE;
        throw new PageAllocError(code, `the page at ${page * this.pageSize} ${why}`);
      }
      page++;
    }
  }

  /** The engine's answer for pages of one chunk, from `page` on: one of the RANGE_ answers. */
  #inTheWay(inUse: boolean, page: number, npages: number): number {
    const { chunk, index } = placeOf(page);
    return this.engine.inspect(this.at, chunk, index, npages, inUse);
  }
}

/** Puts a heap's state in a region of its own, which is given back when the core is collected. */
export function coreOf({ engine, regions }: Instance, state: Int32Array | Geometry, sys: Sys): Core {
  const region = regions.alloc(bytesOf(state));
  writeState(engine.memory.i32, region.at, state);
  engine.memory.i32[(region.at + layout.HEADER_ROOM) >>> 2] = region.bytes;
  const core = new Core({ engine, regions, region }, sys, 0);
  regions.freeWith(core, region);
  return core;
}

/** Puts a heap's state where `place` is set aside in shared memory. Throws PageAllocError ERR_METADATA_FULL. */
export function sharedCoreOf(
  place: SharedPlace,
  state: Int32Array | Geometry,
  sys: Sys,
  lockTimeoutMs: number,
): Core {
  const { engine, region } = place;
  const bytes = bytesOf(state);
  if (bytes > region.bytes || !engine.memory.reach(region.at + bytes)) {
    region.giveBack?.();
    throw memoryFull(bytes);
  }
  writeState(engine.memory.i32, region.at, state);
  engine.memory.i32[(region.at + layout.HEADER_SHARED) >>> 2] = 1;
  engine.memory.i32[(region.at + layout.HEADER_ROOM) >>> 2] = region.bytes;
  return new Core(place, sys, lockTimeoutMs);
}

/** Takes the next owner number. No two threads get the same one. */
function nextOwner(i32: Int32Array, word: number): number {
  for (let last = Atomics.load(i32, word); ; ) {
    if (last >>> 0 >= layout.MAX_OWNERS) {
      const message =
        `${layout.MAX_OWNERS} heap objects have been attached to this heap, as many as ever may be; restore its ` +
        "snapshot as a new one";
      throw new PageAllocError("ERR_METADATA_FULL", message);
    }
    const seen = Atomics.compareExchange(i32, word, last, last + 1);
    if (seen === last) return last + 1;
    last = seen;
  }
}

/** What to say of a page that cannot be freed, by the engine's answer. */
const WHY_NOT: Record<number, [PageAllocErrorCode, string]> = {
  [layout.RANGE_NOT_MAPPED]: ["ERR_NOT_MAPPED", "is not mapped; grow over it first"],
  [layout.RANGE_MISMATCH]: ["ERR_NOT_ALLOCATED", "is free; it must be in use"],
  [layout.RANGE_OWNED]: [
    "ERR_NOT_ALLOCATED",
    "is in a page cache or a sys hook; flush, or let it return first",
  ],
};
/** What to say of a page that cannot be allocated. */
const WHY_IN_USE: [PageAllocErrorCode, string] = ["ERR_NOT_FREE", "is in use; it must be free"];
