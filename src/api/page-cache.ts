// Page caches: up to 64 free pages that one user takes from the heap at once, and allocates without the lock.

import { readOptions, refuse, word } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import { firstOf, secondOf } from "../engine/packed.ts";
import { type Place, runsOf } from "../engine/pages.ts";
import { takePage } from "../engine/take-page.ts";
import { CORE, type Core, type HeapObject } from "../heap/core.ts";
import { Hold } from "../heap/hooks.ts";

/** Given in place of a state, to make a cache that owns nothing yet. Internal. */
export const NEW = Symbol("new");

/**
 * Up to 64 free pages of one aligned block. The heap shows them as in use, and the cache owns them until `flush`. A
 * cache that is dropped without a flush keeps its pages until its heap object is disposed of.
 */
export class PageCache {
  readonly #core: Core;
  /** Ref of the cache's record; 0 if it owns nothing. */
  #ref: number;
  #lastAllocScavenged = 0;

  /** @internal Throws TypeError unless `cache` is a page cache of this heap. */
  static mustBeOf(core: Core, cache: unknown): void {
    if (!(cache instanceof PageCache && #core in cache && cache.#core === core)) {
      refuse("a page cache", cache, "one of this heap");
    }
  }

  /** @internal Whether a cache has a record. */
  static isLive(cache: PageCache): boolean {
    return cache.#live() > 0;
  }

  /** @internal Returns the ref of a cache's record. Makes one if it has none. Caller must hold the lock. */
  static refOf(cache: PageCache, core: Core): number {
    cache.#ref = cache.#live() || core.newRecord(layout.KIND_CACHE, { chunk: 0, index: 0 }, 0);
    return cache.#ref;
  }

  /**
   * Makes a cache that takes over pages in use: to restore a recorded cache, or to hand out pages at a chosen address.
   * For any free pages call `heap.allocToCache()`. Throws TypeError, RangeError, or PageAllocError ERR_MISALIGNED,
   * ERR_NOT_MAPPED, ERR_NOT_ALLOCATED, ERR_METADATA_FULL.
   * @param state.base address of the block, in bytes: a multiple of 64 pages
   * @param state.cache 1 = owned by this cache; these pages must be in use. Bit 0 is the page at base
   * @param state.scav 1 = scavenged; counts for owned pages only
   * @example
   * heap.allocRange(base, 8);
   * const cache = new PageCache(heap, { base, cache: 0xffn, scav: 0n });
   */
  constructor(heap: HeapObject, state: { base: number; cache: bigint; scav: bigint });
  /** @internal */
  constructor(heap: HeapObject, state: typeof NEW);
  constructor(heap: HeapObject, state: { base: number; cache: bigint; scav: bigint } | typeof NEW) {
    const core = (heap as HeapObject | undefined)?.[CORE];
    if (!core) refuse("heap", heap, "a PageAlloc of this entry");
    this.#core = core;
    this.#ref = state === NEW ? 0 : adopt(core, state);
  }

  /** Address of the block, in bytes; -1 if the cache has no block. */
  get base(): number {
    const ref = this.#live();
    return ref && this.#core.get(ref + layout.RECORD_NPAGES) ? this.#core.address(this.#place(ref)) : -1;
  }

  /** 1 = free, owned by this cache. Bit 0 is the page at base. */
  get cache(): bigint {
    return this.#word(layout.RECORD_CACHE);
  }

  /** 1 = scavenged. */
  get scav(): bigint {
    return this.#word(layout.RECORD_SCAV);
  }

  /** Whether no pages are left. */
  get empty(): boolean {
    const ref = this.#live();
    const { i32 } = this.#core.engine.memory;
    const half = (this.#core.at + ref + layout.RECORD_CACHE) >>> 2;
    // Both halves of `cache`, which would make a bigint.
    return !ref || !(i32[half] | i32[half + 1]);
  }

  /** How many bytes of the latest alloc had been scavenged, and must be paged in again. */
  get lastAllocScavenged(): number {
    this.#live();
    return this.#lastAllocScavenged;
  }

  /**
   * Allocates the lowest npages (1 or more) pages in a row that the cache has. Returns their base address in bytes, or
   * -1 when it has no such run. Takes the lock only if the heap has a `sys.used`. Throws TypeError, RangeError, or what
   * `sys.used` throws.
   */
  alloc(npages: number): number {
    const core = this.#core;
    if (npages !== 1 || core.sys.used) return this.#alloc(npages);
    // Read after the hook is looked up: a getter may move the heap, or dispose of it.
    const { at } = core.region;
    const { memory } = core.engine;
    const { i32 } = memory;
    const record = (at + this.#ref) >>> 2;
    // As #live does, without a call.
    const isLive =
      at &&
      i32[record + layout.RECORD_KIND / 4] === layout.KIND_CACHE &&
      i32[record + layout.RECORD_OWNER / 4] === core.owner;
    if (!isLive) return this.#alloc(npages);
    const hit = takePage(memory, record);
    // The page is taken. Calls nothing from here on: a call could overflow the stack.
    if (hit >= 0) {
      const chunk = i32[record + layout.RECORD_CHUNK / 4];
      const index = i32[record + layout.RECORD_INDEX / 4] + (hit & 0xffff);
      this.#lastAllocScavenged = (hit >>> 16) * core.pageSize;
      return (chunk * layout.CHUNK_PAGES + index) * core.pageSize;
    }
    this.#lastAllocScavenged = 0;
    return -1;
  }

  /** `alloc` in all cases. */
  #alloc(npages: number): number {
    const core = this.#core;
    core.count(npages);
    if (core.sys.used) return this.#allocUsed(npages);
    const ref = this.#live();
    const { at, engine } = core;
    const { i32 } = engine.memory;
    const record = (at + ref) >>> 2;
    const first =
      i32[record + layout.RECORD_CHUNK / 4] * layout.CHUNK_PAGES + i32[record + layout.RECORD_INDEX / 4];
    const hit = ref && npages <= layout.CACHE_PAGES ? engine.cacheAlloc(at, ref, npages) : -1;
    // As above.
    this.#lastAllocScavenged = 0;
    if (hit < 0) return -1;
    this.#lastAllocScavenged = (hit >>> 16) * core.pageSize;
    return (first + (hit & 0xffff)) * core.pageSize;
  }

  /** `alloc` for a heap with a `sys.used`. Takes the lock to make the record of the pages that the hook runs on. */
  #allocUsed(npages: number): number {
    const core = this.#core;
    const hold = new Hold(core);
    let scavenged = 0;
    let base = -1;
    hold.during(
      () => {
        const ref = this.#live();
        // Makes room first: a call that throws ERR_METADATA_FULL must not have taken pages.
        core.makeRoomForRecords();
        const block = this.#place(ref);
        const address = core.address(block);
        const { scav } = this;
        const hit = ref && npages <= layout.CACHE_PAGES ? core.engine.cacheAlloc(core.at, ref, npages) : -1;
        if (hit < 0) return;
        const first = firstOf(hit);
        scavenged = secondOf(hit);
        base = address + first * core.pageSize;
        if (!scavenged) return;
        const place = { chunk: block.chunk, index: block.index + first };
        hold.work = this.#undoing(hold, place, npages, scav);
        hold.ref = core.newRecord(layout.KIND_REUSING, place, npages);
      },
      () => {
        core.sys.used?.(base, npages * core.pageSize);
        return () => hold.end(layout.HOLD_USED);
      },
    );
    this.#lastAllocScavenged = scavenged * core.pageSize;
    return base;
  }

  /**
   * Frees the pages that are left; scavenged ones stay scavenged. The cache is empty afterwards. Throws PageAllocError
   * ERR_NOT_ALLOCATED when a page that the cache owns is free already.
   */
  flush(): void {
    const core = this.#core;
    core.locked(() => {
      const ref = this.#live();
      if (!ref) return;
      if (core.engine.flush(core.at, ref)) {
        throw new PageAllocError("ERR_NOT_ALLOCATED", `a page of the cache at ${this.base} is free already`);
      }
      this.#ref = 0;
    });
  }

  /**
   * If the cache is empty, takes the free pages of another block, as `heap.allocToCache()` does. Returns whether it has
   * any pages now. Throws PageAllocError ERR_METADATA_FULL.
   */
  refill(): boolean {
    const core = this.#core;
    if (!this.empty) return true;
    return core.locked(() => {
      const live = this.#live();
      core.makeRoomForBlock(live > 0);
      const ref = core.engine.refill(core.at, live, core.owner);
      this.#ref = live || ref;
      return ref > 0;
    });
  }

  /** Returns the ref of the record; 0 if there is none, or if this cache's heap object was recovered. */
  #live(): number {
    const core = this.#core;
    core.mustBeThere();
    const ref = this.#ref;
    return core.get(ref + layout.RECORD_KIND) === layout.KIND_CACHE &&
      core.get(ref + layout.RECORD_OWNER) === core.owner
      ? ref
      : 0;
  }

