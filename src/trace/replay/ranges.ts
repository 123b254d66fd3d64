// Which addresses of the heap are mapped, as ranges. The driver asks before it takes pages at their recorded place.

/** A set of addresses, as ascending ranges that do not touch. */
export class Ranges {
  /** By range: its first address, and the one after its last. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** The address after the last range; 0 if there is none. */
  get end(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Adds the addresses [start, end), of which none is in the set. */
  add(start: number, end: number): void {
    const next = this.#firstEndingAfter(start);
    const touchesPrevious = next > 0 && this.#ends[next - 1] === start;
    const touchesNext = this.#starts[next] === end;
    if (touchesPrevious && touchesNext) {
      this.#ends.splice(next - 1, 1);
      this.#starts.splice(next, 1);
    } else if (touchesPrevious) {
      this.#ends[next - 1] = end;
    } else if (touchesNext) {
      this.#starts[next] = start;
    } else {
      this.#starts.splice(next, 0, start);
      this.#ends.splice(next, 0, end);
    }
  }

  /** Removes the addresses [start, end), which are all in the set. */
  remove(start: number, end: number): void {
    const at = this.#firstEndingAfter(start);
    const before = this.#starts[at] < start ? [[this.#starts[at], start]] : [];
    const after = end < this.#ends[at] ? [[end, this.#ends[at]]] : [];
    const left = [...before, ...after];
    this.#starts.splice(at, 1, ...left.map(([first]) => first));
    this.#ends.splice(at, 1, ...left.map(([, last]) => last));
  }

  /** Returns the ranges of [start, end) that are not in the set. */
  missing(start: number, end: number): Array<readonly [start: number, end: number]> {
    const gaps: Array<readonly [number, number]> = [];
    let from = start;
    for (let i = this.#firstEndingAfter(start); from < end; i++) {
      const gapEnd = Math.min(this.#starts[i] ?? end, end);
      if (from < gapEnd) gaps.push([from, gapEnd]);
      from = this.#ends[i] ?? end;
    }
    return gaps;
  }

  /** Returns the index of the first range that ends after an address. */
  #firstEndingAfter(address: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle] > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
