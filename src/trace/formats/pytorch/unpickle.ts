// Reads a pickle of plain data, protocols 2 to 5, as its bytes arrive. No code is ever run: opcodes that import, call
// or ask for something outside the file are refused.
//
// A pickle is a program for a machine with a stack and a memo. Nearly all of a snapshot is stacks of source lines,
// which nobody asked for. So a list or dict becomes a node only if it begins inside a node that wants it; anything else
// is undefined as soon as it is read. What begins after a MARK ends up inside the value below the mark: that tells.

import { PageAllocError } from "../../../base/errors.ts";
import type { ByteReader } from "../../source/byte-reader.ts";
import { Memo } from "./memo.ts";
import type { Node, Value } from "./node.ts";
import * as op from "./opcodes.ts";
import { LONGEST_WORD, wordAt } from "./words.ts";

/** Most bytes of an opcode with its argument, other than lines and long strings. */
const LONGEST = 257;
/** Most bytes of a line of text. Protocols 2 to 5 write no lines. */
const LINE_BYTES = 2 ** 16;
const LINE_FEED = 0x0a;
/** Most values that are open at once. A dict of PyTorch's own pickler has all entries of a trace open. */
const MAX_OPEN = 2 ** 26;
/** Most numbers of the memo for lists that are wanted: one for each device, with room to spare. */
const MAX_NODES = 2 ** 16;

/** Reads one pickle. */
export class Unpickler {
  readonly #reader: ByteReader;
  readonly #root: Node;
  readonly #memo = new Memo();
  /** Values up to `#top`; those above are left over. */
  readonly #stack: Value[] = [];
  #top = 0;
  /** The number of values below each mark. */
  readonly #marks: number[] = [];
  /** The number of values below the last mark. */
  #mark = 0;
  /** Bytes that the window must have for the next opcode. */
  #wanted = LONGEST;
  /** Bytes of a string to pass over. */
  #skipped = 0;
  /** Offset of the current opcode. */
  #byte = 0;
  #isAtStop = false;

  /** @param root the node of the dict that is the whole pickle */
  constructor(reader: ByteReader, root: Node) {
    this.#reader = reader;
    this.#root = root;
  }

