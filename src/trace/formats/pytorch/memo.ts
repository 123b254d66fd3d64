// The memo of a pickle: values that later opcodes get again, by their number. A snapshot memoises every frame of every
// stack, so the memo has one byte per value.

import type { Node, Value } from "./node.ts";
import { codeOf, wordOf } from "./words.ts";

const PAGE_BITS = 16;
/** The code of a node, which is in a map. */
const NODE = 255;

/** Values by number. It knows words and lists again. All else is undefined when it is got. */
export class Memo {
  /** Number of values that were put. */
  length = 0;
  /** The code of each value: 0, that of a word, or NODE. */
  readonly #pages: Uint8Array[] = [];
  readonly #nodes = new Map<number, Node>();

  /** Number of values that are nodes. */
  get nodes(): number {
    return this.#nodes.size;
  }

  /** Returns a value. `index` must be below the length. */
  get(index: number): Value {
    const code = this.#pages[index >>> PAGE_BITS][index & (2 ** PAGE_BITS - 1)];
    return code === NODE ? this.#nodes.get(index) : wordOf(code);
  }

  /** Puts a value at an index that is at most the length. */
  put(index: number, value: Value): void {
    const code = this.#codeOf(value);
    if (index === this.length) {
      if ((index & (2 ** PAGE_BITS - 1)) === 0) this.#pages.push(new Uint8Array(2 ** PAGE_BITS));
      this.length++;
    } else if (code !== NODE) this.#nodes.delete(index);
    this.#pages[index >>> PAGE_BITS][index & (2 ** PAGE_BITS - 1)] = code;
    if (code === NODE) this.#nodes.set(index, value as Node);
  }

  #codeOf(value: Value): number {
    if (typeof value === "string") return codeOf(value);
    return typeof value === "object" && value.isShared ? NODE : 0;
  }
}
