// The memo of a pickle: values that later opcodes get again, by their number. A snapshot memoises every frame of every
// stack, so the memo has one byte per value.

import type { Node } from "./node.ts";

const FIRST_VALUES = 2 ** 12;

/** Codes of values, by number. It has the nodes, too. */
export class Memo {
  /** Number of values that were put. */
  length = 0;
  /** The code of each value; KEPT for a node. */
  codes: Uint8Array = new Uint8Array(FIRST_VALUES);
  readonly #nodes = new Map<number, Node>();

  /** Number of values that are nodes. */
  get nodes(): number {
    return this.#nodes.size;
  }

  /** Returns the node at an index whose code is KEPT. */
  nodeAt(index: number): Node {
    return this.#nodes.get(index) as Node;
  }

  /**
   * Puts a value at an index that is at most the length. `node` is what KEPT stands for.
   *
   * Throws RangeError when memory is full.
   */
  put(index: number, code: number, node?: Node): void {
    if (index === this.codes.length) {
      const longer = new Uint8Array(2 * index);
      longer.set(this.codes);
      this.codes = longer;
    }
    if (index === this.length) this.length++;
    else if (this.#nodes.size > 0) this.#nodes.delete(index);
    this.codes[index] = code;
    if (node) this.#nodes.set(index, node);
  }
}
