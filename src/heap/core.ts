// What the public classes of a heap share: its engine, region, lock and options, and the steps that several of them
// take. Each PageAlloc has one core. Its page caches and chunk views refer to it.

import { integer } from "../base/arguments.ts";
import { PageAllocError, type PageAllocErrorCode } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import type { Region } from "../engine/memory.ts";
import { type Place, placeOf } from "../engine/pages.ts";
import { bytesOf, bytesOfNodes, type Geometry, nodesToGrow, writeState } from "../store/header.ts";
import { broken, mend } from "../store/mend.ts";
import { type Instance, memoryFull, type Regions } from "../store/regions.ts";
import type { PageAllocHandle, SharedHome } from "../store/shared-memories.ts";
import { settle } from "../store/sizes.ts";
import { State } from "../store/state.ts";
import { freeLists, refsIn } from "../store/tree.ts";
import { check } from "./check.ts";
import { LocalLock, type Lock, SharedLock } from "./lock.ts";
import { NO_HOOKS, type Sys } from "./sys.ts";

/**
 * The property that holds a PageAlloc's core, for the other classes of the package. Entries are bundled apart, so it is
 * the same symbol in all of them.
 */
export const CORE = Symbol.for("palloc.core");

/** A PageAlloc, as the other classes see it. */
export interface HeapObject {
  /** @internal */
  readonly [CORE]: Core;
  /** Which engine the heap runs on. */
  readonly engine: "wasm" | "ts";
  /** Bytes per page. */
  readonly pageSize: number;
}

/** Where a heap lies: in a region of an engine's own memory, or in shared memory. */
interface Home {
  readonly engine: Engine;
  readonly region: Region;
  readonly regions?: Regions;
  readonly handle?: PageAllocHandle;
}

/** The internals of a heap object. */
export class Core extends State {
  readonly regions: Regions | undefined;
  readonly lock: Lock;
  readonly sys: Sys;
  readonly pageSize: number;
  /** 1 / pageSize. Multiplying is faster than dividing, and as exact, since page sizes are powers of two. */
  readonly perByte: number;
  readonly chunkBytes: number;
  /** Addresses are below this. */
  readonly limit: number;
  /** Pages of the whole address space. */
  readonly #pages: number;
  /** This object's number. No other object of the heap, past or present, has it. */
  readonly owner: number;
  /** Whether no call of this object ever runs a hook. Then none leaves work for the next. */
  readonly #neverHooks: boolean;
  /** The lock's word when this object holds it and nobody waits. */
  readonly held: number;
  /** What other threads attach with, if the heap is shared. */
  readonly handle: PageAllocHandle | undefined;

  /**
   * Throws PageAllocError ERR_METADATA_FULL when a shared heap has no owner number left.
   * @param lockTimeoutMs how long calls wait for the lock of a shared heap, in ms
   */
  constructor({ engine, region, regions, handle }: Home, sys: Sys, lockTimeoutMs: number) {
    super(engine, region);
    this.regions = regions;
    this.handle = handle;
    this.sys = sys;
    this.#neverHooks = sys === NO_HOOKS;
    this.owner =
      PALLOC_SHARED && handle ? nextOwner(engine.memory.i32, (region.at + layout.HEADER_OWNERS) >>> 2) : 1;
    this.held = (this.owner << layout.LOCK_OWNER_SHIFT) | layout.LOCK_HELD;
    this.lock =
      PALLOC_SHARED && handle ? new SharedLock(this, this.owner, lockTimeoutMs) : new LocalLock(this);
    this.pageSize = 2 ** this.get(layout.HEADER_PAGE_SHIFT);
    this.perByte = 1 / this.pageSize;
    this.chunkBytes = this.pageSize * layout.CHUNK_PAGES;
    this.limit = 2 ** this.get(layout.HEADER_ADDR_BITS);
    this.#pages = this.limit / this.pageSize;
  }

  /** Whether an `alloc` can be one call of the engine: it will run no hook, and no work waits for the lock. */
  get allocIsDirect(): boolean {
    return this.#neverHooks || !(this.sys.used || this.lock.pending);
  }

  /** The same of a `free`, which never runs a hook. */
  get freeIsDirect(): boolean {
    return this.#neverHooks || !this.lock.pending;
  }

