// What the public classes of a heap share: its engine and region, its lock, its options, and the steps that more than one
// of them takes. One core belongs to one PageAlloc; its page caches and chunk views refer to it.

import { integer } from "./args.ts";
import type { Engine } from "./engine.ts";
import { PageAllocError, type PageAllocErrorCode } from "./errors.ts";
import {
  CACHE_PAGES,
  CHUNK_INDEX_BITS,
  CHUNK_PAGES,
  CHUNK_SHIFT,
  DATA_BYTES,
  FANOUT,
  HEADER_ADDR_BITS,
  HEADER_DEAD_RECORDS,
  HEADER_OWNERS,
  HEADER_PAGE_SHIFT,
  HEADER_RECORDS,
  HEADER_ROOM,
  HEADER_SHARED,
  HEADER_USED,
  HOLD_PASSED,
  KIND_CACHE,
  KIND_DEAD,
  LEAF_DATA,
  MAX_CHUNKS,
  MAX_OWNERS,
  RANGE_DONE,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RANGE_OWNED,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_OWNER,
  RECORD_TAKEN,
} from "./layout.ts";
import { disposed, LocalLock, type Lock, SharedLock } from "./lock.ts";
import { memoryFull, type Region, type Regions } from "./regions.ts";
import type { PageAllocHandle, SharedPlace } from "./shared.ts";

/**
 * What the heap tells the system that backs its pages. Hooks run without the lock and may call back into the heap. No
 * promise that one returns is waited for. They are looked up in this object when they are to run, and it is their `this`;
 * it may be an instance of a class, and have other properties, but no function with nearly the name of a hook.
 */
export interface Sys {
  /**
   * The pages' contents are not needed any more: release them. Until it returns the pages are held as in use. Return
   * false to decline: they stay unscavenged, and are passed over until the next reset. A hook that throws declines, and
   * the exception reaches the caller of `scavenge`.
   * @param base address of the first page, in bytes
   * @param nbytes length of the run, in bytes
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most hooks return nothing, and need not say so
  unused?(base: number, nbytes: number): boolean | void;
  /**
   * The pages, some of which were released, are about to be used again. If it throws, they are free again, scavenged as
   * they were, and the exception reaches the caller of `alloc`.
   * @param base address of the first page, in bytes
   * @param nbytes length of the run, in bytes
   */
  used?(base: number, nbytes: number): void;
}

/** An engine at work: with the regions of its memory. */
export interface Instance {
  readonly engine: Engine;
  readonly regions: Regions;
}

/** Where a heap is: in a region of an engine's own memory, or in memory that is shared. */
interface Home {
  readonly engine: Engine;
  readonly region: Region;
  readonly regions?: Regions;
  readonly handle?: PageAllocHandle;
}

/** A place in the heap's pages. */
export interface Place {
  readonly chunk: number;
  readonly index: number;
}

/** The inside of a heap. */
export class Core {
  readonly engine: Engine;
  readonly regions: Regions | undefined;
  readonly region: Region;
  readonly lock: Lock;
  readonly sys: Sys;
  readonly pageSize: number;
  readonly chunkBytes: number;
  /** Addresses are below this. */
  readonly limit: number;
  /** This object's number among all that are or were attached to the heap. */
  readonly owner: number;
  /** What another thread can attach with, if the heap is shared. */
  readonly handle: PageAllocHandle | undefined;

  /**
   * Throws PageAllocError ERR_METADATA_FULL when a shared heap has no number left for its owner.
   * @param lockTimeoutMs for a shared heap: how long calls wait for the lock
   */
  constructor({ engine, region, regions, handle }: Home, sys: Sys, lockTimeoutMs: number) {
    this.engine = engine;
    this.regions = regions;
    this.region = region;
    this.handle = handle;
    this.sys = sys;
    this.owner = handle ? nextOwner(engine.memory.i32, (region.at + HEADER_OWNERS) >>> 2) : 1;
    this.lock = handle
      ? new SharedLock(engine.memory, region, this.owner, lockTimeoutMs)
      : new LocalLock(engine.memory, region);
    this.pageSize = 2 ** this.get(HEADER_PAGE_SHIFT);
    this.chunkBytes = this.pageSize * CHUNK_PAGES;
    this.limit = 2 ** this.get(HEADER_ADDR_BITS);
  }

  /** The heap's address in linear memory. Throws PageAllocError ERR_DISPOSED when there is none any more. */
  get at(): number {
    if (!this.region.at) throw disposed();
    return this.region.at;
  }

  /** A u32 of the header, or at any offset of the region. */
  get(offset: number): number {
    return this.engine.memory.i32[(this.region.at + offset) >>> 2];
  }

  /** Writes a u32 of the header, or at any offset of the region. */
  set(offset: number, value: number): void {
    this.engine.memory.i32[(this.region.at + offset) >>> 2] = value;
  }

