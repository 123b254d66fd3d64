// Trapped pages of systems whose pages have 2, 4 or 8 pages of the heap. `Groups` counts for larger ones. Here bits and
// a table tell, which takes a third of the time, and it is done for each event.

import { indexOf, PageTable } from "./page-table.ts";

/** Pages of a cell. */
const CELL = 8;
/** Most pages of the heap in a page of a system that is counted here. */
export const SMALL_PAGES = CELL;
const PER_PAGE = 1 / CELL;
const ALL = 0xff;
/** In a cell's number: bits of the pages that are touched. Those of the pages in use are below. */
const TOUCHED_SHIFT = 8;

/** For each byte, how many of its bits are 1. */
const ONES = Uint8Array.from({ length: ALL + 1 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest &= rest - 1) count++;
  return count;
});

/** For each byte, the same with every group of so many bits filled that has a 1. */
function filledBy(pages: number): Uint8Array {
  const group = 2 ** pages - 1;
  return Uint8Array.from({ length: ALL + 1 }, (_, byte) => {
    let filled = 0;
    for (let mask = group; mask <= ALL; mask *= 2 ** pages) if ((byte & mask) !== 0) filled |= mask;
    return filled;
  });
}

/** The trapped pages of several systems. */
export class SmallGroups {
  /** By size: how many pages are trapped. */
  readonly trapped: Int32Array;
  readonly #filled: readonly Uint8Array[];
  /** A number for each cell of 8 pages. */
  readonly #cells = new PageTable(Uint16Array);

  /** @param sizes pages of the heap in a page of each system: 2, 4 or 8 */
  constructor(sizes: readonly number[]) {
    this.trapped = new Int32Array(sizes.length);
    this.#filled = sizes.map(filledBy);
  }

  /** Counts touched pages [start, end) as in use, if `sign` is 1, or as free again, if it is -1. */
  use(start: number, end: number, sign: 1 | -1): void {
    this.#change(start, end, sign, 0);
  }

  /** Counts free pages [start, end) as touched, if `sign` is 1, or as released, if it is -1. */
  touch(start: number, end: number, sign: 1 | -1): void {
    this.#change(start, end, sign, TOUCHED_SHIFT);
  }

  #change(start: number, end: number, sign: 1 | -1, shift: number): void {
    const filled = this.#filled;
    for (let page = start; page < end; ) {
      const cell = Math.floor(page * PER_PAGE);
      const from = (page - cell * CELL) | 0;
      const count = Math.min(CELL - from, end - page);
      const cells = this.#cells.partOf(cell);
      const at = indexOf(cell);
      const before = cells[at];
      const mask = (((1 << count) - 1) << from) << shift;
      const after = sign > 0 ? before | mask : before & ~mask;
      cells[at] = after;
      for (let i = 0; i < filled.length; i++) {
        this.trapped[i] += trappedIn(after, filled[i]) - trappedIn(before, filled[i]);
      }
      page += count;
    }
  }
}

/** Returns how many pages of a cell are touched and free, and in a group that has a page in use. */
function trappedIn(cell: number, filled: Uint8Array): number {
  const inUse = cell & ALL;
  return ONES[(cell >>> TOUCHED_SHIFT) & ~inUse & filled[inUse]];
}