  /** The same of a pass of the scavenger, in a plain heap. */
  get scavengeIsDirect(): boolean {
    return !this.handle && (this.#neverHooks || !(this.sys.unused || this.lock.pending));
  }

  /** Runs `work` with the lock held. */
  locked<T>(work: (core: Core) => T): T {
    this.lock.acquire();
    try {
      return work(this);
    } finally {
      // The work is done, so the call must return even if the stack is too full for another call.
      try {
        this.lock.release();
      } catch {
        this.engine.memory.i32[(this.region.at + layout.HEADER_LOCK) >>> 2] = 0;
      }
    }
  }

  /**
   * Allocates by `allocNow` of the engine. Returns what that returns, or BUSY if this object has the lock already or
   * has been disposed of. If others wait for the lock, or the call is interrupted, the engine has not released it. What
   * the engine has done must not be lost, so nothing is called after it that may overflow the stack.
   */
  allocNow(npages: number): number {
    const { engine, held } = this;
    const { at } = this.region;
    if (!at) return layout.BUSY;
    if (!PALLOC_SHARED || !this.handle) return engine.allocNow(at, npages, held);
    const word = (at + layout.HEADER_LOCK) >>> 2;
    if (engine.memory.i32[word] >>> layout.LOCK_OWNER_SHIFT === this.owner) return layout.BUSY;
    try {
      return engine.allocNow(at, npages, held);
    } finally {
      if (engine.memory.i32[word] >>> layout.LOCK_OWNER_SHIFT === this.owner) {
        try {
          this.lock.release();
        } catch {
          engine.memory.i32[word] = 0;
        }
      }
    }
  }

  /** Frees by `freeNow` of the engine, in the same way. Written out, as closures take 15 ns a call. */
  freeNow(chunk: number, index: number, npages: number): number {
    const { engine, held } = this;
    const { at } = this.region;
    if (!at) return layout.BUSY;
    if (!PALLOC_SHARED || !this.handle) return engine.freeNow(at, chunk, index, npages, held);
    const word = (at + layout.HEADER_LOCK) >>> 2;
    if (engine.memory.i32[word] >>> layout.LOCK_OWNER_SHIFT === this.owner) return layout.BUSY;
    try {
      return engine.freeNow(at, chunk, index, npages, held);
    } finally {
      if (engine.memory.i32[word] >>> layout.LOCK_OWNER_SHIFT === this.owner) {
        try {
          this.lock.release();
        } catch {
          engine.memory.i32[word] = 0;
        }
      }
    }
  }

  /**
   * Mends the heap after an interrupted call, does the work that waits for the lock, and settles an arena's block.
   * Caller must hold the lock.
   */
  catchUp(): void {
    const { lock } = this;
    if (this.get(layout.JOURNAL_OP)) this.#mend();
    for (; lock.pending; lock.pending = lock.pending.next) lock.pending.work();
    settle(this);
  }

  /** Mends the heap and checks the result. If it fails the check, this and every later call throws ERR_CORRUPT. */
  #mend(): void {
    mend(this);
    try {
      check(this, true);
    } catch (cause) {
      if (!(cause instanceof PageAllocError)) throw cause;
      this.set(layout.JOURNAL_OP, layout.JOURNAL_BROKEN);
      throw broken(cause);
    }
  }

  /** Makes room in the region for that many more bytes. Throws PageAllocError ERR_METADATA_FULL. */
  makeRoom(bytes: number): void {
    const { region, regions } = this;
    const used = this.get(layout.HEADER_USED);
    const end = used + bytes;
    if (end <= region.bytes && this.engine.memory.reach(region.at + end)) return;
    // Asks for a little more, so that a heap that grows chunk by chunk does not move each time.
    if (!regions?.resize(region, end + (used >>> 6)) && !regions?.resize(region, end))
      throw memoryFull(bytes);
    this.set(layout.HEADER_ROOM, region.bytes);
  }

