// Which chunks are worth scavenging: Go 1.21 and later (mgcscavenge.go, scavengeIndex). The background scavenger leaves
// alone a chunk that is nearly full, and was when the last cycle of the collector ended.

import { CHUNK_PAGES } from "../../engine/layout.ts";
import type { Instance } from "../../store/regions.ts";
import { ChunkTable, GROUP } from "./chunk-table.ts";
import { Cursor } from "./cursor.ts";

/** Words of a chunk: its pages, then the generation in which they last changed. */
const WORDS = 2;
/** In the first word: pages in use, those in use when the generation before ended, and whether any may be free. */
const PAGES_MASK = 0x3ff;
const LAST_SHIFT = 16;
const HAS_FREE = 1 << 26;
/** A chunk with so many pages in use is dense: 0.96875 of it. */
const DENSE_PAGES = 496;

/** What is known of a chunk. */
export interface ChunkDensity {
  readonly inUse: number;
  readonly lastInUse: number;
  readonly gen: number;
  readonly hasFree: boolean;
}

/** The index. Pages and chunks are numbers; a chunk must have been grown. */
export class DensityIndex {
  /** Cursors of the background scavenger, and of those that must have memory. */
  readonly background = new Cursor();
  readonly forced = new Cursor();
  /** The highest page freed in this generation; -1 for none. */
  freeHWM = -1;
  gen = 0;
  readonly #table: ChunkTable;
  /** The lowest chunk that was grown. */
  #lowest = Infinity;

  constructor(instance: Instance) {
    this.#table = new ChunkTable(instance, GROUP * WORDS * 4);
  }

  /** Learns of new chunks [first, end). */
  grow(first: number, end: number): void {
    this.#table.cover(first, end);
    this.#lowest = Math.min(this.#lowest, first);
  }

  /** Counts pages of a chunk, or of some in a row, as in use. */
  alloc(page: number, npages: number): void {
    this.#eachPart(page, npages, this.#take);
  }

  /** Counts them as free. */
  free(page: number, npages: number): void {
    this.#eachPart(page, npages, this.#drop);
  }

  /** Begins a generation: the collector has finished marking. */
  nextGen(): void {
    this.gen = (this.gen + 1) | 0;
    if (this.freeHWM > this.background.page) this.background.raise(this.freeHWM);
    this.freeHWM = -1;
  }

  /** Returns the page from which to look down in its chunk, the highest that is worth it; -1 if there is none. */
  find(force: boolean): number {
    const cursor = force ? this.forced : this.background;
    if (cursor.page < 0) return -1;
    const start = Math.floor(cursor.page / CHUNK_PAGES);
    const { i32 } = this.#table.memory;
    let word = this.#wordOf(start);
    for (let chunk = start; chunk >= this.#lowest; chunk--, word -= WORDS) {
      if (!this.#isEligible(i32[word], i32[word + 1], force)) continue;
      if (chunk === start) return cursor.page;
      const last = chunk * CHUNK_PAGES + CHUNK_PAGES - 1;
      cursor.moveTo(last);
      return last;
    }
    cursor.clear();
    return -1;
  }

  /** Frees its memory, after its last use. */
  dispose(): void {
    this.#table.dispose();
  }

  /** Notes that a chunk has nothing to scavenge until some of it is freed. */
  setEmpty(chunk: number): void {
    this.#table.memory.i32[this.#wordOf(chunk)] &= ~HAS_FREE;
  }

  /** Returns what is known of a chunk. */
  chunk(chunk: number): ChunkDensity {
    const { i32 } = this.#table.memory;
    const word = this.#wordOf(chunk);
    const pages = i32[word];
    return {
      inUse: pages & PAGES_MASK,
      lastInUse: (pages >>> LAST_SHIFT) & PAGES_MASK,
      gen: i32[word + 1] >>> 0,
      hasFree: (pages & HAS_FREE) !== 0,
    };
  }

  #isEligible(pages: number, gen: number, force: boolean): boolean {
    if ((pages & HAS_FREE) === 0) return false;
    if (force) return true;
    if ((pages & PAGES_MASK) >= DENSE_PAGES) return false;
    return gen !== this.gen || ((pages >>> LAST_SHIFT) & PAGES_MASK) < DENSE_PAGES;
  }

  /** Calls `change` for the part of a run in each chunk, lowest first. */
  #eachPart(
    page: number,
    npages: number,
    change: (chunk: number, index: number, count: number) => void,
  ): void {
    let chunk = Math.floor(page / CHUNK_PAGES);
    let index = page - chunk * CHUNK_PAGES;
    for (let left = npages; left > 0; chunk++, index = 0) {
      const count = Math.min(left, CHUNK_PAGES - index);
      change.call(this, chunk, index, count);
      left -= count;
    }
  }

  #take(chunk: number, _index: number, count: number): void {
    const { i32 } = this.#table.memory;
    const word = this.#current(chunk);
    i32[word] += count;
    if ((i32[word] & PAGES_MASK) === CHUNK_PAGES) i32[word] &= ~HAS_FREE;
  }

  #drop(chunk: number, index: number, count: number): void {
    const { i32 } = this.#table.memory;
    const word = this.#current(chunk);
    i32[word] = (i32[word] - count) | HAS_FREE;
    const last = chunk * CHUNK_PAGES + index + count - 1;
    if (last > this.freeHWM) this.freeHWM = last;
    if (last > this.forced.page) this.forced.raise(last);
  }

  /** Returns the words of a chunk, brought into this generation. */
  #current(chunk: number): number {
    const { i32 } = this.#table.memory;
    const word = this.#wordOf(chunk);
    if (i32[word + 1] !== this.gen) {
      const pages = i32[word];
      const inUse = pages & PAGES_MASK;
      i32[word] = (pages & HAS_FREE) | (inUse << LAST_SHIFT) | inUse;
      i32[word + 1] = this.gen;
    }
    return word;
  }

  #wordOf(chunk: number): number {
    const table = this.#table;
    return (table.at >>> 2) + (chunk - table.first) * WORDS;
  }
}