  /**
   * Reads up to the end of the pickle, and returns its value: the root, or undefined if the pickle is something else
   * than a dict. Rejects with PageAllocError ERR_TRACE that names the byte.
   */
  async read(): Promise<Value> {
    const reader = this.#reader;
    for (;;) {
      const ended = !(await reader.fill(this.#wanted));
      this.#wanted = LONGEST;
      this.#run(ended);
      if (this.#isAtStop) return this.#stack[this.#top - 1];
      const skipped = this.#skipped;
      this.#skipped = 0;
      if (skipped > 0 && !(await reader.skip(skipped))) {
        this.#byte = reader.offset;
        this.#fail("the file is cut short within a string");
      }
    }
  }

  /** Runs the opcodes that the window has whole. `ended`: there are no bytes after it. */
  #run(ended: boolean): void {
    const reader = this.#reader;
    const { bytes } = reader;
    const end = bytes.length;
    const start = reader.offset - reader.position;
    const stack = this.#stack;
    let at = reader.position;
    while (this.#skipped === 0) {
      this.#byte = start + at;
      if (at + LONGEST > end && !this.#isWhole(bytes, at)) {
        if (ended) this.#fail("the file is cut short: it ends without a STOP");
        break;
      }
      const code = bytes[at++];
      switch (code) {
        case op.BINGET:
          stack[this.#top++] = this.#get(bytes[at++]);
          break;
        case op.LONG_BINGET:
          stack[this.#top++] = this.#get(uint32(bytes, at));
          at += 4;
          break;
        case op.MEMOIZE:
          this.#put(this.#memo.length);
          break;
        case op.BINPUT:
          this.#put(bytes[at++]);
          break;
        case op.LONG_BINPUT:
          this.#put(uint32(bytes, at));
          at += 4;
          break;
        case op.MARK:
          this.#marks.push(this.#mark);
          this.#mark = this.#top;
          if (this.#marks.length > MAX_OPEN) this.#failTooMany();
          break;
        case op.EMPTY_DICT:
          stack[this.#top] = this.#begin(false);
          this.#top++;
          break;
        case op.EMPTY_LIST:
          stack[this.#top] = this.#begin(true);
          this.#top++;
          break;
        case op.SETITEMS: {
          const first = this.#toMark();
          this.#setItems(first, first - 1);
          break;
        }
        case op.APPENDS: {
          const first = this.#toMark();
          this.#append(first, first - 1);
          break;
        }
        case op.SETITEM:
          this.#need(3);
          this.#setItems(this.#top - 2, this.#top - 3);
          break;
        case op.APPEND:
          this.#need(2);
          this.#append(this.#top - 1, this.#top - 2);
          break;
        case op.BININT1:
          stack[this.#top++] = bytes[at++];
          break;
        case op.BININT2:
          stack[this.#top++] = bytes[at] | (bytes[at + 1] << 8);
          at += 2;
          break;
        case op.BININT:
          stack[this.#top++] = uint32(bytes, at) | 0;
          at += 4;
          break;
        case op.LONG1: {
          const length = bytes[at++];
          stack[this.#top++] = signed(bytes, at, length);
          at += length;
          break;
        }
        case op.SHORT_BINUNICODE:
        case op.SHORT_BINSTRING: {
          const length = bytes[at++];
          stack[this.#top++] = wordAt(bytes, at, length);
          at += length;
          break;
        }
        case op.NONE:
        case op.NEWTRUE:
        case op.NEWFALSE:
        case op.EMPTY_SET:
        case op.EMPTY_TUPLE:
          stack[this.#top++] = undefined;
          break;
        case op.BINFLOAT:
          at += 8;
          stack[this.#top++] = undefined;
          break;
        case op.SHORT_BINBYTES:
          at += 1 + bytes[at];
          stack[this.#top++] = undefined;
          break;
        case op.BINUNICODE:
        case op.BINSTRING: {
          const length = uint32(bytes, at);
          at += 4;
          const isWord = length <= LONGEST_WORD && at + length <= end;
          stack[this.#top++] = isWord ? wordAt(bytes, at, length) : undefined;
          at = this.#pass(at, length, end);
          break;
        }
        case op.BINBYTES:
        case op.LONG4:
          stack[this.#top++] = undefined;
          at = this.#pass(at + 4, uint32(bytes, at), end);
          break;
        case op.BINUNICODE8:
        case op.BINBYTES8:
        case op.BYTEARRAY8: {
          const length = uint32(bytes, at + 4) * 2 ** 32 + uint32(bytes, at);
          stack[this.#top++] = undefined;
          at = this.#pass(at + 8, length, end);
          break;
        }
        case op.TUPLE1:
          this.#need(1);
          stack[this.#top - 1] = undefined;
          break;
        case op.TUPLE2:
          this.#need(2);
          stack[--this.#top - 1] = undefined;
          break;
        case op.TUPLE3:
          this.#need(3);
          this.#top -= 2;
          stack[this.#top - 1] = undefined;
          break;
        case op.TUPLE:
        case op.FROZENSET:
          this.#top = this.#toMark();
          stack[this.#top++] = undefined;
          break;
        case op.ADDITEMS:
          this.#top = this.#toMark();
          this.#need(1);
          break;
        case op.LIST:
        case op.DICT:
          this.#fromItems(code === op.LIST);
          break;
        case op.POP:
          // A mark is popped as a value is.
          if (this.#top === this.#mark && this.#marks.length > 0) this.#toMark();
          else {
            this.#need(1);
            this.#top--;
          }
          break;
        case op.POP_MARK:
          this.#top = this.#toMark();
          break;
        case op.DUP:
          this.#need(1);
          stack[this.#top] = stack[this.#top - 1];
          this.#top++;
          break;
        case op.INT:
        case op.LONG:
        case op.FLOAT:
        case op.STRING:
        case op.UNICODE:
        case op.PUT:
        case op.GET: {
          const lineEnd = bytes.indexOf(LINE_FEED, at);
          if ((lineEnd < 0 ? end : lineEnd) - at > LINE_BYTES) {
            this.#fail(`the line is longer than ${LINE_BYTES} bytes; ${DAMAGED}`);
          }
          if (lineEnd < 0) {
            if (ended) this.#fail("the file is cut short within a line");
            reader.position = at - 1;
            // The opcode, the longest line, and a byte that tells a longer one.
            this.#wanted = LINE_BYTES + 2;
            return;
          }
          this.#line(code, bytes, at, lineEnd);
          at = lineEnd + 1;
          break;
        }
        case op.PROTO: {
          const protocol = bytes[at++];
          if (protocol < 2 || protocol > 5)
            this.#fail(`pickle protocol ${protocol}; protocols 2 to 5 can be read`);
          break;
        }
        case op.FRAME:
          at += 8;
          break;
        case op.STOP:
          this.#need(1);
          this.#isAtStop = true;
          reader.position = at;
          return;
        default:
          this.#refuse(code);
      }
      if (this.#top > MAX_OPEN) this.#failTooMany();
    }
    reader.position = at;
  }

  /** Reports whether the window has all of the opcode at `at`, but for a line or a long string. */
  #isWhole(bytes: Uint8Array, at: number): boolean {
    if (at >= bytes.length) return false;
    const code = bytes[at];
    const argument = at + 1 + op.ARGUMENT_BYTES[code];
    if (argument > bytes.length) return false;
    if (code === op.BINUNICODE || code === op.BINSTRING) {
      const length = uint32(bytes, at + 1);
      return length > LONGEST_WORD || argument + length <= bytes.length;
    }
    return op.IS_SHORT[code] === 0 || argument + bytes[at + 1] <= bytes.length;
  }

  /** Passes over `length` bytes at `at`, as far as the window has them. Returns where that ends. */
  #pass(at: number, length: number, end: number): number {
    const passed = Math.min(length, end - at);
    this.#skipped = length - passed;
    return at + passed;
  }

  /** Throws unless there are `count` values above the last mark. */
  #need(count: number): void {
    if (this.#top - this.#mark < count) {
      this.#fail(`the opcode needs ${count} values, and there are ${this.#top - this.#mark}; ${DAMAGED}`);
    }
  }

  /** Removes the last mark, and returns the index of the first value above it. */
  #toMark(): number {
    const below = this.#marks.pop();
    if (below === undefined) this.#fail(`the opcode needs a MARK before it; ${DAMAGED}`);
    const first = this.#mark;
    this.#mark = below;
    return first;
  }

  /** Returns the node for a list or dict that begins here. Undefined if nobody wants it. */
  #begin(isList: boolean): Value {
    const stack = this.#stack;
    const top = this.#top;
    if (top === 0) return isList ? undefined : this.#root;
    const mark = this.#mark;
    const last = top > mark ? stack[top - 1] : undefined;
    const owner = mark > 0 ? stack[mark - 1] : undefined;
    if (typeof last === "object" && last.isList) {
      // Either the only item of that list, or what follows the list in the one around it.
      const child = last.child(isList, undefined, this.#byte);
      if (child) return child;
    }
    if (typeof last === "string") {
      const dict = top - 1 > mark ? stack[top - 2] : undefined;
      // Either the only value of that dict, or one of several values of the dict below the mark.
      const child =
        typeof dict === "object" && !dict.isList ? dict.child(isList, last, this.#byte) : undefined;
      if (child) return child;
    }
    if (typeof owner !== "object") return undefined;
    if (owner.isList) return owner.child(isList, undefined, this.#byte);
    return typeof last === "string" ? owner.child(isList, last, this.#byte) : undefined;
  }

  /** Gives the values from `first` on to the list at index `at`, which is then the top. */
  #append(first: number, at: number): void {
    const list = this.#ownerAt(at);
    if (typeof list === "object" && list.isList) {
      for (let i = first; i < this.#top; i++) list.put(undefined, this.#stack[i]);
    }
    this.#top = first;
  }

  /** Gives the keys and values from `first` on to the dict at index `at`, which is then the top. */
  #setItems(first: number, at: number): void {
    const stack = this.#stack;
    const dict = this.#ownerAt(at);
    if ((this.#top - first) % 2 !== 0) this.#fail(`a key has no value; ${DAMAGED}`);
    if (typeof dict === "object" && !dict.isList) {
      for (let i = first; i < this.#top; i += 2) {
        const key = stack[i];
        if (typeof key === "string") dict.put(key, stack[i + 1]);
      }
      if (dict.end) stack[at] = dict.end();
    }
    this.#top = first;
  }

  /** Returns the list or dict at an index, which must be above the last mark. */
  #ownerAt(at: number): Value {
    if (at < this.#mark) this.#fail(`the opcode needs a list or dict before its items; ${DAMAGED}`);
    return this.#stack[at];
  }

  /** Makes a list or dict of the values above the mark. */
  #fromItems(isList: boolean): void {
    const first = this.#toMark();
    const count = this.#top - first;
    this.#top = first;
    const node = this.#begin(isList);
    this.#top = first + 1 + count;
    // Room for one more, which copyWithin does not make.
    this.#stack[first + count] = undefined;
    this.#stack.copyWithin(first + 1, first, first + count);
    this.#stack[first] = node;
    if (isList) this.#append(first + 1, first);
    else this.#setItems(first + 1, first);
  }

  #get(index: number): Value {
    if (index >= this.#memo.length) this.#fail(`memo ${index} is got before it is put; ${DAMAGED}`);
    return this.#memo.get(index);
  }

  /** Puts the value on top into the memo. */
  #put(index: number): void {
    this.#need(1);
    // Picklers count from 0. So the memo needs no more room than there are opcodes.
    if (index > this.#memo.length) {
      this.#fail(`memo ${index} is put, and only ${this.#memo.length} are in use; ${DAMAGED}`);
    }
    this.#memo.put(index, this.#stack[this.#top - 1]);
    if (this.#memo.nodes > MAX_NODES) {
      this.#fail(`more than ${MAX_NODES} memos are put for lists of events; ${DAMAGED}`);
    }
  }

  /** Runs an opcode whose argument is the line at [start, end). */
  #line(code: number, bytes: Uint8Array, start: number, end: number): void {
    if (code === op.STRING || code === op.UNICODE) {
      const quote = code === op.STRING ? 1 : 0;
      this.#stack[this.#top++] = wordAt(bytes, start + quote, Math.max(0, end - start - 2 * quote));
      return;
    }
    if (code === op.FLOAT) {
      this.#stack[this.#top++] = undefined;
      return;
    }
    const text = asciiAt(bytes, start, end);
    const digits = code === op.LONG ? text.replace(/L$/, "") : text;
    if (!/^-?\d{1,255}$/.test(digits)) this.#fail(`"${text}" is no integer; ${DAMAGED}`);
    if (code === op.PUT) this.#put(Number(digits));
    else if (code === op.GET) this.#stack[this.#top++] = this.#get(Number(digits));
    // "00" and "01" are False and True.
    else this.#stack[this.#top++] = code === op.INT && /^0\d/.test(text) ? undefined : exact(BigInt(digits));
  }

  #refuse(code: number): never {
    const name = op.REFUSED.get(code);
    const hex = `0x${code.toString(16).padStart(2, "0")}`;
    if (name === undefined) this.#fail(`${hex} is no opcode of a pickle; ${DAMAGED}`);
    this.#fail(
      `the pickle opcode ${name} (${hex}) is refused, because it imports, calls or fetches something, and no code is ` +
        "ever run; a memory snapshot is data alone: read one that torch.cuda.memory._dump_snapshot wrote",
    );
  }

  #failTooMany(): never {
    this.#fail(`more than ${MAX_OPEN} values or marks are open at once; ${DAMAGED}`);
  }

  #fail(reason: string): never {
    throw new PageAllocError("ERR_TRACE", `byte ${this.#byte}: ${reason}`);
  }
}

const DAMAGED = "the file is damaged, or no pickle";

function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Returns the integer of `length` bytes, little-endian, in two's complement. */
function signed(bytes: Uint8Array, at: number, length: number): number | bigint {
  if (length === 0) return 0;
  const isNegative = bytes[at + length - 1] >= 0x80;
  if (length < 7 || (length === 7 && !isNegative && bytes[at + 6] < 0x20)) {
    let value = isNegative ? -(2 ** (8 * length)) : 0;
    for (let i = length - 1, unit = 2 ** (8 * i); i >= 0; i--, unit /= 256) value += bytes[at + i] * unit;
    return value;
  }
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]);
  return exact(BigInt.asIntN(8 * length, value));
}

/** Returns an integer as a number, if that is exact. */
function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function asciiAt(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, Math.min(end, start + 300))).trimEnd();
}
