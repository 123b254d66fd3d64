// Regions: the parts of an engine's linear memory that hold the state of heaps. One more heap, the *ground*, allocates
// them: its addresses are those of linear memory. Its own state lies at a fixed address at the bottom, with room to
// grow over all 4 GiB. The unused part of that room is never touched.

import { PageAllocError } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import { MEMORY_PAGE, MEMORY_PAGES_MAX, type Region } from "../engine/memory.ts";
import { bytesOfNodes, nodesToGrow, writeState } from "./header.ts";
import { mend } from "./mend.ts";
import { State } from "./state.ts";

/** log2 of the bytes of a page of the ground. */
const GRAIN_SHIFT = 10;
const GRAIN = 2 ** GRAIN_SHIFT;
/** Bytes of a chunk of the ground. */
const CHUNK_BYTES = GRAIN * layout.CHUNK_PAGES;
/** Most bytes of linear memory. */
const MEMORY_BYTES = MEMORY_PAGES_MAX * MEMORY_PAGE;
/** Address of the ground's state. The bytes below it are left to WebAssembly. */
const GROUND = GRAIN;
/** Memory pages of 64 KiB per chunk of the ground. Memory grows by whole chunks. */
const STEP = CHUNK_BYTES / MEMORY_PAGE;
/** Address of the first region. Below it is room for the state of a ground that covers all of memory. */
const FIRST =
  GRAIN * grains(GROUND + layout.HEADER_BYTES + bytesOfNodes(nodesToGrow(0, MEMORY_PAGES_MAX / STEP, 0, -1)));

/** Memory pages of 64 KiB that an engine starts with. */
const FIRST_PAGES = Math.ceil(FIRST / MEMORY_PAGE / STEP) * STEP;

/** Allocates the linear memory of one engine. */
export class Regions {
  readonly #engine: Engine;
  readonly #ground: State;
  readonly #abandoned = new FinalizationRegistry((region: Region) => this.free(region));

  constructor(engine: Engine) {
    this.#engine = engine;
    const geometry = { pageShift: GRAIN_SHIFT, addrBits: 32, minPages: 1, hugePages: 0 };
    writeState(engine.memory.i32, GROUND, geometry);
    this.#ground = new State(engine, { at: GROUND, bytes: FIRST - GROUND });
    // The ground has a single user, so its lock is held for good.
    this.#ground.set(layout.HEADER_LOCK, layout.LOCK_HELD);
    engine.map(GROUND, 0, 0, (FIRST_PAGES / STEP) * layout.CHUNK_PAGES);
    this.#take(0, FIRST);
  }

  /** Allocates a region of at least that many bytes, not zeroed. Throws PageAllocError ERR_METADATA_FULL. */
  alloc(bytes: number): Region {
    const whole = grains(bytes) * GRAIN;
    const at = this.#allocBytes(whole);
    if (at < 0) throw memoryFull(bytes);
    return { at, bytes: whole };
  }

  /** Frees a region when `user` is garbage-collected, unless it has been freed before. */
  freeWith(user: object, region: Region): void {
    this.#abandoned.register(user, region, region);
  }

  /** Frees a region. */
  free(region: Region): void {
    this.#abandoned.unregister(region);
    const { at, bytes } = region;
    region.at = 0;
    this.#freeBytes(at, bytes);
  }

  /**
   * Enlarges a region, in place if possible; else it moves. Returns false, with nothing changed, when memory is full.
   */
  resize(region: Region, bytes: number): boolean {
    const { at, bytes: before } = region;
    const after = grains(bytes) * GRAIN;
    if (this.#take(at + before, after - before)) {
      region.bytes = after;
      return true;
    }
    const to = this.#allocBytes(after);
    if (to < 0) return false;
    this.#engine.memory.u8.copyWithin(to, at, at + before);
    region.at = to;
    region.bytes = after;
    this.#freeBytes(at, before);
    return true;
  }

  /** Takes free bytes, a multiple of GRAIN. Returns their address, or -1 when memory is full. */
  #allocBytes(bytes: number): number {
    this.#mend();
    for (;;) {
      const page = bytes < MEMORY_BYTES ? this.#engine.alloc(GROUND, bytes / GRAIN, 1) : -1;
      if (page >= 0) return page * GRAIN;
      if (!this.#extend(bytes)) return -1;
    }
  }

  /** Takes exactly these bytes; grows memory if they lie beyond its end. Returns false when they are not free. */
  #take(at: number, bytes: number): boolean {
    if (at + bytes > MEMORY_BYTES) return false;
    this.#mend();
    for (;;) {
      const answer = this.#engine.allocRange(GROUND, chunkOf(at), indexOf(at), bytes / GRAIN);
      if (answer !== layout.RANGE_NOT_MAPPED) return answer === layout.RANGE_DONE;
      if (!this.#extend(at + bytes - this.#end)) return false;
    }
  }

  #freeBytes(at: number, bytes: number): void {
    this.#mend();
    this.#engine.free(GROUND, chunkOf(at), indexOf(at), bytes / GRAIN);
  }

  /** Adds memory for that many bytes in a row, and if possible at least an eighth of the current size. */
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

  /** Bytes of memory that are mapped in the ground. Memory itself may be larger after an interrupted call. */
  get #end(): number {
    return this.#ground.get(layout.HEADER_END) * CHUNK_BYTES;
  }

  /** Mends the ground after an interrupted call. */
  #mend(): void {
    if (this.#ground.get(layout.JOURNAL_OP)) mend(this.#ground);
  }
}

/** Returns the error for bytes that do not fit in memory. */
export function memoryFull(bytes: number): PageAllocError {
  const message = `no memory left for ${bytes} bytes; dispose of some heaps, or raise a shared heap's metadataLimit`;
  return new PageAllocError("ERR_METADATA_FULL", message);
}

/** Converts bytes to pages of the ground, rounded up; at least one. */
function grains(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / GRAIN));
}

/** Returns the ground's chunk that holds an address. */
function chunkOf(at: number): number {
  return Math.floor(at / CHUNK_BYTES);
}

/** Returns the index, within its chunk, of the page at an address. */
function indexOf(at: number): number {
  return (at / GRAIN) % layout.CHUNK_PAGES;
}

/** An engine with the regions of its memory. */
export interface Instance {
  readonly engine: Engine;
  readonly regions: Regions;
}

/** Returns a function that makes an instance on its first call and returns the same one from then on. */
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
