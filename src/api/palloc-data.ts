// PallocData: the bitmaps of one chunk as a public object, on its own or as a view of a heap's chunk.

import { countOrInfinity, integer, powerOfTwo } from "../base/arguments.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import { firstOf, secondOf } from "../engine/packed.ts";
import { capHugePages } from "../engine/pages.ts";
import { INSPECT, pictureOfChunk } from "../heap/picture.ts";
import type { Instance } from "../store/regions.ts";
import { type PallocSum, unpack } from "../store/sums.ts";

/** The bitmaps of a chunk in linear memory. */
export class ChunkData {
  readonly engine: Engine;
  readonly address: () => number;

  /** @param address returns the current address, as a heap's state may move; throws after the heap's `dispose` */
  constructor(engine: Engine, address: () => number) {
    this.engine = engine;
    this.address = address;
  }
}

/** 512 bits; bit i belongs to page i. */
export class PageBits {
  readonly #data: ChunkData;
  readonly #offset: number;

  /** @internal PallocData makes it. */
  constructor(data: ChunkData, offset: number) {
    this.#data = data;
    this.#offset = offset;
  }

  get #at(): number {
    return this.#data.address() + this.#offset;
  }

  /** Reports whether the bit of page i (0 to 511) is set. Throws TypeError or RangeError. */
  get(i: number): boolean {
    integer("i", i, 0, layout.CHUNK_PAGES - 1);
    return ((this.#data.engine.memory.u8[this.#at + (i >>> 3)] >>> (i & 7)) & 1) === 1;
  }

  /** Sets the bits of pages [i, i + n), which lie within the chunk. Throws TypeError or RangeError. */
  setRange(i: number, n: number): void {
    checkRange(i, n);
    this.#data.engine.setRange(this.#at, i, n);
  }

  /** Clears the bits of pages [i, i + n), which lie within the chunk. Throws TypeError or RangeError. */
  clearRange(i: number, n: number): void {
    checkRange(i, n);
    this.#data.engine.clearRange(this.#at, i, n);
  }

  /** Counts the set bits of pages [i, i + n), which lie within the chunk. Throws TypeError or RangeError. */
  popcntRange(i: number, n: number): number {
    checkRange(i, n);
    return this.#data.engine.popcntRange(this.#at, i, n);
  }

  /** Eight words. Page i is bit i % 64 of word i / 64. A live view, valid until memory grows: do not keep it. */
  get words(): BigUint64Array {
    const first = this.#at >>> 3;
    return this.#data.engine.memory.u64.subarray(first, first + layout.BITMAP_BYTES / 8);
  }
}

/**
 * One chunk: which of its 512 pages are in use, and which free ones are scavenged. `new PallocData()` makes a chunk of
 * its own, all free and unscavenged. `PageAlloc.chunk` returns a live view of a heap's chunk. Ranges are pages
 * [i, i + n).
 */
export class PallocData {
  /** 1 = in use. */
  readonly alloc: PageBits;
  /** 1 = released to the system and not touched since. */
  readonly scavenged: PageBits;
  readonly #data: ChunkData;

  /** @internal Returns the engine that `new` uses; set by the package's entries. */
  declare static readonly instance: () => Instance;

  constructor();
  /** @internal */
  constructor(data?: ChunkData);
  constructor(given?: ChunkData) {
    const data = given instanceof ChunkData ? given : standalone(new.target.instance());
    this.#data = data;
    this.alloc = new PageBits(data, 0);
    this.scavenged = new PageBits(data, layout.DATA_SCAVENGED);
  }

  /** Draws the chunk in 8 lines: `#` in use, `.` free, `~` free and released, a space for not mapped. */
  toString(): string {
    return pictureOfChunk(this.#data.engine.memory, this.#data.address());
  }

  /** Sets the alloc bits and clears the scavenged ones. Throws TypeError or RangeError. */
  allocRange(i: number, n: number): void {
    this.scavenged.clearRange(i, n);
    this.alloc.setRange(i, n);
  }

  /** Clears the alloc bits. Throws TypeError or RangeError. */
  freeRange(i: number, n: number): void {
    this.alloc.clearRange(i, n);
  }

  /**
   * Finds the first run of npages (1 to 512) free pages, from the 64-bit word of page searchIdx (0 to 511) upward.
   * Returns its index, and as searchIdx the first free page seen. Each is -1 if there is none. Throws TypeError or
   * RangeError.
   */
  find(npages: number, searchIdx: number): { index: number; searchIdx: number } {
    checkFind(npages, searchIdx);
    const hit = this.#data.engine.find(this.#data.address(), npages, searchIdx);
    return { index: firstOf(hit), searchIdx: secondOf(hit) };
  }

  /** Counts the free pages at the start, in the longest free run, and at the end. */
  summarize(): PallocSum {
    return unpack(this.#data.engine.summarize(this.#data.address()));
  }

  /**
   * Reports whether a min-aligned group of min pages (a power of two, 1 to 512) is free and unscavenged. Throws
   * TypeError or RangeError.
   */
  hasScavengeCandidate(min: number): boolean {
    powerOfTwo("min", min, 1, layout.CHUNK_PAGES);
    return Boolean(this.#data.engine.hasScavengeCandidate(this.#data.address(), min));
  }

  /**
   * Finds the highest run of free and unscavenged pages, from the 64-bit word of page searchIdx (0 to 511) downward.
   * Pages above that word are not looked at. npages is 0 if there is none. Throws TypeError or RangeError.
   * @param min the run has at least min pages and is aligned to min; a power of two, 1 to 512
   * @param max the run is cut from below to max pages, rounded up to a multiple of min; 0 = min, Infinity = uncut
   * @param pagesPerHugePage the cut run grows to keep a huge page of so many pages whole; a power of two, or 0 for none
   */
  findScavengeCandidate(
    searchIdx: number,
    min: number,
    max: number,
    pagesPerHugePage = 0,
  ): { start: number; npages: number } {
    checkCandidate(searchIdx, min, max, pagesPerHugePage);
    const hit = this.#data.engine.findScavengeCandidate(
      this.#data.address(),
      (searchIdx | 63) + 1,
      min,
      Math.min(max, layout.CHUNK_PAGES),
      capHugePages(pagesPerHugePage),
    );
    return { start: firstOf(hit), npages: secondOf(hit) };
  }
}

Object.defineProperty(PallocData.prototype, INSPECT, { value: PallocData.prototype.toString });

/** Checks the arguments of `find`. */
export function checkFind(npages: number, searchIdx: number): void {
  integer("npages", npages, 1, layout.CHUNK_PAGES);
  integer("searchIdx", searchIdx, 0, layout.CHUNK_PAGES - 1);
}

/** Checks the arguments of `findScavengeCandidate`. */
export function checkCandidate(searchIdx: number, min: number, max: number, pagesPerHugePage: number): void {
  integer("searchIdx", searchIdx, 0, layout.CHUNK_PAGES - 1);
  powerOfTwo("min", min, 1, layout.CHUNK_PAGES);
  countOrInfinity("max", max);
  if (pagesPerHugePage !== 0) powerOfTwo("pagesPerHugePage", pagesPerHugePage, 1, 2 ** 48);
}

function checkRange(i: number, n: number): void {
  integer("i", i, 0, layout.CHUNK_PAGES - 1);
  integer("n", n, 1, layout.CHUNK_PAGES - i);
}

/**
 * Makes zeroed chunks, one after the other, with `more` bytes behind them. Their memory is freed when the result is
 * garbage-collected.
 */
export function standalone({ engine, regions }: Instance, nchunks = 1, more = 0): ChunkData {
  let at = 0;
  const data = new ChunkData(engine, () => at);
  const region = regions.alloc(nchunks * layout.DATA_BYTES + more);
  regions.freeWith(data, region);
  at = region.at;
  engine.memory.u8.fill(0, at, at + nchunks * layout.DATA_BYTES);
  return data;
}
