// A set of addresses, kept as ranges in order.
//
// Ranges are in leaves of a few hundred, so that a change moves few of them, however many there are.

/** Addresses in [start, end). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

interface Leaf {
  readonly starts: number[];
  readonly ends: number[];
}

/** Most ranges in a leaf. */
const LEAF_RANGES = 256;

/** Ranges that do not overlap. Neighbours stay apart, unless `cover` merges them. */
export class Ranges {
  /** In order. Only a sole leaf may be empty. */
  readonly #leaves: Leaf[] = [{ starts: [], ends: [] }];
  /** Where the last `#seek` ended: a leaf, and an index in it. */
  #leaf = 0;
  #index = 0;

  /** Returns the lowest range that overlaps [start, end). */
  find(start: number, end: number): Range | undefined {
    this.#seek(start);
    const { starts, ends } = this.#leaves[this.#leaf];
    if (this.#index === starts.length || starts[this.#index] >= end) return undefined;
    return { start: starts[this.#index], end: ends[this.#index] };
  }

  /** Removes and returns the lowest range that overlaps [start, end). */
  take(start: number, end: number): Range | undefined {
    const range = this.find(start, end);
    if (!range) return undefined;
    const { starts, ends } = this.#leaves[this.#leaf];
    starts.splice(this.#index, 1);
    ends.splice(this.#index, 1);
    if (starts.length === 0 && this.#leaves.length > 1) this.#leaves.splice(this.#leaf, 1);
    return range;
  }

  /** Adds a range that overlaps no other. */
  add(start: number, end: number): void {
    this.#seek(start);
    const { starts, ends } = this.#leaves[this.#leaf];
    starts.splice(this.#index, 0, start);
    ends.splice(this.#index, 0, end);
    if (starts.length <= LEAF_RANGES) return;
    const middle = starts.length >>> 1;
    this.#leaves.splice(this.#leaf + 1, 0, { starts: starts.splice(middle), ends: ends.splice(middle) });
  }

  /** Adds what is missing of [start, end), and merges it with the ranges that it overlaps or touches. */
  cover(start: number, end: number): void {
    const found = this.find(start, end);
    if (found && found.start <= start && found.end >= end) return;
    let low = start;
    let high = end;
    for (let range = this.take(start - 1, end + 1); range; range = this.take(start - 1, end + 1)) {
      low = Math.min(low, range.start);
      high = Math.max(high, range.end);
    }
    this.add(low, high);
  }

  /** Returns the parts of [start, end) that are in no range. */
  gaps(start: number, end: number): Range[] {
    const gaps: Range[] = [];
    let at = start;
    for (let range = this.find(at, end); range; range = this.find(at, end)) {
      if (range.start > at) gaps.push({ start: at, end: range.start });
      at = range.end;
      if (at >= end) return gaps;
    }
    gaps.push({ start: at, end });
    return gaps;
  }

  /** Finds the first range that ends after an address, or the place after all. */
  #seek(address: number): void {
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { ends } = this.#leaves[middle];
      if (ends[ends.length - 1] > address) high = middle;
      else low = middle + 1;
    }
    this.#leaf = low;
    const { ends } = this.#leaves[low];
    low = 0;
    high = ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle] > address) high = middle;
      else low = middle + 1;
    }
    this.#index = low;
  }
}
