// The stack of a pickle. Nearly all of its values are wanted by nobody, and a pickle may have all entries of a trace
// there at once. So a value has one byte, its code. Numbers and nodes are kept beside, with their places.

import { KEPT, type Node, TAKEN, TAKEN_CODE, UNWANTED, type Value } from "./node.ts";
import { wordOf } from "./words.ts";

const FIRST_VALUES = 2 ** 12;
const FIRST_MARKS = 2 ** 6;

/** Values and marks. */
export class Stack {
  /** By place, the codes of the values below `top`. What lies at place 0, below all, takes no values. */
  codes: Uint8Array = new Uint8Array(FIRST_VALUES);
  top = 1;
  /** The place above the last mark. */
  mark = 1;
  /** Number of marks. */
  marks = 0;
  /** The place above each mark before the last. */
  #below = new Int32Array(FIRST_MARKS);
  /** The numbers and nodes, in order, and their places. */
  readonly #kept: Value[] = [];
  readonly #places: number[] = [];

  constructor() {
    this.codes[0] = TAKEN_CODE;
  }

  /** Number of numbers and nodes. */
  get kept(): number {
    return this.#kept.length;
  }

  /** Makes room for another value. `codes` is another array then. */
  grow(): void {
    const longer = new Uint8Array(2 * this.codes.length);
    longer.set(this.codes);
    this.codes = longer;
  }

  /** Pushes a value that is not kept. There must be room in `codes`. */
  push(code: number): void {
    this.codes[this.top++] = code;
  }

  /** Pushes a number or a node. There must be room in `codes`. */
  keep(value: Value): void {
    this.#kept.push(value);
    this.#places.push(this.top);
    this.codes[this.top++] = KEPT;
  }

  /** Pushes an integer, unless it goes into a list or dict that nobody wants. */
  integer(value: number | bigint): void {
    if (this.codes[this.mark - 1] === UNWANTED) this.push(UNWANTED);
    else this.keep(value);
  }

  /** Pushes what is on top once more. There must be room in `codes`. */
  pushAgain(): void {
    const code = this.codes[this.top - 1];
    if (code === KEPT) this.keep(this.#kept[this.#kept.length - 1]);
    else this.push(code);
  }

  /** Returns the value at a place. */
  at(place: number): Value {
    const code = this.codes[place];
    return code === KEPT ? this.#kept[this.#keptFrom(place)] : unkept(code);
  }

  /** Puts the keys and values from a place on into a dict. What is no known key is passed over. */
  putPairs(first: number, dict: Node): void {
    const { codes, top } = this;
    let kept = this.#keptFrom(first);
    for (let i = first; i < top; i += 2) {
      const key = codes[i];
      if (key === KEPT) kept++;
      const code = codes[i + 1];
      const value = code === KEPT ? this.#kept[kept++] : unkept(code);
      const word = wordOf(key);
      if (word !== undefined) dict.put(word, value);
    }
  }

  /** Removes the values from a place on. */
  truncate(place: number): void {
    this.top = place;
    const places = this.#places;
    while (places.length > 0 && places[places.length - 1] >= place) {
      places.pop();
      this.#kept.pop();
    }
  }

  /** Replaces the top `count` values by one that nobody wants. */
  replace(count: number): void {
    this.truncate(this.top - count);
    this.push(UNWANTED);
  }

  /** Puts a node at a place, below the values from there on. There must be room in `codes`. */
  insert(place: number, node: Node | undefined): void {
    const from = this.#keptFrom(place);
    for (let i = from; i < this.#places.length; i++) this.#places[i]++;
    this.codes.copyWithin(place + 1, place, this.top++);
    this.codes[place] = node ? KEPT : UNWANTED;
    if (!node) return;
    this.#kept.splice(from, 0, node);
    this.#places.splice(from, 0, place);
  }

  /** Lets TAKEN stand for the node on top. */
  takeTop(): void {
    this.truncate(this.top - 1);
    this.push(TAKEN_CODE);
  }

  pushMark(): void {
    if (this.marks === this.#below.length) {
      const longer = new Int32Array(2 * this.marks);
      longer.set(this.#below);
      this.#below = longer;
    }
    this.#below[this.marks++] = this.mark;
    this.mark = this.top;
  }

  /** Removes the last mark, of which there must be one. Returns the place above it. */
  popMark(): number {
    const place = this.mark;
    this.mark = this.#below[--this.marks];
    return place;
  }

  /** Returns the index of the first kept value that is not below a place. */
  #keptFrom(place: number): number {
    const places = this.#places;
    let low = 0;
    let high = places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (places[middle] < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Returns the value of a code other than KEPT. */
function unkept(code: number): Value {
  return code === TAKEN_CODE ? TAKEN : wordOf(code);
}
