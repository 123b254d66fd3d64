// Arena: hands out parts of a buffer. Its heap's pages are the parts' units. A table of sizes lies beside the bits.

import type { PageAlloc } from "../api/page-alloc.ts";
import type { PageAllocStats } from "../api/stats.ts";
import { integer, powerOfTwo, readOptions, refuse } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import { type Place, placeOf } from "../engine/pages.ts";
import { CORE, type Core } from "../heap/core.ts";
import { grow } from "../heap/grow.ts";
import type { Sys } from "../heap/sys.ts";
import { lowest, take } from "../heap/take.ts";
import type { PageAllocHandle } from "../store/shared-memories.ts";
import {
  begin,
  blockFrom,
  type Change,
  changeBlock,
  complete,
  makeTable,
  slackOf,
  tableBytes,
  unitsAt,
} from "../store/sizes.ts";
import { type ArenaMemory, bufferOf, isShareable, readMemory, sizeOf } from "./memory.ts";

/** Options of a new arena. */
export interface ArenaOptions {
  /**
   * The smallest part in bytes: every part is a multiple of it, and begins at one. A power of two, 16 to 2**30. Default
   * 256.
   */
  unit?: number;
  /** What the heap tells the system that backs the memory. See `PageAllocOptions`. */
  sys?: Sys;
  /**
   * Keeps the state in shared memory, so that other workers can `attach`. Default false. The memory must be one that
   * workers can share too: a SharedArrayBuffer, a shared WebAssembly.Memory, or a size.
   */
  shared?: boolean;
}

/** Options of an alloc in an arena. */
export interface ArenaAllocOptions {
  /** The offset is a multiple of this many bytes; a power of two, at most 2**20 units. Default: the unit. */
  align?: number;
}

/** What another thread needs to attach to an arena: the handle of its heap, and its memory. */
export interface ArenaHandle extends PageAllocHandle {
  /** The memory that the arena hands out parts of. */
  readonly arena: ArenaMemory;
}

/** Statistics of an arena: those of its heap, and two more. */
export interface ArenaStats extends PageAllocStats {
  /** How many blocks are live. */
  blocks: number;
  /** Bytes that were asked for, of all live blocks. */
  requested: number;
}

/** Makes the next arena. Undefined: its arguments do. */
let makeNext: (() => { heap: PageAlloc; memory: ArenaMemory }) | undefined;

/** Returns an arena on a heap that has one already. */
function arenaOf(heap: PageAlloc, memory: ArenaMemory): Arena {
  makeNext = () => ({ heap, memory });
  try {
    return new Arena(undefined as never, 0);
  } finally {
    makeNext = undefined;
  }
}

/**
 * An allocator over a buffer, or over any range of bytes. It hands out *blocks*: whole units, at the lowest offset that
 * fits, and remembers their sizes. Offsets and sizes are in bytes. It never touches the bytes, but for `realloc`.
 *
 * Every call throws TypeError or RangeError for an argument of the wrong type or out of range, and what the calls of
 * its heap throw: PageAllocError ERR_DISPOSED, ERR_LOCKED, ERR_METADATA_FULL, or what a hook throws. A call that throws
 * has changed nothing.
 *
 * Memory that grows is followed: a WebAssembly.Memory, or a buffer that can be resized. If a call finds no room, it
 * looks whether there is more memory by now.
 */
export class Arena {
  /**
   * The heap below. A page is a unit. Release what is free with `heap.scavenge()`, attach and recover by it, dispose of
   * it. Each free unit can be released by itself. Pages that its own `alloc` takes are none of the arena's blocks. Do
   * not free the pages of a block by it.
   */
  readonly heap: PageAlloc;
  readonly #core: Core;
  readonly #memory: ArenaMemory;
  /** The memory, if it is a buffer, which may be detached. */
  readonly #buffer: ArrayBufferLike | undefined;
  readonly #unit: number;

