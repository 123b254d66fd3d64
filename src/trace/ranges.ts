// A set of addresses, kept as ranges.

import { LiveRanges } from "./live-ranges.ts";

/** Addresses in [start, end). */
export type Range = readonly [start: number, end: number];

/** A set of addresses, which are integers. Parts that touch are one range. */
export class Ranges {
  readonly #ranges = new LiveRanges();

  /** The address after the last of the set; 0 if it is empty. */
  get end(): number {
    return this.#ranges.end;
  }

  /** Returns whether one of [start, end) is in the set. */
  overlaps(start: number, end: number): boolean {
    this.#ranges.seek(start);
    return this.#ranges.start < end;
  }

  /** Returns the parts of [start, end) that are not in the set. */
  missing(start: number, end: number): Range[] {
    const ranges = this.#ranges;
    const missing: Range[] = [];
    let at = start;
    while (at < end) {
      ranges.seek(at);
      if (ranges.start > at) missing.push([at, Math.min(ranges.start, end)]);
      at = ranges.start + ranges.length;
    }
    return missing;
  }

  /** Returns the parts of [start, end) that are in the set. */
  parts(start: number, end: number): Range[] {
    const ranges = this.#ranges;
    const parts: Range[] = [];
    for (ranges.seek(start); ranges.start < end; ranges.seek(ranges.start + ranges.length)) {
      parts.push([Math.max(ranges.start, start), Math.min(ranges.start + ranges.length, end)]);
    }
    return parts;
  }

  /** Adds [start, end). */
  add(start: number, end: number): void {
    const ranges = this.#ranges;
    ranges.seek(start);
    if (ranges.start <= start && ranges.start + ranges.length >= end) return;
    let low = start;
    let high = end;
    // Those that touch it, too.
    for (ranges.seek(start - 1); ranges.start <= end; ranges.seek(start - 1)) {
      low = Math.min(low, ranges.start);
      high = Math.max(high, ranges.start + ranges.length);
      ranges.remove();
    }
    this.#insert(low, high);
  }

  /** Removes [start, end). Returns the parts of it that were in the set. */
  remove(start: number, end: number): Range[] {
    const ranges = this.#ranges;
    const removed: Range[] = [];
    for (ranges.seek(start); ranges.start < end; ranges.seek(start)) {
      const low = ranges.start;
      const high = low + ranges.length;
      ranges.remove();
      if (low < start) this.#insert(low, start);
      if (high > end) this.#insert(end, high);
      removed.push([Math.max(low, start), Math.min(high, end)]);
    }
    return removed;
  }

  #insert(start: number, end: number): void {
    this.#ranges.seek(start);
    this.#ranges.insert(start, end - start);
  }
}