  /** Returns the first page of the block. */
  #place(ref: number): Place {
    return {
      chunk: this.#core.get(ref + layout.RECORD_CHUNK),
      index: this.#core.get(ref + layout.RECORD_INDEX),
    };
  }

  /** Reads a 64-bit word of the record. */
  #word(field: number): bigint {
    const ref = this.#live();
    return ref ? this.#core.engine.memory.u64[(this.#core.at + ref + field) >>> 3] : 0n;
  }

  /**
   * Returns a function that undoes an allocation. It gives the pages back to the cache, or to the heap if the cache has
   * left their block. Its caller must hold the lock.
   */
  #undoing(hold: Hold, place: Place, npages: number, scav: bigint): () => void {
    const core = this.#core;
    const first = place.index % layout.CACHE_PAGES;
    const base = core.address({ chunk: place.chunk, index: place.index - first });
    const isScavenged = (i: number) => ((scav >> BigInt(first + i)) & 1n) > 0n;
    const free = hold.undoing(place, layout.HOLD_PASSED, runsOf(isScavenged, npages));
    const pages = (2n ** BigInt(npages) - 1n) << BigInt(first);
    return () => {
      if (this.base !== base) free();
      else if (core.isHeld(hold.ref))
        core.engine.returnHold(core.at, hold.ref, this.#ref, pages, scav & pages);
    };
  }
}

/** Makes the record of a cache that takes over pages in use. Returns its ref. */
function adopt(core: Core, state: { base: number; cache: bigint; scav: bigint }): number {
  const given = readOptions("state", state, ["base", "cache", "scav"]);
  const cache = word("state.cache", given.cache);
  const scav = word("state.scav", given.scav);
  const place = core.range(given.base as number, 1, "state.base", layout.CACHE_PAGES);
  return core.locked(() => {
    const { chunk, index } = place;
    if (!core.dataOf(chunk)) core.mustBe(true, place, 1);
    for (let i = 0; i < layout.CACHE_PAGES; i++) {
      if ((cache >> BigInt(i)) & 1n) core.mustBe(true, { chunk, index: index + i }, 1);
    }
    core.makeRoomForBlock(false);
    return core.engine.adopt(core.at, core.owner, chunk, index, cache, scav);
  });
}
