// Which allocation each page of the trace belongs to.
//
// A table has one number per recorded page. Addresses are sparse, so pages get *cells*: the chunks that the trace
// touches are numbered as they come, and a page's cell is its chunk's number times 512, plus its index in the chunk. A
// run of pages is one run of cells per chunk.

import { CHUNK_PAGES } from "../../engine/layout.ts";
import { longer } from "./tables.ts";

/** Most chunks that a trace may touch: 2^27 pages, whose cells take 512 MiB of memory. */
const CHUNKS_MAX = 2 ** 18;
/** Chunks whose numbers are in an array, and how many of them lie below the first chunk that was touched. */
const NEAR_CHUNKS = 2 ** 16;
const NEAR_BELOW = 2 ** 12;

/** Cells at first: those of 64 chunks. */
const FIRST_CELLS = 2 ** 15;

/** Most pages that a trace may touch. */
export const PAGES_MAX = CHUNKS_MAX * CHUNK_PAGES;

/** A number for each recorded page, 0 at first. */
export class RecordedPages {
  /** The numbers, by cell. Valid until `touch` is called. */
  cells = new Int32Array(0);
  /** Number of chunks so far. */
  #count = 0;
  /** By chunk, counted from #low: its number plus 1; 0 if it was not touched. */
  #near = new Uint32Array(0);
  #low = 0;
  /** The same for chunks elsewhere. */
  readonly #far = new Map<number, number>();

  /** Returns the first cell of a chunk; -1 if the trace has not touched it. */
  cellOf(chunk: number): number {
    const near = chunk - this.#low;
    const number = near >= 0 && near < this.#near.length ? this.#near[near] : (this.#far.get(chunk) ?? 0);
    return number === 0 ? -1 : (number - 1) * CHUNK_PAGES;
  }

  /**
   * Returns the first cell of a chunk, which is touched now; -1 if the trace touches too many. Throws PageAllocError
   * ERR_TRACE when memory is full.
   */
  touch(chunk: number): number {
    const known = this.cellOf(chunk);
    if (known >= 0) return known;
    if (this.#count === CHUNKS_MAX) return -1;
    if (this.#count === 0) this.#makeTables(chunk);
    const cell = this.#count * CHUNK_PAGES;
    if (cell === this.cells.length) this.cells = longer(this.cells);
    const number = ++this.#count;
    const near = chunk - this.#low;
    if (near >= 0 && near < NEAR_CHUNKS) this.#near[near] = number;
    else this.#far.set(chunk, number);
    return cell;
  }

  /** Makes the tables at the first chunk, since many replays need none. */
  #makeTables(chunk: number): void {
    this.cells = new Int32Array(FIRST_CELLS);
    this.#near = new Uint32Array(NEAR_CHUNKS);
    this.#low = chunk - NEAR_BELOW;
  }
}
