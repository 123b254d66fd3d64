// Regions: the parts of an engine's linear memory that heaps keep their state in. Which parts are taken is known to one
// more heap, the *ground*, whose addresses are those of linear memory. Its own state has a fixed place at the bottom,
// with room for all of the 4 GiB that there can be; what is not used of it is never touched.

import { PageAllocError } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import { MEMORY_PAGE, MEMORY_PAGES_MAX, type Region } from "../engine/memory.ts";
import { roomToGrow, writeState } from "./header.ts";
import { mend } from "./mend.ts";
import { State } from "./state.ts";

/** log2 of the bytes of a page of the ground. */
const GRAIN_SHIFT = 10;
const GRAIN = 2 ** GRAIN_SHIFT;
/** Bytes of a chunk of the ground. */
const CHUNK_BYTES = GRAIN * layout.CHUNK_PAGES;
/** The most bytes that memory can have. */
const MEMORY_BYTES = MEMORY_PAGES_MAX * MEMORY_PAGE;
/** Address of the ground's state. Below it lies what WebAssembly might want for itself. */
const GROUND = GRAIN;
/** Pages of memory, of 64 KiB, in a chunk of the ground: memory grows by whole chunks. */
const STEP = CHUNK_BYTES / MEMORY_PAGE;
/** Address of the first region. Below it is room for the ground to grow over all of the memory that there can be. */
const FIRST = GRAIN * grains(GROUND + layout.HEADER_BYTES + roomToGrow(0, MEMORY_PAGES_MAX / STEP, 0));

/** Pages of memory, of 64 KiB, that an engine begins with. */
export const FIRST_PAGES = Math.ceil(FIRST / MEMORY_PAGE / STEP) * STEP;

/** Hands out the linear memory of one engine. */
export class Regions {
  readonly #engine: Engine;
  readonly #ground: State;
  readonly #abandoned = new FinalizationRegistry((region: Region) => this.free(region));

  constructor(engine: Engine) {
    this.#engine = engine;
    const geometry = { pageShift: GRAIN_SHIFT, addrBits: 32, minPages: 1, hugePages: 0 };
    writeState(engine.memory.i32, GROUND, geometry);
    this.#ground = new State(engine, { at: GROUND, bytes: FIRST - GROUND });
    // The ground has one user, who keeps its lock.
    this.#ground.set(layout.HEADER_LOCK, layout.LOCK_HELD);
    engine.map(GROUND, 0, 0, (FIRST_PAGES / STEP) * layout.CHUNK_PAGES);
    this.#take(0, FIRST);
  }

  /** A region of at least that many bytes, of any content. Throws PageAllocError ERR_METADATA_FULL. */
  alloc(bytes: number): Region {
    const whole = grains(bytes) * GRAIN;
    const at = this.#place(whole);
    if (at < 0) throw memoryFull(bytes);
    return { at, bytes: whole };
  }

  /** Gives a region back when `owner` is collected, if that has not been done by then. */
  freeWith(owner: object, region: Region): void {
    this.#abandoned.register(owner, region, region);
  }

  /** Gives a region back. */
  free(region: Region): void {
    this.#abandoned.unregister(region);
    const { at, bytes } = region;
    region.at = 0;
    this.#give(at, bytes);
  }

  /**
   * Makes a region larger, in its place if it can. Returns false, with nothing changed, when there is no memory for it.
   */
  resize(region: Region, bytes: number): boolean {
    const { at, bytes: before } = region;
    const after = grains(bytes) * GRAIN;
    if (this.#take(at + before, after - before)) {
      region.bytes = after;
      return true;
    }
    const to = this.#place(after);
    if (to < 0) return false;
    this.#engine.memory.u8.copyWithin(to, at, at + before);
    region.at = to;
    region.bytes = after;
    this.#give(at, before);
    return true;
  }

  /**
   * Takes bytes, a multiple of GRAIN, wherever they are free. Returns their address, -1 when there is no memory for
   * them.
   */
  #place(bytes: number): number {
    this.#mend();
    for (;;) {
      const page = bytes < MEMORY_BYTES ? this.#engine.alloc(GROUND, bytes / GRAIN) : -1;
      if (page >= 0) return page * GRAIN;
      if (!this.#extend(bytes)) return -1;
    }
  }

  /** Takes just these bytes, growing memory where they lie beyond its end. Returns false when they are not free. */
  #take(at: number, bytes: number): boolean {
    if (at + bytes > MEMORY_BYTES) return false;
    this.#mend();
    for (;;) {
      const answer = this.#engine.allocRange(GROUND, chunkOf(at), indexOf(at), bytes / GRAIN);
      if (answer !== layout.RANGE_NOT_MAPPED) return answer === layout.RANGE_DONE;
      if (!this.#extend(at + bytes - this.#end)) return false;
    }
  }

  #give(at: number, bytes: number): void {
    this.#mend();
    this.#engine.free(GROUND, chunkOf(at), indexOf(at), bytes / GRAIN);
  }

  /** Adds memory for at least that many bytes in a row, an eighth of what there is if it can. */
  #extend(bytes: number): boolean {
    const { memory } = this.#engine;
    const chunks = this.#end / CHUNK_BYTES;
    const wanted = Math.ceil(bytes / CHUNK_BYTES);
    for (const more of [Math.max(wanted, chunks >> 3), wanted]) {
      const missing = (chunks + more) * STEP - memory.size / MEMORY_PAGE;
      if (missing > 0 && !memory.grow(missing)) continue;
      this.#engine.map(GROUND, chunks, 0, more * layout.CHUNK_PAGES);
      return true;
    }
    return false;
  }

  /**
   * Bytes of memory that the ground has been grown over: memory itself may have grown by more, if a call was broken
   * off.
   */
  get #end(): number {
    return this.#ground.get(layout.HEADER_END) * CHUNK_BYTES;
  }

  /** Undoes what a call has left that was broken off. */
  #mend(): void {
    if (this.#ground.get(layout.JOURNAL_OP)) mend(this.#ground);
  }
}

/** The error for bytes that there is no memory for. */
export function memoryFull(bytes: number): PageAllocError {
  const message = `no memory is left for ${bytes} bytes; dispose of some heaps, or raise a shared one's metadataLimit`;
  return new PageAllocError("ERR_METADATA_FULL", message);
}

/** Bytes in pages of the ground, of which every region has one. */
function grains(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / GRAIN));
}

/** Chunk of the ground that an address is in. */
function chunkOf(at: number): number {
  return Math.floor(at / CHUNK_BYTES);
}

/** Page of the chunk that an address begins. */
function indexOf(at: number): number {
  return (at / GRAIN) % layout.CHUNK_PAGES;
}

/** An engine at work: with the regions of its memory. */
export interface Instance {
  readonly engine: Engine;
  readonly regions: Regions;
}

/** Gives the same instance at every call, made by the first. */
export function once(create: (pages: number) => Engine): () => Instance {
  let instance: Instance | undefined;
  return () => {
    if (!instance) {
      const engine = create(FIRST_PAGES);
      instance = { engine, regions: new Regions(engine) };
    }
    return instance;
  };
}
