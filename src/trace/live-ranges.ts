// What is in use at a moment of a trace, as ranges that do not overlap, in order of address. Readers of logs that are
// not complete look up here what an allocation overlaps, and what a free frees.
//
// The ranges lie in leaves of up to 128, and the leaves in a list. So a search takes two binary searches, and a change
// moves at most a leaf. Memory is that of the ranges, however far apart they are.

/** Most ranges in a leaf. */
const LEAF_RANGES = 128;

/** Ranges that are neighbours, in order. */
class Leaf {
  count = 0;
  /** Of each, where it starts, and its length. Together they move at once. */
  readonly ranges = new Float64Array(2 * LEAF_RANGES);
}

/**
 * Ranges of pages, or of any other unit, that do not overlap. Those that touch stay apart. One of them is the current
 * one, which `seek` finds.
 */
export class LiveRanges {
  /** First page of the current range. Infinity if there is none. */
  start = Infinity;
  /** Pages of the current range. */
  length = 0;
  readonly #leaves: Leaf[] = [new Leaf()];
  /** By leaf, a page that is not below that of any leaf before, and not above any range in it. */
  readonly #lowest: number[] = [0];
  /** Place in the leaves of the current range; where a new range would go, if there is none in this leaf. */
  #leaf = 0;
  #index = 0;

  /** The page after the last range; 0 if there is none. */
  get end(): number {
    const { count, ranges } = this.#leaves[this.#leaves.length - 1];
    return count === 0 ? 0 : ranges[2 * count - 2] + ranges[2 * count - 1];
  }

  /** Makes the first range that ends after `page` the current one. */
  seek(page: number): void {
    const leaf = this.#leafOf(page);
    // A range of the leaf before may reach into this one's.
    const before = leaf > 0 ? this.#leaves[leaf - 1] : undefined;
    if (before && before.ranges[2 * before.count - 2] + before.ranges[2 * before.count - 1] > page) {
      this.#makeCurrent(leaf - 1, before.count - 1);
      return;
    }
    const { count, ranges } = this.#leaves[leaf];
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ranges[2 * middle] <= page) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && ranges[2 * low - 2] + ranges[2 * low - 1] > page) low--;
    this.#makeCurrent(leaf, low);
  }

  /** Adds a range right after `seek(page)`. It must not overlap the current one. There is no current one afterwards. */
  insert(page: number, length: number): void {
    let leaf = this.#leaves[this.#leaf];
    if (leaf.count === LEAF_RANGES) leaf = this.#split();
    const index = this.#index;
    leaf.ranges.copyWithin(2 * index + 2, 2 * index, 2 * leaf.count);
    leaf.ranges[2 * index] = page;
    leaf.ranges[2 * index + 1] = length;
    leaf.count++;
    this.start = Infinity;
  }

  /** Removes the current range, right after `seek`. There is no current one afterwards. */
  remove(): void {
    if (this.#index === this.#leaves[this.#leaf].count) {
      this.#leaf++;
      this.#index = 0;
    }
    const leaf = this.#leaves[this.#leaf];
    leaf.ranges.copyWithin(2 * this.#index, 2 * this.#index + 2, 2 * leaf.count);
    leaf.count--;
    if (leaf.count === 0 && this.#leaves.length > 1) {
      this.#leaves.splice(this.#leaf, 1);
      this.#lowest.splice(this.#leaf, 1);
      this.#lowest[0] = 0;
    }
    this.start = Infinity;
  }

  /** Makes the range at this place the current one, or the first of the next leaf if the place is after the last. */
  #makeCurrent(leaf: number, index: number): void {
    this.#leaf = leaf;
    this.#index = index;
    const { count, ranges } = this.#leaves[leaf];
    if (index < count) {
      this.start = ranges[2 * index];
      this.length = ranges[2 * index + 1];
      return;
    }
    // Leaves are never empty, except for the only one.
    const next = this.#leaves[leaf + 1];
    this.start = next ? next.ranges[0] : Infinity;
    this.length = next ? next.ranges[1] : 0;
  }

  /** Returns the index of the last leaf whose ranges can start at or below the page. */
  #leafOf(page: number): number {
    const lowest = this.#lowest;
    let low = 1;
    let high = lowest.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (lowest[middle] <= page) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Moves the upper half of the current leaf to a new one. Returns the one that the current place is in then. */
  #split(): Leaf {
    const leaf = this.#leaves[this.#leaf];
    const upper = new Leaf();
    // Ranges are often added in order, at the end. Those before need no room then.
    const half = this.#index === LEAF_RANGES ? LEAF_RANGES - 1 : LEAF_RANGES / 2;
    upper.ranges.set(leaf.ranges.subarray(2 * half));
    upper.count = LEAF_RANGES - half;
    leaf.count = half;
    this.#leaves.splice(this.#leaf + 1, 0, upper);
    this.#lowest.splice(this.#leaf + 1, 0, upper.ranges[0]);
    if (this.#index <= half) return leaf;
    this.#leaf++;
    this.#index -= half;
    return upper;
  }
}
