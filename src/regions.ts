// Regions: the parts of an engine's linear memory that heaps keep their state in. Which parts are taken is known to one
// more heap, the *ground*, whose addresses are those of linear memory. Its own state has a fixed place at the bottom, with
// room for all of the 4 GiB that there can be; what is not used of it is never touched.

import type { Engine } from "./engine.ts";
import { PageAllocError } from "./errors.ts";
import { newHeader, roomToGrow } from "./header.ts";
import { CHUNK_PAGES, CHUNK_SHIFT, HEADER_BYTES, RANGE_DONE, RANGE_NOT_MAPPED } from "./layout.ts";
import { MEMORY_PAGE, MEMORY_PAGES_MAX } from "./memory.ts";

/** log2 of the bytes of a page of the ground. */
const GRAIN_SHIFT = 10;
const GRAIN = 2 ** GRAIN_SHIFT;
/** Address of the ground's state. Below it lies what WebAssembly might want for itself. */
const GROUND = GRAIN;
/** Pages of memory, of 64 KiB, in a chunk of the ground: memory grows by whole chunks. */
const STEP = (GRAIN * CHUNK_PAGES) / MEMORY_PAGE;
/** Address of the first region. Below it is room for the ground to grow over all of the memory that there can be. */
const FIRST = GRAIN * grains(GROUND + HEADER_BYTES + roomToGrow(0, MEMORY_PAGES_MAX / STEP, 0));

/** Pages of memory, of 64 KiB, that an engine begins with. */
export const FIRST_PAGES = Math.ceil(FIRST / MEMORY_PAGE / STEP) * STEP;

/** A part of linear memory that belongs to one user. It may be moved when it is resized. */
export interface Region {
  /** Address; 0 once given back. */
  at: number;
  /** Bytes, a multiple of 1024. */
  bytes: number;
  /** For a shared heap, lets another have the place; not there where threads may be attached, or may yet be. */
  giveBack?: () => void;
}

/** Hands out the linear memory of one engine. */
export class Regions {
  readonly #engine: Engine;
  readonly #abandoned = new FinalizationRegistry((region: Region) => this.free(region));

  constructor(engine: Engine) {
    this.#engine = engine;
    const header = newHeader({ pageShift: GRAIN_SHIFT, addrBits: 32, minPages: 1, hugePages: 0 });
    engine.memory.i32.set(header, GROUND / 4);
    engine.map(GROUND, 0, FIRST_PAGES / STEP);
    this.#take(0, FIRST);
  }

  /** A region of at least that many bytes, of any content. Throws PageAllocError ERR_METADATA_FULL. */
  alloc(bytes: number): Region {
    const at = this.#place(bytes);
    if (at < 0) throw memoryFull(bytes);
    return { at, bytes: grains(bytes) * GRAIN };
  }

  /** Gives a region back when `owner` is collected, if that has not been done by then. */
  freeWith(owner: object, region: Region): void {
    this.#abandoned.register(owner, region, region);
  }

  /** Gives a region back. */
  free(region: Region): void {
    this.#abandoned.unregister(region);
    this.#give(region.at, region.bytes);
    region.at = 0;
  }

  /** Makes a region larger, in its place if it can. Returns false, with nothing changed, when there is no memory for it. */
  resize(region: Region, bytes: number): boolean {
    const more = grains(bytes) * GRAIN - region.bytes;
    if (!this.#take(region.at + region.bytes, more)) {
      const at = this.#place(bytes);
      if (at < 0) return false;
      this.#engine.memory.u8.copyWithin(at, region.at, region.at + region.bytes);
      this.#give(region.at, region.bytes);
      region.at = at;
    }
    region.bytes += more;
    return true;
  }

  /** Takes bytes wherever they are free. Returns their address, -1 when there is no memory for them. */
  #place(bytes: number): number {
    const npages = grains(bytes);
    const page = this.#engine.alloc(GROUND, npages);
    if (page >= 0) return page * GRAIN;
    return this.#extend(npages * GRAIN) ? this.#place(bytes) : -1;
  }

  /** Takes just these bytes, growing memory where they lie beyond its end. Returns false when they are not free. */
  #take(at: number, bytes: number): boolean {
    const answer = this.#engine.allocRange(GROUND, chunkOf(at), indexOf(at), bytes / GRAIN);
    if (answer !== RANGE_NOT_MAPPED) return answer === RANGE_DONE;
    return this.#extend(at + bytes - this.#engine.memory.size) && this.#take(at, bytes);
  }

  #give(at: number, bytes: number): void {
    this.#engine.free(GROUND, chunkOf(at), indexOf(at), bytes / GRAIN);
  }

  /** Adds memory for at least that many bytes in a row, an eighth of what there is if it can. */
  #extend(bytes: number): boolean {
    const { memory } = this.#engine;
    const chunks = memory.size / MEMORY_PAGE / STEP;
    const wanted = Math.ceil(bytes / MEMORY_PAGE / STEP);
    for (const more of [Math.max(wanted, chunks >> 3), wanted]) {
      if (!memory.grow(more * STEP)) continue;
      this.#engine.map(GROUND, chunks, more);
      return true;
    }
    return false;
  }
}

/** The error for bytes that there is no memory for. */
export function memoryFull(bytes: number): PageAllocError {
  const message = `no memory is left for ${bytes} bytes; dispose of some heaps, or raise a shared one's metadataLimit`;
  return new PageAllocError("ERR_METADATA_FULL", message);
}

/** Bytes in pages of the ground. */
function grains(bytes: number): number {
  return Math.ceil(bytes / GRAIN);
}

/** Chunk of the ground that an address is in. */
function chunkOf(at: number): number {
  return at >>> (GRAIN_SHIFT + CHUNK_SHIFT);
}

/** Page of the chunk that an address begins. */
function indexOf(at: number): number {
  return (at >>> GRAIN_SHIFT) % CHUNK_PAGES;
}
