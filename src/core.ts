// What the public classes of a heap share: its engine and region, its lock, its options, and the steps that more than one
// of them takes. One core belongs to one PageAlloc; its page caches and chunk views refer to it.

import { integer } from "./args.ts";
import type { Engine } from "./engine.ts";
import { PageAllocError, type PageAllocErrorCode } from "./errors.ts";
import {
  CHUNK_INDEX_BITS,
  CHUNK_PAGES,
  CHUNK_SHIFT,
  DATA_BYTES,
  FANOUT,
  HEADER_ADDR_BITS,
  HEADER_DEAD_RECORDS,
  HEADER_PAGE_SHIFT,
  HEADER_RECORDS,
  HEADER_USED,
  KIND_CACHE,
  LEAF_DATA,
  RANGE_MISMATCH,
  RANGE_NOT_MAPPED,
  RANGE_OWNED,
  RECORD_BYTES,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NPAGES,
} from "./layout.ts";
import { disposed, LocalLock, type Lock } from "./lock.ts";
import { memoryFull, type Region, type Regions } from "./regions.ts";

/** What the heap tells the system that backs its pages. Hooks run without the lock and may call back into the heap. */
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

/** A place in the heap's pages. */
export interface Place {
  readonly chunk: number;
  readonly index: number;
}

/** The inside of a heap. */
export class Core {
  readonly engine: Engine;
  readonly regions: Regions;
  readonly region: Region;
  readonly lock: Lock;
  readonly sys: Sys;
  readonly pageSize: number;
  readonly chunkBytes: number;
  /** Addresses are below this. */
  readonly limit: number;
  /** This object's number among all that are attached to the heap. */
  readonly owner = 1;

  /** Takes a region, until the core is collected or the region given back, and puts the state in it. */
  constructor({ engine, regions }: Instance, state: Int32Array, sys: Sys) {
    this.engine = engine;
    this.regions = regions;
    this.region = regions.alloc(state.byteLength, this);
    engine.memory.i32.set(state, this.region.at >>> 2);
    this.lock = new LocalLock(engine.memory, this.region);
    this.sys = sys;
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

  /** Writes a u32 of the header. */
  set(field: number, value: number): void {
    this.engine.memory.i32[(this.region.at + field) >>> 2] = value;
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
    const used = this.get(HEADER_USED);
    if (used + bytes <= this.region.bytes) return;
    // A little more, so that a heap that grows chunk by chunk is not moved each time.
    const wanted = used + bytes + (used >>> 6);
    if (this.regions.resize(this.region, wanted) || this.regions.resize(this.region, used + bytes)) return;
    throw memoryFull(bytes);
  }

  /** Makes room for one record. */
  makeRoomForRecord(): void {
    if (!this.get(HEADER_DEAD_RECORDS)) this.makeRoom(RECORD_BYTES);
  }

  /** Makes a record of pages that are in use, and room for it. Returns its ref. */
  newRecord(kind: number, { chunk, index }: Place, npages: number): number {
    this.makeRoomForRecord();
    return this.engine.newRecord(this.at, kind, this.owner, chunk, index, npages);
  }

  /** Frees what page caches own and hooks hold, as nobody is there to do it. The lock is held. */
  dropRecords(): void {
    for (let ref = this.get(HEADER_RECORDS); ref; ref = this.get(HEADER_RECORDS)) {
      if (this.get(ref + RECORD_KIND) === KIND_CACHE) {
        this.engine.flush(this.at, ref);
        continue;
      }
      const npages = this.get(ref + RECORD_NPAGES);
      this.engine.unclaim(this.at, this.get(ref + RECORD_CHUNK), this.get(ref + RECORD_INDEX), npages);
      this.engine.dropRecord(this.at, ref);
    }
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

  /** Checks a number of pages. */
  count(npages: number): number {
    return integer("npages", npages, 1, this.limit / this.pageSize);
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
    const { engine, at } = this;
    const first = chunk * CHUNK_PAGES + index;
    for (let page = first; page < first + npages; page++) {
      const { chunk, index } = placeOf(page);
      let answer = engine.inspect(at, chunk, index, 1, inUse);
      if (!answer && inUse && engine.owned(at, chunk, index, 1)) answer = RANGE_OWNED;
      if (!answer) continue;
      const [code, why] = inUse || answer === RANGE_NOT_MAPPED ? WHY_NOT[answer] : WHY_IN_USE;
      throw new PageAllocError(code, `the page at ${page * this.pageSize} ${why}`);
    }
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
