// The allocations that a trace has in use: where it recorded them, and where the heap has placed them.

import { longer } from "./tables.ts";

/** Allocations that there is room for at first. */
const ROOM = 2 ** 12;

/** Allocations by their number, 1 and up. Numbers of ended ones are used again. */
export class Allocations {
  /** Number of the first recorded page. */
  first = new Float64Array(ROOM);
  /** Number of the heap's first page. Negative until it is known: the index of the operation, bitwise inverted. */
  placed = new Float64Array(ROOM);
  /** Recorded pages still in use. Of an ended allocation: the number that ended before it. */
  left = new Int32Array(ROOM);
  /** Pages of the heap that it has. Set only if they are larger than the recorded ones. */
  npages = new Float64Array(ROOM);
  #count = 1;
  /** The number that ended last, 0 if none. */
  #ended = 0;

  /** Returns the number of a new allocation. The caller sets its columns. Throws PageAllocError ERR_TRACE. */
  begin(): number {
    const ended = this.#ended;
    if (ended > 0) {
      this.#ended = this.left[ended];
      return ended;
    }
    if (this.#count === this.first.length) {
      this.first = longer(this.first);
      this.placed = longer(this.placed);
      this.left = longer(this.left);
      this.npages = longer(this.npages);
    }
    return this.#count++;
  }

  /** Ends an allocation, of which no page is in use. Its other columns stay until its number is used again. */
  end(number: number): void {
    this.left[number] = this.#ended;
    this.#ended = number;
  }
}
