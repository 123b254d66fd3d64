// Regions: the parts of an engine's linear memory that heaps keep their state in. Which parts are taken is known to one
// more heap, the *ground*, whose pages are 128 bytes, so that one of its chunks is just one page of WebAssembly memory.
// The ground's own state lies in a region of its own making.

import type { Engine } from "./engine.ts";
import { initHeader, roomToGrow } from "./header.ts";
import {
  CHUNK_PAGES,
  CHUNK_SHIFT,
  DATA_BYTES,
  HEADER_BYTES,
  HEADER_USED,
  LEAF_BYTES,
  RANGE_DONE,
} from "./layout.ts";
import { MEMORY_PAGE } from "./memory.ts";

/** Bytes of a page of the ground: room for one PallocData. */
const GRAIN = DATA_BYTES;
/** Address of the ground's first region. Below it lies what WebAssembly might want for itself. */
const GROUND_AT = 1024;

/** A part of linear memory that belongs to one user. It may be moved when it is resized. */
export interface Region {
  /** Address; 0 once given back. */
  at: number;
  /** Bytes, a multiple of 128. */
  bytes: number;
}

/** Hands out the linear memory of one engine. */
export class Regions {
  readonly #engine: Engine;
  #ground: Region;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#ground = { at: GROUND_AT, bytes: grains(HEADER_BYTES + LEAF_BYTES) * GRAIN };
    const chunks = engine.memory.size / MEMORY_PAGE;
    initHeader(engine.memory, GROUND_AT, { pageShift: 7, addrBits: 32, minPages: 1, hugePages: 0 });
    engine.map(GROUND_AT, 0, chunks);
    this.#take(0, GROUND_AT + this.#ground.bytes);
  }

  /** A region of at least that many bytes, of any content; null when there is no memory for it. */
  alloc(bytes: number): Region | null {
    const npages = grains(bytes);
    let page = this.#engine.alloc(this.#ground.at, npages);
    if (page < 0 && this.#extend(npages * GRAIN)) page = this.#engine.alloc(this.#ground.at, npages);
    return page < 0 ? null : { at: page * GRAIN, bytes: npages * GRAIN };
  }

  /** Gives a region back. */
  free(region: Region): void {
    this.#engine.free(this.#ground.at, ...this.#place(region.at), region.bytes / GRAIN);
    region.at = 0;
  }

  /** Makes a region larger, in its place if it can. Returns false, with nothing changed, when there is no memory for it. */
  resize(region: Region, bytes: number): boolean {
    const more = grains(bytes) * GRAIN - region.bytes;
    if (this.#take(region.at + region.bytes, more)) {
      region.bytes += more;
      return true;
    }
    const moved = this.alloc(bytes);
    if (!moved) return false;
    this.#engine.memory.u8.copyWithin(moved.at, region.at, region.at + region.bytes);
    const { at } = moved;
    this.free(region);
    region.at = at;
    region.bytes = moved.bytes;
    return true;
  }

  /** Takes just these bytes, growing memory where they lie beyond its end. Returns false when they are not free. */
  #take(at: number, bytes: number): boolean {
    const { memory } = this.#engine;
    const beyond = at + bytes - memory.size;
    if (beyond > 0) {
      const within = bytes - beyond;
      const free =
        !within || !this.#engine.inspect(this.#ground.at, ...this.#place(at), within / GRAIN, false);
      if (!free || !this.#extend(beyond)) return false;
    }
    return this.#engine.allocRange(this.#ground.at, ...this.#place(at), bytes / GRAIN) === RANGE_DONE;
  }

  /** Adds memory for at least that many bytes in a row, an eighth of what there is at the least. */
  #extend(bytes: number): boolean {
    const { memory } = this.#engine;
    const pages = memory.size / MEMORY_PAGE;
    const wanted = Math.ceil(bytes / MEMORY_PAGE);
    return this.#extendBy(Math.max(wanted, pages >> 3)) || this.#extendBy(wanted);
  }

  /** Adds pages of memory, and more at its end for the ground's own state when that would not fit any longer. */
  #extendBy(pages: number): boolean {
    const { memory } = this.#engine;
    const first = memory.size / MEMORY_PAGE;
    const room = this.#used() + roomToGrow(memory, this.#ground.at, first, pages + 1);
    const moves = room > this.#ground.bytes;
    const bytes = moves ? grains(room * 2) * GRAIN : 0;
    const added = pages + Math.ceil(bytes / MEMORY_PAGE);
    if (!memory.grow(added)) return false;
    if (moves) this.#move(memory.size - bytes, bytes);
    this.#engine.map(this.#ground.at, first, added);
    if (moves) this.#take(this.#ground.at, bytes);
    return true;
  }

  /** Moves the ground's state to memory that the ground does not know of yet. */
  #move(at: number, bytes: number): void {
    const old = { ...this.#ground };
    this.#engine.memory.u8.copyWithin(at, old.at, old.at + this.#used());
    this.#ground = { at, bytes };
    this.free(old);
  }

  /** Bytes of the ground's state. */
  #used(): number {
    return this.#engine.memory.i32[(this.#ground.at + HEADER_USED) >>> 2];
  }

  /** An address as chunk and index of the ground. */
  #place(at: number): [chunk: number, index: number] {
    const page = at / GRAIN;
    return [page >>> CHUNK_SHIFT, page % CHUNK_PAGES];
  }
}

/** Bytes in pages of the ground. */
function grains(bytes: number): number {
  return Math.ceil(bytes / GRAIN);
}