  /**
   * Makes an arena over all whole units of `memory`. `engine` is the class of its heap. Throws TypeError or RangeError,
   * and what `new PageAlloc` and `grow` throw.
   */
  constructor(engine: typeof PageAlloc, memory: ArenaMemory, options?: ArenaOptions) {
    const made = makeNext?.();
    makeNext = undefined;
    const { heap, memory: own } = made ?? makeHeap(engine, memory, options);
    this.heap = heap;
    this.#core = heap[CORE];
    this.#memory = own;
    this.#buffer = bufferOf(own) === own ? own : undefined;
    this.#unit = heap.pageSize;
    if (made) return;
    try {
      this.#follow();
    } catch (error) {
      this.#core.close();
      throw error;
    }
  }

  /**
   * Makes an arena from a snapshot, whichever engine took it, over memory that has the same bytes. `options` are those
   * of `PageAlloc.restore`. Throws TypeError; RangeError if the memory is smaller than the snapshot says;
   * PageAllocError ERR_CORRUPT unless the bytes are a whole snapshot of an arena.
   */
  static restore(
    engine: typeof PageAlloc,
    snapshot: Uint8Array,
    memory: ArenaMemory,
    options?: Pick<ArenaOptions, "shared" | "sys">,
  ): Arena {
    const { shared, sys } = readOptions("options", options, ["shared", "sys"]);
    mustBeShareable(readMemory(memory), shared);
    const heap = classOf(engine).restore(snapshot, { shared, sys });
    const core = heap[CORE];
    try {
      const least = unitsOf(core) * core.pageSize;
      if (!core.get(layout.HEADER_SIZES)) {
        throw new PageAllocError(
          "ERR_CORRUPT",
          "snapshot is of a heap, not of an arena; use PageAlloc.restore",
        );
      }
      if (sizeOf(memory) < least)
        refuse("memory", sizeOf(memory), `at least ${least} bytes, as the snapshot says`, "number");
    } catch (error) {
      core.close();
      throw error;
    }
    return arenaOf(heap, memory);
  }

  /**
   * Attaches to a shared arena by its `handle`, from any thread and with either engine. Throws TypeError for anything
   * but a handle of an arena, and what `PageAlloc.attach` throws.
   */
  static attach(engine: typeof PageAlloc, handle: ArenaHandle, options?: Pick<ArenaOptions, "sys">): Arena {
    const { sys } = readOptions("options", options, ["sys"]);
    const heap = classOf(engine).attach(handle, { sys });
    if (!heap[CORE].get(layout.HEADER_SIZES)) refuse("handle", handle, "the handle of an arena");
    return arenaOf(heap, readMemory(handle.arena));
  }

