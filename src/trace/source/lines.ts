// Reads blocks as lines of text. A line stays where it is, and its reader parses the bytes in place: a string for each
// line would cost more than all else.

import { PageAllocError } from "../../base/errors.ts";
import type { Blocks } from "./source.ts";

/** Most bytes of a line. A file without line ends must not fill memory. */
export const LONGEST_LINE = 2 ** 16;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
/** Arguments that fit on every stack. */
const ARGUMENTS = 2 ** 10;
/** Most characters of a line to show in a message. */
const SHOWN = 80;

/**
 * The lines of a text, one after the other. `more` waits for a window of bytes, and `next` goes through its lines:
 *
 *     while (await lines.more()) while (lines.next()) parse(lines);
 */
export class Lines {
  /** Bytes that hold the current line. They are valid until the next `next` or `more`. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Index in `bytes` of the next byte of the line. The reader of the line moves it. */
  position = 0;
  /** Index in `bytes` after the line. Its line end, \n or \r\n, is not part of it. */
  end = 0;
  readonly #blocks: Blocks;
  /** Offset of `bytes[0]` in the text. */
  #start = 0;
  /** Index in `bytes` of the current line, and of the one after it. */
  #line = 0;
  #next = 0;
  /** Whether the text ends with the window. */
  #isLast = false;
  /** The start of a line that goes on in the next block. It grows up to the longest line. */
  #carry = new Uint8Array(2 ** 8);
  #carried = 0;
  /** What is left of the block that ended the carried line. */
  #rest: Uint8Array | undefined;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /** Offset of the next byte of the line in the text. */
  get offset(): number {
    return this.#start + this.position;
  }

  /** Offset of the current line in the text. */
  get lineOffset(): number {
    return this.#start + this.#line;
  }

  /** Whether the current line is the last and has no line end, so that it may have been cut short. */
  get unfinished(): boolean {
    return this.#isLast && this.#next > this.bytes.length;
  }

  /** Waits for more lines, once `next` has returned false. Returns whether the text goes on. */
  async more(): Promise<boolean> {
    if (this.#isLast) return false;
    this.#keep(this.bytes.subarray(this.#next));
    for (;;) {
      const block = this.#rest ?? (await this.#blocks.next());
      this.#rest = undefined;
      if (!block) {
        this.#isLast = true;
        this.#show(this.#takeCarried());
        return true;
      }
      if (this.#carried === 0) {
        this.#show(block);
        return true;
      }
      const count = block.indexOf(LINE_FEED) + 1;
      this.#keep(count > 0 ? block.subarray(0, count) : block);
      if (count > 0) {
        this.#rest = block.subarray(count);
        this.#show(this.#takeCarried());
        return true;
      }
    }
  }

  /** Goes to the next line of the window. Returns whether there is one. */
  next(): boolean {
    const { bytes } = this;
    const start = this.#next;
    let end = bytes.indexOf(LINE_FEED, start);
    if (end < 0) {
      end = bytes.length;
      if (!this.#isLast || start >= end) return false;
    }
    this.#line = start;
    this.#next = end + 1;
    if (end - start > LONGEST_LINE) this.#tooLong();
    this.position = start;
    this.end = end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
    if (this.lineOffset === 0 && BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte)) this.position = 3;
    return true;
  }

  /** Returns the rest of the line as text, up to `end`. Each byte is a character, also where the text is UTF-8. */
  text(end = this.end): string {
    return latin1(this.bytes.subarray(this.position, end));
  }

  /** Returns the error for the next byte of the line. `expected` says what should be there. */
  error(expected: string): PageAllocError {
    const line = latin1(this.bytes.subarray(this.#line, Math.min(this.end, this.#line + SHOWN)));
    const shown = JSON.stringify(this.end - this.#line > SHOWN ? `${line}…` : line);
    const where = this.position < this.end ? "" : ", but the line ends here";
    return new PageAllocError("ERR_TRACE", `byte ${this.offset}: expected ${expected}${where}, in ${shown}`);
  }

  /** Keeps the start of a line until the rest arrives. */
  #keep(bytes: Uint8Array): void {
    const length = this.#carried + bytes.length;
    // The longest line, and its line end.
    if (length > LONGEST_LINE + 2) {
      this.#start += this.#next - this.#carried;
      this.#line = 0;
      this.#tooLong();
    }
    if (length > this.#carry.length) {
      const longer = new Uint8Array(Math.min(2 * length, LONGEST_LINE + 2));
      longer.set(this.#carry.subarray(0, this.#carried));
      this.#carry = longer;
    }
    this.#carry.set(bytes, this.#carried);
    this.#carried = length;
  }

  #takeCarried(): Uint8Array {
    const line = this.#carry.subarray(0, this.#carried);
    this.#carried = 0;
    return line;
  }

  /** Makes these bytes the window. They follow those before. */
  #show(bytes: Uint8Array): void {
    this.#start += Math.min(this.#next, this.bytes.length);
    this.bytes = bytes;
    this.#next = 0;
  }

  #tooLong(): never {
    const reason = `a line of more than ${LONGEST_LINE} bytes; this is no text of the format, or it is damaged`;
    throw new PageAllocError("ERR_TRACE", `byte ${this.lineOffset}: ${reason}`);
  }
}

/** Returns bytes as text, each as a character. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += ARGUMENTS) {
    // Spread would go through the iterator, which takes several times as long.
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + ARGUMENTS) as unknown as number[]);
  }
  return text;
}
