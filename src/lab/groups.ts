// Counts over groups of pages: the pages of a system whose pages are larger than the heap's.

import { PART_PAGES, PageTable } from "./page-table.ts";

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
  /** Releases that have left a group, which was whole, in parts. */
  broken = 0;
  /** How often a group got its first touched page: ever, and again. */
  firstFaults = 0;
  refaults = 0;
  readonly pages: number;
  readonly #perPage: number;
  readonly #table = new PageTable(Uint32Array);

  constructor(pages: number) {
    this.pages = pages;
    this.#perPage = 1 / pages;
  }

  /** Counts touched pages [start, end) as in use, if `sign` is 1, or as free again, if it is -1. */
  use(start: number, end: number, sign: 1 | -1): void {
    for (let page = start; page < end; ) {
      const group = Math.floor(page * this.#perPage);
      const stop = Math.min(end, (group + 1) * this.pages);
      this.#change(group, sign * (stop - page), 0);
      page = stop;
    }
  }

  /** Counts free pages [start, end) as touched, if `sign` is 1, or as released, if it is -1. */
  touch(start: number, end: number, sign: 1 | -1): void {
    for (let page = start; page < end; ) {
      const group = Math.floor(page * this.#perPage);
      const stop = Math.min(end, (group + 1) * this.pages);
      this.#change(group, 0, sign * (stop - page));
      page = stop;
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

  #change(group: number, used: number, touched: number): void {
    const first = group * NUMBERS;
    const numbers = this.#table.partOf(first);
    const at = first % PART_PAGES;
    const usedBefore = numbers[at];
    const touchedBefore = numbers[at + TOUCHED];
    const usedAfter = usedBefore + used;
    const touchedAfter = touchedBefore + touched;
    numbers[at] = usedAfter;
    numbers[at + TOUCHED] = touchedAfter;
    if (usedBefore > 0) {
      this.trapped -= touchedBefore - usedBefore;
      if (touchedBefore === this.pages) this.whole--;
    }
    if (usedAfter > 0) {
      this.trapped += touchedAfter - usedAfter;
      if (touchedAfter === this.pages) this.whole++;
      else if (touched < 0 && touchedBefore === this.pages) this.broken++;
    }
    if (touchedBefore === 0 && touchedAfter > 0) {
      this.touched++;
      if (numbers[at + EVER] === 0) this.firstFaults++;
      else this.refaults++;
      numbers[at + EVER] = 1;
    } else if (touchedAfter === 0 && touchedBefore > 0) {
      this.touched--;
    }
  }
}