  /**
   * Allocates a block of at least nbytes (1 or more). Returns its offset, the lowest that fits, or -1 if there is no
   * room. Throws TypeError when the memory's buffer has been detached.
   */
  alloc(nbytes: number, options?: ArenaAllocOptions): number {
    const npages = this.#unitsFor(nbytes);
    const align = options === undefined ? 1 : this.#readAlign(options);
    const slack = npages * this.#unit - nbytes;
    if (this.#buffer?.byteLength === 0) sizeOf(this.#buffer);
    const offset = this.#alloc(npages, align, slack);
    return offset < 0 && this.#follow() ? this.#alloc(npages, align, slack) : offset;
  }

  /** Frees the block at an offset. Throws PageAllocError ERR_NOT_ALLOCATED if no block starts there. */
  free(offset: number): void {
    const core = this.#core;
    const page = this.#pageOf(offset);
    core.lock.acquire();
    try {
      const was = this.#unitsAt(page, offset);
      begin(core, layout.SIZES_FREE, page, was, page, was, slackOf(core, page), 0, 0);
      if (core.engine.free(core.at, page >>> layout.CHUNK_SHIFT, page % layout.CHUNK_PAGES, was))
        core.mustBe(true, placeOf(page), was);
      core.engine.memory.i32[(core.region.at + layout.JOURNAL_OP) >>> 2] = layout.JOURNAL_SIZES;
      complete(core);
    } finally {
      // Calls nothing but release: a call could overflow the stack. A change that has not begun is forgotten.
      const { i32 } = core.engine.memory;
      const header = core.region.at >>> 2;
      const table = header + (i32[header + layout.HEADER_SIZES / 4] >>> 2);
      if (!i32[header + layout.JOURNAL_OP / 4]) i32[table + layout.SIZES_OP / 4] = 0;
      try {
        core.lock.release();
      } catch {
        i32[header + layout.HEADER_LOCK / 4] = 0;
      }
    }
  }

  /**
   * Makes the block at an offset nbytes (1 or more) long, and returns its offset. It shrinks in place, and grows in
   * place if the units behind it are free. Otherwise it moves: its bytes are copied, if the memory is a buffer, as far
   * as both sizes reach. If it is a size, copy them yourself before the next call: the old place is free. Returns -1
   * when there is no room; then nothing has changed. A block that moves keeps no alignment: give `align` again, and it
   * also moves if its offset is no multiple. Throws PageAllocError ERR_NOT_ALLOCATED if no block starts at the offset.
   */
  realloc(offset: number, nbytes: number, options?: ArenaAllocOptions): number {
    const core = this.#core;
    const page = this.#pageOf(offset);
    const npages = this.#unitsFor(nbytes);
    const slack = npages * this.#unit - nbytes;
    const align = options === undefined ? 1 : this.#readAlign(options);
    if (this.#buffer?.byteLength === 0) sizeOf(this.#buffer);
    const before = core.locked(() => ({ was: this.#unitsAt(page, offset), wasSlack: slackOf(core, page) }));
    const { was, wasSlack } = before;
    const block = { block: page, ...before, now: npages, slack };
    if (page % align === 0) {
      if (npages <= was) {
        core.locked(() => this.#release(page + npages, was - npages, block));
        return offset;
      }
      const end = placeOf(page + was);
      const more = npages - was;
      const isFree = () => !core.engine.inspect(core.at, end.chunk, end.index, more, false);
      if (
        this.#take(
          more,
          () => (isFree() ? end : undefined),
          () => block,
        )
      )
        return offset;
    }
    const moved = this.alloc(nbytes, options);
    if (moved < 0) return -1;
    const buffer = bufferOf(this.#memory);
    const copied = Math.min(was * this.#unit - wasSlack, nbytes);
    if (buffer) new Uint8Array(buffer).copyWithin(moved, offset, offset + copied);
    this.free(offset);
    return moved;
  }

  /**
   * How many bytes of the block at an offset can be used: what was asked for, rounded up to units. Throws
   * PageAllocError ERR_NOT_ALLOCATED if no block starts there.
   */
  usableSize(offset: number): number {
    const page = this.#pageOf(offset);
    return this.#core.locked(() => this.#unitsAt(page, offset)) * this.#unit;
  }

  /**
   * What is live, lowest first: offset, and the bytes that were asked for. Blocks may be allocated, freed and moved on
   * the way; what lies above the latest one is seen as it is by then.
   */
  *blocks(): IterableIterator<{ offset: number; nbytes: number }> {
    const core = this.#core;
    for (let next = 0; ; ) {
      const block = core.locked(() => blockFrom(core, next));
      if (!block) return;
      next = block.page + block.npages;
      yield { offset: block.page * this.#unit, nbytes: block.npages * this.#unit - block.slack };
    }
  }

  /** The blocks and their sizes as bytes, for `restore`; without the bytes of the memory. */
  snapshot(): Uint8Array {
    return this.heap.snapshot();
  }

  /**
   * What `attach` needs on another thread; can be posted. Throws PageAllocError ERR_NOT_SHARED unless the arena is
   * shared.
   */
  get handle(): ArenaHandle {
    return { ...this.heap.handle, arena: this.#memory };
  }

  /**
   * Returns a view of `length` elements at the start of the block at an offset: `type` is a class of typed arrays, or
   * DataView. A view of a WebAssembly.Memory is lost when that grows. Throws TypeError if the arena has no buffer, or
   * it has been detached; RangeError if the block has fewer elements; PageAllocError ERR_NOT_ALLOCATED if no block
   * starts there.
   */
  view<T>(
    offset: number,
    type: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T,
    length: number,
  ): T {
    if (typeof this.#memory === "number") {
      throw new TypeError("this arena has no buffer to view, as its memory was given as a size");
    }
    if (typeof type !== "function") refuse("type", type, "a class of typed arrays, or DataView");
    sizeOf(this.#memory);
    const { BYTES_PER_ELEMENT = 1 } = type as { BYTES_PER_ELEMENT?: number };
    integer("length", length, 0, Math.floor(this.usableSize(offset) / BYTES_PER_ELEMENT));
    return new type(bufferOf(this.#memory) as ArrayBufferLike, offset, length);
  }

  /** Statistics of the heap, how many blocks are live, and how many bytes of them were asked for. */
  stats(): ArenaStats {
    const core = this.#core;
    const stats = this.heap.stats();
    return core.locked(() => {
      const table = core.get(layout.HEADER_SIZES);
      return {
        ...stats,
        blocks: core.get(table + layout.SIZES_BLOCKS),
        requested: core.getF64(table + layout.SIZES_REQUESTED),
      };
    });
  }

  /**
   * Allocates units as one block. Returns its offset, or -1. This is written out, as is `free`: with `changeBlock`, the
   * two take a fifth longer.
   */
  #alloc(npages: number, align: number, slack: number): number {
    const core = this.#core;
    if (core.sys.used) return this.#allocUsed(npages, align, slack);
    core.lock.acquire();
    try {
      const page = core.engine.findFree(core.at, npages, align);
      if (page < 0) return -1;
      begin(core, layout.SIZES_TAKE, page, npages, page, 0, 0, npages, slack);
      core.engine.allocRange(core.at, page >>> layout.CHUNK_SHIFT, page % layout.CHUNK_PAGES, npages);
      core.engine.memory.i32[(core.region.at + layout.JOURNAL_OP) >>> 2] = layout.JOURNAL_SIZES;
      complete(core);
      return page * this.#unit;
    } finally {
      // Calls nothing but release: a call could overflow the stack. A change that has not begun is forgotten.
      const { i32 } = core.engine.memory;
      const header = core.region.at >>> 2;
      const table = header + (i32[header + layout.HEADER_SIZES / 4] >>> 2);
      if (!i32[header + layout.JOURNAL_OP / 4]) i32[table + layout.SIZES_OP / 4] = 0;
      try {
        core.lock.release();
      } catch {
        i32[header + layout.HEADER_LOCK / 4] = 0;
      }
    }
  }

  /** The same for a heap with a `sys.used`. */
  #allocUsed(npages: number, align: number, slack: number): number {
    const core = this.#core;
    let page = -1;
    const isTaken = this.#take(npages, lowest(core, npages, align), ({ chunk, index }) => {
      page = chunk * layout.CHUNK_PAGES + index;
      return { block: page, was: 0, wasSlack: 0, now: npages, slack };
    });
    return isTaken ? page * this.#unit : -1;
  }

  /** Takes the pages that `choose` returns, if any, for a block that changes as `of` says. Returns whether it did. */
  #take(npages: number, choose: () => Place | undefined, of: (place: Place) => BlockChange): boolean {
    const core = this.#core;
    const { base } = take(core, npages, choose, (place, make) => {
      const first = place.chunk * layout.CHUNK_PAGES + place.index;
      changeBlock(core, { op: layout.SIZES_TAKE, first, npages, ...of(place) }, make);
    });
    return base >= 0;
  }

  /** Frees pages of a block; there may be none. Caller must hold the lock. */
  #release(first: number, npages: number, block: BlockChange): void {
    const core = this.#core;
    changeBlock(core, { op: layout.SIZES_FREE, first, npages, ...block }, () => {
      const place = placeOf(first);
      if (npages && core.engine.free(core.at, place.chunk, place.index, npages))
        core.mustBe(true, place, npages);
    });
  }

  /** Maps what the memory has grown by. Returns whether there was more. */
  #follow(): boolean {
    const units = Math.floor(sizeOf(this.#memory) / this.#unit);
    return this.#core.locked((core) => {
      const had = core.get(layout.HEADER_SIZES) ? unitsOf(core) : 0;
      if (units <= had) return false;
      const table = core.get(layout.HEADER_SIZES);
      const capacity = table && core.get(table + layout.SIZES_CAPACITY);
      if (units > capacity) {
        // Memory that grows may do so often, so the next table is twice as large.
        const wanted = Math.ceil(Math.max(units, 2 * capacity) / layout.CHUNK_PAGES) * layout.CHUNK_PAGES;
        core.makeRoom(tableBytes(core, wanted));
        makeTable(core, wanted);
      }
      grow(core, placeOf(had), units - had);
      core.set(core.get(layout.HEADER_SIZES) + layout.SIZES_UNITS, units);
      return true;
    });
  }

  /** Returns the units of the block that starts at a page. Throws if there is none. Caller must hold the lock. */
  #unitsAt(page: number, offset: number): number {
    const units = unitsAt(this.#core, page);
    if (units) return units;
    const message = `no block starts at offset ${offset}; alloc did not return it, or it has been freed`;
    throw new PageAllocError("ERR_NOT_ALLOCATED", message);
  }

  /** Returns the page of an offset; one beyond all pages, if no block can start there. Throws TypeError. */
  #pageOf(offset: number): number {
    if (typeof offset !== "number") refuse("offset", offset, "a number that alloc returned");
    const page = offset / this.#unit;
    return page >= 0 && Number.isInteger(page) ? page : Infinity;
  }

  /** Returns how many units that many bytes take. */
  #unitsFor(nbytes: number): number {
    integer("nbytes", nbytes, 1, Number.MAX_SAFE_INTEGER);
    return Math.min(Math.ceil(nbytes / this.#unit), MOST_UNITS);
  }

  /** Returns an alignment in units. */
  #readAlign(options: ArenaAllocOptions | undefined): number {
    const { align = 1 } = readOptions("options", options, ["align"]);
    return Math.max(1, powerOfTwo("options.align", align, 1, layout.MAX_ALIGN * this.#unit) / this.#unit);
  }
}

/** What happens to a block when pages do. */
type BlockChange = Omit<Change, "op" | "first" | "npages">;

/** More units than any arena has. */
const MOST_UNITS = layout.CHUNK_PAGES * (layout.MAX_CHUNKS + 1);

/** Returns how many units an arena has mapped. A worker may have died before it counted those of its last growth. */
function unitsOf(core: Core): number {
  return Math.max(
    core.get(core.get(layout.HEADER_SIZES) + layout.SIZES_UNITS),
    core.getF64(layout.HEADER_TOP),
  );
}

/** Makes the heap of a new arena. */
function makeHeap(engine: typeof PageAlloc, given: ArenaMemory, options: ArenaOptions | undefined) {
  const { unit = 256, sys, shared = false } = readOptions("options", options, ["unit", "sys", "shared"]);
  powerOfTwo("options.unit", unit, 16, 2 ** 30);
  const memory = readMemory(given);
  mustBeShareable(memory, shared);
  if (sizeOf(memory) < unit)
    refuse("memory", sizeOf(memory), `at least ${unit} bytes, which is one unit`, "number");
  const Heap = classOf(engine);
  // Every free unit can be released by itself: what is below need not have pages.
  return { heap: new Heap({ pageSize: unit, physPageSize: unit, physHugePageSize: 0, shared, sys }), memory };
}

/** Returns the class of an arena's heap. Throws TypeError for anything else. */
function classOf(engine: typeof PageAlloc): typeof PageAlloc {
  if (typeof engine === "function" && typeof engine.restore === "function") return engine;
  return refuse(
    "engine",
    engine,
    'the class PageAlloc of "palloc", "palloc/ts" or one of their shared entries',
  );
}

/** Throws TypeError if a shared arena has memory that other threads cannot have. */
function mustBeShareable(memory: ArenaMemory, shared: boolean | undefined): void {
  if (shared && !isShareable(memory))
    refuse(
      "memory",
      memory,
      "a SharedArrayBuffer, a shared WebAssembly.Memory or a size, for a shared arena",
    );
}
