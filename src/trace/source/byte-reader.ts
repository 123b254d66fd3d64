// Reads blocks as one sequence of bytes, for formats whose parts do not end where blocks do.

import type { Blocks } from "./source.ts";

/** A window onto a sequence of bytes. Its reader takes bytes from the window, and asks for more. */
export class ByteReader {
  /** The window's bytes. They are valid until the next `fill`. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Index in `bytes` of the next byte to take. The reader of the bytes moves it. */
  position = 0;
  readonly #blocks: Blocks;
  /** Offset of `bytes[0]` in the sequence. */
  #start = 0;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /** Offset of the next byte in the sequence. */
  get offset(): number {
    return this.#start + this.position;
  }

  /** Number of bytes in the window that were not taken. */
  get left(): number {
    return this.bytes.length - this.position;
  }

  /**
   * Makes the window hold `count` bytes that were not taken; fewer only if the sequence ends. Returns whether there are
   * that many. Costs a copy of the bytes, unless they are there already. Do not ask for more than there should be: the
   * window takes that much memory.
   */
  async fill(count: number): Promise<boolean> {
    if (this.left >= count) return true;
    const parts: Uint8Array[] = [this.bytes.slice(this.position)];
    this.#start += this.position;
    this.position = 0;
    let length = parts[0].length;
    while (length < count) {
      const block = await this.#blocks.next();
      if (!block) break;
      length += block.length;
      // The source may reuse the block's bytes.
      parts.push(length < count ? block.slice() : block);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    this.bytes = bytes;
    return length >= count;
  }

  /** Passes over `count` bytes, in the window or beyond. Returns whether there were that many. */
  async skip(count: number): Promise<boolean> {
    let left = count;
    while (left > this.left) {
      left -= this.left;
      this.position = this.bytes.length;
      if (!(await this.fill(1))) return false;
    }
    this.position += left;
    return true;
  }
}