  /** An f64 of the header. */
  getF64(field: number): number {
    return this.engine.memory.f64[(this.region.at + field) >>> 3];
  }

  /** Writes an f64 of the header. */
  setF64(field: number, value: number): void {
    this.engine.memory.f64[(this.region.at + field) >>> 3] = value;
  }

  /** Runs `work` with the lock held. */
  locked<T>(work: (core: Core) => T): T {
    this.lock.acquire();
    try {
      return work(this);
    } finally {
      this.lock.release();
    }
  }

  /** Makes room in the region for pieces of that many bytes. Throws PageAllocError ERR_METADATA_FULL. */
  makeRoom(bytes: number): void {
    const { region, regions } = this;
    const used = this.get(HEADER_USED);
    const end = used + bytes;
    if (end <= region.bytes && this.engine.memory.reach(region.at + end)) return;
    // A little more, so that a heap that grows chunk by chunk is not moved each time.
    if (regions?.resize(region, end + (used >>> 6)) || regions?.resize(region, end)) return;
    throw memoryFull(bytes);
  }

  /** Makes room for that many records. */
  makeRoomForRecords(count = 1): void {
    let missing = count;
    for (let ref = this.get(HEADER_DEAD_RECORDS); ref && missing; ref = this.get(ref + RECORD_NEXT))
      missing--;
    if (missing) this.makeRoom(missing * RECORD_BYTES);
  }

  /** Makes a record of pages that are in use, and room for it. Returns its ref. */
  newRecord(kind: number, { chunk, index }: Place, npages: number): number {
    this.makeRoomForRecords();
    return this.engine.newRecord(this.at, kind, this.owner, chunk, index, npages);
  }

  /** Takes free pages for a hook to run on, and makes room for their record. Returns its ref. */
  hold(kind: number, { chunk, index }: Place, npages: number, scavEnd: number): number {
    this.makeRoomForRecords();
    return this.engine.hold(this.at, kind, this.owner, chunk, index, npages, scavEnd);
  }

  /** Ends a hold as one of the HOLD_ numbers says, if it is still there. Returns whether it was. The lock is held. */
  endHold(ref: number, outcome: number): boolean {
    const held = this.holdsStill(ref);
    if (held) this.engine.endHold(this.at, ref, outcome);
    return held;
  }

  /**
   * Whether a hold of this object is still there: not when somebody has recovered it, whose hook was running. The lock is
   * held.
   */
  holdsStill(ref: number): boolean {
    const kind = this.get(ref + RECORD_KIND);
    return kind !== KIND_CACHE && kind !== KIND_DEAD && this.get(ref + RECORD_OWNER) === this.owner;
  }

  /** Refs of the records of one owner, or of all; each may be dropped when its turn comes. The lock is held. */
  recordsOf(owner?: number): number[] {
    const refs: number[] = [];
    for (let ref = this.get(HEADER_RECORDS); ref; ref = this.get(ref + RECORD_NEXT)) {
      if (owner === undefined || this.get(ref + RECORD_OWNER) === owner) refs.push(ref);
    }
    return refs;
  }

  /** Frees what page caches own and hooks hold, of one owner or of all, as nobody is there to do it. The lock is held. */
  dropRecords(owner?: number): void {
    for (const ref of this.recordsOf(owner)) {
      if (this.get(ref + RECORD_KIND) !== KIND_CACHE) {
        this.engine.endHold(this.at, ref, HOLD_PASSED);
        continue;
      }
      const taken = this.get(ref + RECORD_TAKEN);
      if (taken) this.engine.clearRange(this.at + ref + RECORD_CACHE, taken % CACHE_PAGES, taken >>> 8);
      this.engine.flush(this.at, ref);
    }
  }

  /** Whether a hook of this object is running. The lock is held. */
  holds(): boolean {
    return this.recordsOf(this.owner).some((ref) => this.get(ref + RECORD_KIND) !== KIND_CACHE);
  }

