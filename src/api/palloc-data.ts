// PallocData: one chunk's bitmaps as a public object, either on its own or as a view of a chunk of a heap.

import { countOrInfinity, integer, powerOfTwo } from "../base/arguments.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import { capHugePages } from "../engine/pages.ts";
import { INSPECT, pictureOfChunk } from "../heap/picture.ts";
import type { Instance } from "../store/regions.ts";
import { type PallocSum, unpack } from "../store/sums.ts";

/** Where the bitmaps of a chunk lie. */
export class DataPlace {
  readonly engine: Engine;
  readonly address: () => number;

  /** @param address gives the address of the PallocData now, as a heap's state may move; throws when it is gone */
  constructor(engine: Engine, address: () => number) {
    this.engine = engine;
    this.address = address;
  }
}

/** 512 bits; bit i belongs to page i. */
export class PageBits {
  readonly #place: DataPlace;
  readonly #offset: number;

  /** @internal Comes from PallocData. */
  constructor(place: DataPlace, offset: number) {
    this.#place = place;
    this.#offset = offset;
  }

  get #at(): number {
    return this.#place.address() + this.#offset;
  }

  /** Whether the bit of page i (0 to 511) is set. Throws TypeError or RangeError. */
  get(i: number): boolean {
    integer("i", i, 0, layout.CHUNK_PAGES - 1);
    return ((this.#place.engine.memory.u8[this.#at + (i >>> 3)] >>> (i & 7)) & 1) === 1;
  }

  /** Sets the bits of pages [i, i + n), which lie within the chunk. Throws TypeError or RangeError. */
  setRange(i: number, n: number): void {
    checkRange(i, n);
    this.#place.engine.setRange(this.#at, i, n);
  }

  /** Clears the bits of pages [i, i + n), which lie within the chunk. Throws TypeError or RangeError. */
  clearRange(i: number, n: number): void {
    checkRange(i, n);
    this.#place.engine.clearRange(this.#at, i, n);
  }

  /** How many bits of pages [i, i + n), which lie within the chunk, are set. Throws TypeError or RangeError. */
  popcntRange(i: number, n: number): number {
    checkRange(i, n);
    return this.#place.engine.popcntRange(this.#at, i, n);
  }

  /** Eight words; page i is bit i % 64 of word i / 64. A live view, valid until memory grows: do not keep it. */
  get words(): BigUint64Array {
    const first = this.#at >>> 3;
    return this.#place.engine.memory.u64.subarray(first, first + layout.BITMAP_BYTES / 8);
  }
}

/**
 * One chunk: which of its 512 pages are in use, and which free ones are scavenged. Made with `new` it is on its own,
 * all free and unscavenged; `PageAlloc.chunk` gives a live view of a heap's chunk. Ranges are [i, i + n) in pages.
 */
export class PallocData {
  /** 1 = in use. */
  readonly alloc: PageBits;
  /** 1 = released to the system and not touched since. */
  readonly scavenged: PageBits;
  readonly #place: DataPlace;

  /** @internal What makes PallocData of its own; entries say which engine. */
  declare static readonly instance: () => Instance;

  constructor();
  /** @internal */
  constructor(place?: DataPlace);
  constructor(given?: DataPlace) {
    const place = given instanceof DataPlace ? given : standalone(new.target.instance());
    this.#place = place;
    this.alloc = new PageBits(place, 0);
    this.scavenged = new PageBits(place, layout.DATA_SCAVENGED);
  }

  /** The chunk as a picture of 8 lines: `#` in use, `.` free, `~` free and released, a space for what is not mapped. */
  toString(): string {
    return pictureOfChunk(this.#place.engine.memory, this.#place.address());
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
   * First run of npages (1 to 512) free pages at or after the 64-bit word of page searchIdx (0 to 511), and the first
   * free page seen; index is -1 when there is no such run, searchIdx when there is no free page. Throws TypeError or
   * RangeError.
   */
  find(npages: number, searchIdx: number): { index: number; searchIdx: number } {
    integer("npages", npages, 1, layout.CHUNK_PAGES);
    integer("searchIdx", searchIdx, 0, layout.CHUNK_PAGES - 1);
    const hit = this.#place.engine.find(this.#place.address(), npages, searchIdx);
    return { index: (hit << 16) >> 16, searchIdx: hit >> 16 };
  }

  /** Counts the free pages at the start, in the longest run, and at the end. */
  summarize(): PallocSum {
    return unpack(this.#place.engine.summarize(this.#place.address()));
  }

  /**
   * Whether any min-aligned group of min pages (a power of two, 1 to 64) is free and unscavenged. Throws TypeError or
   * RangeError.
   */
  hasScavengeCandidate(min: number): boolean {
    powerOfTwo("min", min, 1, 64);
    return Boolean(this.#place.engine.hasScavengeCandidate(this.#place.address(), min));
  }

  /**
   * The highest run of free and unscavenged pages from the 64-bit word of page searchIdx (0 to 511) downward, at least
   * min pages long and aligned to min (a power of two, 1 to 64), cut from below to max pages (rounded up to a multiple
   * of min; 0 = min; Infinity = uncut) but for huge pages of pagesPerHugePage pages (a power of two; 0, the default,
   * for none), which are kept whole. npages is 0 when there is none. Throws TypeError or RangeError.
   */
  findScavengeCandidate(
    searchIdx: number,
    min: number,
    max: number,
    pagesPerHugePage = 0,
  ): { start: number; npages: number } {
    integer("searchIdx", searchIdx, 0, layout.CHUNK_PAGES - 1);
    powerOfTwo("min", min, 1, 64);
    countOrInfinity("max", max);
    if (pagesPerHugePage !== 0) powerOfTwo("pagesPerHugePage", pagesPerHugePage, 1, 2 ** 48);
    const hit = this.#place.engine.findScavengeCandidate(
      this.#place.address(),
      (searchIdx | 63) + 1,
      min,
      Math.min(max, layout.CHUNK_PAGES),
      capHugePages(pagesPerHugePage),
    );
    return { start: hit & 0xffff, npages: hit >>> 16 };
  }
}

Object.defineProperty(PallocData.prototype, INSPECT, { value: PallocData.prototype.toString });

function checkRange(i: number, n: number): void {
  integer("i", i, 0, layout.CHUNK_PAGES - 1);
  integer("n", n, 1, layout.CHUNK_PAGES - i);
}

/** A zeroed PallocData in linear memory, which is given back when the place is collected. */
function standalone({ engine, regions }: Instance): DataPlace {
  let at = 0;
  const place = new DataPlace(engine, () => at);
  const region = regions.alloc(layout.DATA_BYTES);
  regions.freeWith(place, region);
  at = region.at;
  engine.memory.u8.fill(0, at, at + layout.DATA_BYTES);
  return place;
}
