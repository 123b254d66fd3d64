// Counts over groups of pages: the pages of a system whose pages are larger than the heap's.

import { indexOf, PART_PAGES, PageTable } from "./page-table.ts";

/** Numbers of a group: pages in use, pages touched, and whether one ever was. The fourth is unused. */
const NUMBERS = 4;
const TOUCHED = 1;
const EVER = 2;

/**
 * Groups of so many pages, a power of two, and what is in them. A page in use, or free and not released, is touched.
 */
export class Groups {
  /** Pages that are free and touched, in groups that have a page in use. */
  trapped = 0;
  /** Groups that have a page in use, and all pages of which are touched. */
  whole = 0;
  /** Groups that have a touched page. */
  touched = 0;
  /** How often a group got its first touched page: ever, and again. */
  firstFaults = 0;
  refaults = 0;
  readonly pages: number;
  readonly #perPage: number;
  readonly #table = new PageTable(Int32Array);

  constructor(pages: number) {
    this.pages = pages;
    this.#perPage = 1 / pages;
  }

  /** Counts touched pages [start, end) as in use, if `sign` is 1, or as free again, if it is -1. */
  use(start: number, end: number, sign: 1 | -1): void {
    const { pages } = this;
    for (let page = start; page < end; ) {
      const group = Math.floor(page * this.#perPage);
      const stop = Math.min(end, (group + 1) * pages);
      const numbers = this.#table.partOf(group * NUMBERS);
      const at = indexOf(group * NUMBERS);
      const before = numbers[at];
      const after = before + sign * (stop - page);
      numbers[at] = after;
      page = stop;
      // In most cases the group has pages in use before and after.
      if (before > 0 && after > 0) {
        this.trapped += before - after;
        continue;
      }
      const touched = numbers[at + TOUCHED];
      this.trapped += before > 0 ? before - touched : touched - after;
      if (touched === pages) this.whole += sign;
    }
  }

  /** Counts free pages [start, end) as touched, if `sign` is 1, or as released, if it is -1. */
  touch(start: number, end: number, sign: 1 | -1): void {
    const { pages } = this;
    for (let page = start; page < end; ) {
      const group = Math.floor(page * this.#perPage);
      const stop = Math.min(end, (group + 1) * pages);
      const numbers = this.#table.partOf(group * NUMBERS);
      const at = indexOf(group * NUMBERS);
      const before = numbers[at + TOUCHED];
      const after = before + sign * (stop - page);
      numbers[at + TOUCHED] = after;
      page = stop;
      if (numbers[at] > 0) {
        this.trapped += after - before;
        if (after === pages) this.whole++;
        else if (before === pages) this.whole--;
      }
      if (before === 0) {
        this.touched++;
        if (numbers[at + EVER] === 0) this.firstFaults++;
        else this.refaults++;
        numbers[at + EVER] = 1;
      } else if (after === 0) {
        this.touched--;
      }
    }
  }

  /** Takes the groups that lie wholly in [start, end), none of which is touched, for never touched. */
  forget(start: number, end: number): void {
    const stop = Math.floor(end * this.#perPage);
    for (let group = Math.ceil(start * this.#perPage); group < stop; group++) {
      this.#table.partOf(group * NUMBERS)[indexOf(group * NUMBERS) + EVER] = 0;
    }
  }

  /** Returns the pages in use, and those that are touched, of each group that has a touched page, lowest first. */
  *counts(): IterableIterator<{ group: number; inUse: number; touched: number }> {
    for (const [first, numbers] of this.#table.parts()) {
      for (let at = 0; at < PART_PAGES; at += NUMBERS) {
        const touched = numbers[at + TOUCHED];
        if (touched > 0) yield { group: (first + at) / NUMBERS, inUse: numbers[at], touched };
      }
    }
  }
}