  /** Makes room for the nodes that the tree needs for nchunks more chunks, from `chunk` on. */
  makeRoomToGrow(chunk: number, nchunks: number): void {
    const root = this.get(layout.HEADER_ROOT);
    const other = root ? this.get(layout.HEADER_START) : chunk;
    const top = root ? this.get(root + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT : -1;
    const most = nodesToGrow(chunk, nchunks, other, top);
    const there = this.#nodesOver(chunk, other);
    const leaves = most.leaves - there.leaves;
    const nodes = most.nodes - there.nodes;
    const [freeLeaves, freeNodes] = freeLists;
    this.makeRoom(
      bytesOfNodes({
        leaves: leaves - refsIn(this, freeLeaves, leaves).length,
        nodes: nodes - refsIn(this, freeNodes, nodes).length,
      }),
    );
  }

  /** Counts the nodes over a chunk that are not over the chunk `other` too. */
  #nodesOver(chunk: number, other: number): { leaves: number; nodes: number } {
    const there = { leaves: 0, nodes: 0 };
    let ref = this.get(layout.HEADER_ROOT);
    let level = ref ? this.get(ref + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT : 0;
    if (!ref || (chunk ^ other) >>> (layout.FANOUT_SHIFT * (level + 1))) return there;
    for (; level; level--) {
      const slot = (chunk >>> (layout.FANOUT_SHIFT * level)) % layout.FANOUT;
      ref = this.get(ref + layout.NODE_CHILDREN + 4 * slot);
      if (!ref) break;
      if (!((chunk ^ other) >>> (layout.FANOUT_SHIFT * level))) continue;
      if (level > 1) there.nodes++;
      else there.leaves++;
    }
    return there;
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

  /** Makes room for a page cache that gets a block: for an index, and for a record if it has none. */
  makeRoomForBlock(hasRecord: boolean): void {
    this.makeRoom(
      (hasRecord || this.get(layout.HEADER_DEAD_RECORDS) ? 0 : layout.RECORD_BYTES) + layout.BLOCKS_BYTES,
    );
  }

  /** Makes a record of pages in use, or of none, and makes room for it first. Returns its ref. */
  newRecord(kind: number, { chunk, index }: Place, npages: number): number {
    this.makeRoomForRecords();
    return this.engine.newRecord(this.at, kind, this.owner, chunk, index, npages);
  }

  /** Takes free pages for a hook to run on, and makes room for their record first. Returns its ref. */
  hold(kind: number, { chunk, index }: Place, npages: number, scavEnd: number): number {
    this.makeRoomForRecords();
    return this.engine.hold(this.at, kind, this.owner, chunk, index, npages, scavEnd);
  }

  /**
   * Ends a hold with one of the HOLD_ outcomes, if it still exists. Returns whether it did. Caller must hold the lock.
   */
  endHold(ref: number, outcome: number): boolean {
    const held = this.isHeld(ref);
    if (held) this.engine.endHold(this.at, ref, outcome);
    return held;
  }

  /**
   * Reports whether a hold of this object still exists. It does not if this object was recovered while its hook ran.
   * Caller must hold the lock.
   */
  isHeld(ref: number): boolean {
    const kind = this.get(ref + layout.RECORD_KIND);
    return (
      kind !== layout.KIND_CACHE &&
      kind !== layout.KIND_DEAD &&
      this.get(ref + layout.RECORD_OWNER) === this.owner
    );
  }

  /**
   * Returns the refs of one owner's records, or of all, as a copy: the caller may drop records as it goes. Caller must
   * hold the lock.
   */
  recordsOf(owner?: number): number[] {
    return [...this.#listed(layout.HEADER_HOLDS, owner), ...this.#listed(layout.HEADER_RECORDS, owner)];
  }

  /** Returns the refs in one list. `list` is the header field that begins it. */
  #listed(list: number, owner?: number): number[] {
    const refs: number[] = [];
    for (let ref = this.get(list); ref; ref = this.get(ref + layout.RECORD_NEXT)) {
      if (owner === undefined || this.get(ref + layout.RECORD_OWNER) === owner) refs.push(ref);
    }
    return refs;
  }

  /**
   * Frees the pages that page caches own and hooks hold, of one owner or of all. Their owners must be gone. Caller must
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

  /** Reports whether a hook of this object is running. Caller must hold the lock. */
  isInHook(): boolean {
    return this.get(layout.HEADER_HOLDS) > 0 && this.#listed(layout.HEADER_HOLDS, this.owner).length > 0;
  }

  /** Ends this object's use of the heap. Frees the region, unless others may have it. */
  close(): void {
    const { region, regions } = this;
    if (!region.at) return;
    regions?.free(region);
    region.giveBack?.();
    region.at = 0;
  }

  /** Checks a range of npages pages whose base is a multiple of `align` pages. Returns where it begins. */
  range(base: number, npages: number, name = "base", align = 1): Place {
    integer(name, base, 0, this.limit - 1);
    this.count(npages);
    this.multiple(name, base, align);
    return placeOf(base / this.pageSize);
  }

  /** Throws PageAllocError ERR_MISALIGNED unless nbytes is a multiple of `align` pages. */
  multiple(name: string, nbytes: number, align = 1): void {
    // Exact, since page sizes are powers of two. The remainder operator takes 20 ns beyond 32 bits.
    const times = nbytes / (align * this.pageSize);
    if (times === Math.floor(times)) return;
    const message = `${name} must be a multiple of ${align * this.pageSize} bytes, got ${nbytes}`;
    throw new PageAllocError("ERR_MISALIGNED", message);
  }

  /** Checks a number of pages. Caps it just above the pages of any heap, since engines count in 32 bits. */
  count(npages: number): number {
    return Math.min(integer("npages", npages, 1, this.#pages), layout.CHUNK_PAGES * (layout.MAX_CHUNKS + 1));
  }

  /** Returns the address of a chunk's bitmaps in linear memory; 0 for a hole. */
  dataOf(chunk: number): number {
    const leaf = this.engine.mappedLeafOf(this.at, chunk) >>> 0;
    return leaf && leaf + layout.LEAF_DATA + (chunk % layout.FANOUT) * layout.DATA_BYTES;
  }

  /** Returns the address of a page, in bytes. */
  address({ chunk, index }: Place): number {
    return (chunk * layout.CHUNK_PAGES + index) * this.pageSize;
  }

  /**
   * Throws PageAllocError, naming the first offending page, unless all pages may be freed (if `inUse`) or are free.
   */
  mustBe(inUse: boolean, { chunk, index }: Place, npages: number): void {
    const first = chunk * layout.CHUNK_PAGES + index;
    const end = first + npages;
    for (let page = first; page < end; ) {
      // Tests whole chunks first, and single pages only in a chunk that fails.
      const rest = Math.min(end - page, layout.CHUNK_PAGES - (page % layout.CHUNK_PAGES));
      if (!this.#inspect(inUse, page, rest)) {
        page += rest;
        continue;
      }
      const answer = this.#inspect(inUse, page, 1);
      if (answer) {
        const [code, why] = inUse || answer === layout.RANGE_NOT_MAPPED ? WHY_NOT[answer] : WHY_IN_USE;
        throw new PageAllocError(code, `the page at ${page * this.pageSize} ${why}`);
      }
      page++;
    }
  }

  /** Inspects npages pages of one chunk. Returns one of the RANGE_ answers; 0 if the pages are as wanted. */
  #inspect(inUse: boolean, page: number, npages: number): number {
    const { chunk, index } = placeOf(page);
    return this.engine.inspect(this.at, chunk, index, npages, inUse);
  }
}

/** Makes the core of a heap in a region of its own. The region is freed when the core is garbage-collected. */
export function coreOf({ engine, regions }: Instance, state: Int32Array | Geometry, sys: Sys): Core {
  const region = regions.alloc(bytesOf(state));
  writeState(engine.memory.i32, region.at, state);
  engine.memory.i32[(region.at + layout.HEADER_ROOM) >>> 2] = region.bytes;
  const core = new Core({ engine, regions, region }, sys, 0);
  regions.freeWith(core, region);
  return core;
}

/** Makes the core of a new heap in shared memory. Throws PageAllocError ERR_METADATA_FULL. */
export function sharedCoreOf(
  home: SharedHome,
  state: Int32Array | Geometry,
  sys: Sys,
  lockTimeoutMs: number,
): Core {
  const { engine, region } = home;
  const bytes = bytesOf(state);
  if (bytes > region.bytes || !engine.memory.reach(region.at + bytes)) {
    region.giveBack?.();
    throw memoryFull(bytes);
  }
  writeState(engine.memory.i32, region.at, state);
  engine.memory.i32[(region.at + layout.HEADER_SHARED) >>> 2] = 1;
  engine.memory.i32[(region.at + layout.HEADER_ROOM) >>> 2] = region.bytes;
  return new Core(home, sys, lockTimeoutMs);
}

/** Takes the next owner number. Safe when several threads call it at once. */
function nextOwner(i32: Int32Array, word: number): number {
  for (let last = Atomics.load(i32, word); ; ) {
    if (last >>> 0 >= layout.MAX_OWNERS) {
      const most = layout.MAX_OWNERS;
      const message = `a heap can have ${most} heap objects in its life; restore its snapshot as a new heap`;
      throw new PageAllocError("ERR_METADATA_FULL", message);
    }
    const seen = Atomics.compareExchange(i32, word, last, last + 1);
    if (seen === last) return last + 1;
    last = seen;
  }
}

/** Why a page cannot be freed, by the engine's answer. */
const WHY_NOT: Record<number, [PageAllocErrorCode, string]> = {
  [layout.RANGE_NOT_MAPPED]: ["ERR_NOT_MAPPED", "is not mapped; call grow() first"],
  [layout.RANGE_MISMATCH]: ["ERR_NOT_ALLOCATED", "is free; it must be in use"],
  [layout.RANGE_OWNED]: [
    "ERR_NOT_ALLOCATED",
    "is in a page cache or a sys hook; flush it, or let it return first",
  ],
};
/** Why a page cannot be allocated. */
const WHY_IN_USE: [PageAllocErrorCode, string] = ["ERR_NOT_FREE", "is in use; it must be free"];