  /** Ends this object's use of the heap, which is gone unless others can have it. */
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
    const page = base / this.pageSize;
    if (!Number.isInteger(page / align)) {
      const message = `${name} must be a multiple of ${align * this.pageSize} bytes, got ${base}`;
      throw new PageAllocError("ERR_MISALIGNED", message);
    }
    return placeOf(page);
  }

  /** Checks a number of pages. More than any heap has are as good as one more, and engines count them in 32 bits. */
  count(npages: number): number {
    return Math.min(integer("npages", npages, 1, this.limit / this.pageSize), CHUNK_PAGES * (MAX_CHUNKS + 1));
  }

  /** Where a chunk's bitmaps are in linear memory; 0 for a hole. */
  dataOf(chunk: number): number {
    const leaf = this.engine.mappedLeafOf(this.at, chunk) >>> 0;
    return leaf && leaf + LEAF_DATA + (chunk % FANOUT) * DATA_BYTES;
  }

  /** Address of a page, in bytes. */
  address({ chunk, index }: Place): number {
    return (chunk * CHUNK_PAGES + index) * this.pageSize;
  }

  /** Throws PageAllocError, naming the first page in the way, unless all pages may be freed or, as wanted, are free. */
  mustBe(inUse: boolean, { chunk, index }: Place, npages: number): void {
    const first = chunk * CHUNK_PAGES + index;
    const end = first + npages;
    for (let page = first; page < end; ) {
      // A chunk without a page in the way needs no look at each.
      const rest = Math.min(end - page, CHUNK_PAGES - (page % CHUNK_PAGES));
      if (!this.#inTheWay(inUse, page, rest)) {
        page += rest;
        continue;
      }
      const answer = this.#inTheWay(inUse, page, 1);
      if (answer) {
        const [code, why] = inUse || answer === RANGE_NOT_MAPPED ? WHY_NOT[answer] : WHY_IN_USE;
        throw new PageAllocError(code, `the page at ${page * this.pageSize} ${why}`);
      }
      page++;
    }
  }

  /** Why the pages from `page` on, of one chunk, may not be freed or are not free: one of the RANGE_ answers. */
  #inTheWay(inUse: boolean, page: number, npages: number): number {
    const { chunk, index } = placeOf(page);
    const answer = this.engine.inspect(this.at, chunk, index, npages, inUse);
    if (answer || !inUse) return answer;
    return this.engine.owned(this.at, chunk, index, npages) ? RANGE_OWNED : RANGE_DONE;
  }
}

/** Puts a heap's state in a region of its own, which is given back when the core is collected. */
export function coreOf({ engine, regions }: Instance, state: Int32Array, sys: Sys): Core {
  const region = regions.alloc(state.byteLength);
  engine.memory.i32.set(state, region.at >>> 2);
  const core = new Core({ engine, regions, region }, sys, 0);
  regions.freeWith(core, region);
  return core;
}

/** Puts a heap's state where `place` is set aside in shared memory. Throws PageAllocError ERR_METADATA_FULL. */
export function sharedCoreOf(place: SharedPlace, state: Int32Array, sys: Sys, lockTimeoutMs: number): Core {
  const { engine, region } = place;
  if (state.byteLength > region.bytes || !engine.memory.reach(region.at + state.byteLength)) {
    region.giveBack?.();
    throw memoryFull(state.byteLength);
  }
  engine.memory.i32.set(state, region.at >>> 2);
  engine.memory.i32[(region.at + HEADER_SHARED) >>> 2] = 1;
  engine.memory.i32[(region.at + HEADER_ROOM) >>> 2] = region.bytes;
  return new Core(place, sys, lockTimeoutMs);
}

/** Takes the next owner's number; never one that is taken, however many threads ask at once. */
function nextOwner(i32: Int32Array, word: number): number {
  for (let last = Atomics.load(i32, word); ; ) {
    if (last >>> 0 >= MAX_OWNERS) {
      const message =
        `${MAX_OWNERS} heap objects have been attached to this heap, as many as ever may be; restore its snapshot as a ` +
        "new one";
      throw new PageAllocError("ERR_METADATA_FULL", message);
    }
    const seen = Atomics.compareExchange(i32, word, last, last + 1);
    if (seen === last) return last + 1;
    last = seen;
  }
}

/** What to say of a page that cannot be freed, by the engine's answer. */
const WHY_NOT: Record<number, [PageAllocErrorCode, string]> = {
  [RANGE_NOT_MAPPED]: ["ERR_NOT_MAPPED", "is none of the heap's; grow over it first"],
  [RANGE_MISMATCH]: ["ERR_NOT_ALLOCATED", "is free; it must be in use"],
  [RANGE_OWNED]: ["ERR_NOT_ALLOCATED", "is in a page cache or a sys hook; flush, or let it return first"],
};
/** What to say of a page that cannot be allocated. */
const WHY_IN_USE: [PageAllocErrorCode, string] = ["ERR_NOT_FREE", "is in use; it must be free"];

/** A page number as chunk and index. */
export function placeOf(page: number): Place {
  const chunk = Math.floor(page / CHUNK_PAGES);
  return { chunk, index: page - chunk * CHUNK_PAGES };
}

/** Bits that addresses have at the least, for pages of that size: room for a chunk. */
export function leastAddrBits(pageShift: number): number {
  return Math.max(32, pageShift + CHUNK_SHIFT);
}

/** Bits that addresses have at the most, for pages of that size. */
export function mostAddrBits(pageShift: number): number {
  return Math.min(48, pageShift + CHUNK_SHIFT + CHUNK_INDEX_BITS);
}
