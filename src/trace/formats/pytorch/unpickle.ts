// Reads a pickle of plain data, protocols 2 to 5, as its bytes arrive. No code is ever run: opcodes that import, call
// or ask for something outside the file are refused.
//
// A pickle is a program for a machine with a stack and a memo. Nearly all of a snapshot is stacks of source lines,
// which nobody asked for. So a list or dict becomes a node only if it begins inside a node that wants it. Of anything
// else nothing is kept but that there is a value. What begins after a MARK ends up inside the value below the mark:
// that tells which it is.

import { PageAllocError } from "../../../base/errors.ts";
import { memoryError } from "../../memory-error.ts";
import type { ByteReader } from "../../source/byte-reader.ts";
import { Memo } from "./memo.ts";
import { KEPT, type Node, TAKEN_CODE, UNWANTED, type Value } from "./node.ts";
import * as op from "./opcodes.ts";
import { Stack } from "./stack.ts";
import { codeOfWord, LONGEST_WORD } from "./words.ts";

/** Most bytes of an opcode with its argument, other than lines and long strings. */
const LONGEST = 257;
/** Bytes of the opcodes that get a value of the memo. */
const LONG_GET_BYTES = 5;
const SHORT_GET_BYTES = 2;
/** Most bytes of a line of text. Protocols 2 to 5 write no lines. */
const LINE_BYTES = 2 ** 16;
const LINE_FEED = 0x0a;
/**
 * Most values on the stack. PyTorch's own pickler has all entries of a trace there at once. Two less than a power of
 * two, as the stack has no value at place 0, and room for another.
 */
const MAX_VALUES = 2 ** 26 - 2;
/** Most marks. A snapshot has fewer than 20, and Python's pickler gives up at some hundred. */
const MAX_MARKS = 2 ** 17;
/** Most numbers, and lists and dicts that are wanted, on the stack. Picklers have those of one entry there. */
const MAX_KEPT = 2 ** 16;
/** Most numbers of the memo for lists that are wanted: one for each device, with room to spare. */
const MAX_NODES = 2 ** 16;

/** Reads one pickle. */
export class Unpickler {
  readonly #reader: ByteReader;
  readonly #root: Node;
  readonly #memo = new Memo();
  readonly #stack = new Stack();
  /** Bytes that the window must have for the next opcode. */
  #wanted = LONGEST;
  /** Bytes of a string to pass over. */
  #skipped = 0;
  /** Index in the window of the current opcode, and the window's offset: to store the sum for each would be slow. */
  #at = 0;
  #start = 0;
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
      try {
        this.#run(ended);
      } catch (error) {
        throw memoryError(error, `byte ${this.#byte}`);
      }
      if (this.#isAtStop) return this.#stack.at(this.#stack.top - 1);
      const skipped = this.#skipped;
      this.#skipped = 0;
      if (skipped > 0 && !(await reader.skip(skipped))) {
        this.#at = reader.position;
        this.#start = reader.offset - reader.position;
        this.#fail("the file is cut short within a string");
      }
    }
  }

  /** Runs the opcodes that the window has whole. `ended`: there are no bytes after it. */
  #run(ended: boolean): void {
    const reader = this.#reader;
    const { bytes } = reader;
    const end = bytes.length;
    const stack = this.#stack;
    this.#start = reader.offset - reader.position;
    let at = reader.position;
    while (this.#skipped === 0) {
      this.#at = at;
      if (at + LONGEST > end && !this.#isWhole(bytes, at)) {
        if (ended) this.#fail("the file is cut short: it ends without a STOP");
        break;
      }
      const code = bytes[at++];
      switch (code) {
        case op.BINGET:
          this.#get(bytes[at]);
          at = this.#getMore(bytes, at + 1);
          break;
        case op.LONG_BINGET:
          this.#get(uint32(bytes, at));
          at = this.#getMore(bytes, at + 4);
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
          if (stack.marks === MAX_MARKS) this.#failTooMany(MAX_MARKS, "marks");
          stack.pushMark();
          break;
        case op.EMPTY_DICT:
          this.#pushNode(this.#begin(false));
          break;
        case op.EMPTY_LIST:
          this.#pushNode(this.#begin(true));
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
          this.#setItems(stack.top - 2, stack.top - 3);
          break;
        case op.APPEND:
          this.#need(2);
          this.#append(stack.top - 1, stack.top - 2);
          break;
        case op.BININT1:
          stack.integer(bytes[at++]);
          break;
        case op.BININT2:
          stack.integer(bytes[at] | (bytes[at + 1] << 8));
          at += 2;
          break;
        case op.BININT:
          stack.integer(uint32(bytes, at) | 0);
          at += 4;
          break;
        case op.LONG1: {
          const length = bytes[at++];
          stack.integer(signed(bytes, at, length));
          at += length;
          break;
        }
        case op.SHORT_BINUNICODE:
        case op.SHORT_BINSTRING: {
          const length = bytes[at++];
          stack.push(codeOfWord(bytes, at, length));
          at += length;
          break;
        }
        case op.NONE:
        case op.NEWTRUE:
        case op.NEWFALSE:
        case op.EMPTY_SET:
        case op.EMPTY_TUPLE:
          stack.push(UNWANTED);
          break;
        case op.BINFLOAT:
          at += 8;
          stack.push(UNWANTED);
          break;
        case op.SHORT_BINBYTES:
          at += 1 + bytes[at];
          stack.push(UNWANTED);
          break;
        case op.BINUNICODE:
        case op.BINSTRING: {
          const length = uint32(bytes, at);
          at += 4;
          const isWord = length <= LONGEST_WORD && at + length <= end;
          stack.push(isWord ? codeOfWord(bytes, at, length) : UNWANTED);
          at = this.#pass(at, length, end);
          break;
        }
        case op.BINBYTES:
        case op.LONG4:
          stack.push(UNWANTED);
          at = this.#pass(at + 4, uint32(bytes, at), end);
          break;
        case op.BINUNICODE8:
        case op.BINBYTES8:
        case op.BYTEARRAY8: {
          const length = uint32(bytes, at + 4) * 2 ** 32 + uint32(bytes, at);
          stack.push(UNWANTED);
          at = this.#pass(at + 8, length, end);
          break;
        }
        case op.TUPLE1:
          this.#need(1);
          stack.replace(1);
          break;
        case op.TUPLE2:
          this.#need(2);
          stack.replace(2);
          break;
        case op.TUPLE3:
          this.#need(3);
          stack.replace(3);
          break;
        case op.TUPLE:
        case op.FROZENSET:
          stack.truncate(this.#toMark());
          stack.push(UNWANTED);
          break;
        case op.ADDITEMS:
          stack.truncate(this.#toMark());
          this.#need(1);
          break;
        case op.LIST:
        case op.DICT:
          this.#fromItems(code === op.LIST);
          break;
        case op.POP:
          // A mark is popped as a value is.
          if (stack.top === stack.mark && stack.marks > 0) stack.popMark();
          else {
            this.#need(1);
            stack.truncate(stack.top - 1);
          }
          break;
        case op.POP_MARK:
          stack.truncate(this.#toMark());
          break;
        case op.DUP:
          this.#need(1);
          stack.pushAgain();
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
      if (stack.top === stack.codes.length) this.#growStack();
      if (stack.kept > MAX_KEPT) this.#failTooMany(MAX_KEPT, "numbers, or lists and dicts of events,");
    }
    reader.position = at;
  }

  /** Offset of the current opcode. */
  get #byte(): number {
    return this.#start + this.#at;
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
    const { top, mark } = this.#stack;
    if (top - mark < count) {
      this.#fail(`the opcode needs ${count} values, and there are ${top - mark}; ${DAMAGED}`);
    }
  }

  /** Removes the last mark, and returns the place above it. */
  #toMark(): number {
    if (this.#stack.marks === 0) this.#fail(`the opcode needs a MARK before it; ${DAMAGED}`);
    return this.#stack.popMark();
  }

  /** Makes room for another value. */
  #growStack(): void {
    if (this.#stack.top > MAX_VALUES) this.#failTooMany(MAX_VALUES, "values");
    this.#stack.grow();
  }

  /** Pushes a list or dict. */
  #pushNode(node: Node | undefined): void {
    if (node) this.#stack.keep(node);
    else this.#stack.push(UNWANTED);
  }

  /** Returns the node for a list or dict that begins here. Undefined if nobody wants it. */
  #begin(isList: boolean): Node | undefined {
    const stack = this.#stack;
    const { top, mark } = stack;
    if (top === 1) return isList ? undefined : this.#root;
    const last = top > mark ? stack.at(top - 1) : undefined;
    if (typeof last === "object" && last.isList) {
      // Either the only item of that list, or what follows the list in the one around it.
      const child = last.child(isList, undefined, this.#byte);
      if (child) return child;
    }
    if (typeof last === "string") {
      const dict = top - 1 > mark ? stack.at(top - 2) : undefined;
      // Either the only value of that dict, or one of several values of the dict below the mark.
      const child =
        typeof dict === "object" && !dict.isList ? dict.child(isList, last, this.#byte) : undefined;
      if (child) return child;
    }
    const owner = stack.at(mark - 1);
    if (typeof owner !== "object") return undefined;
    if (owner.isList) return owner.child(isList, undefined, this.#byte);
    return typeof last === "string" ? owner.child(isList, last, this.#byte) : undefined;
  }

  /** Gives the values from `first` on to the list at a place, which is then the top. */
  #append(first: number, place: number): void {
    const stack = this.#stack;
    const list = this.#ownerAt(place);
    if (typeof list === "object" && list.isList) {
      for (let i = first; i < stack.top; i++) list.put(undefined, stack.at(i));
    }
    stack.truncate(first);
  }

  /** Gives the keys and values from `first` on to the dict at a place, which is then the top. */
  #setItems(first: number, place: number): void {
    const stack = this.#stack;
    const dict = this.#ownerAt(place);
    if ((stack.top - first) % 2 !== 0) this.#fail(`a key has no value; ${DAMAGED}`);
    if (typeof dict === "object" && !dict.isList) {
      stack.putPairs(first, dict);
    }
    stack.truncate(first);
    if (typeof dict === "object" && dict.end) {
      dict.end();
      stack.takeTop();
    }
  }

  /** Returns the list or dict at a place, which must be above the last mark. */
  #ownerAt(place: number): Value {
    if (place < this.#stack.mark) this.#fail(`the opcode needs a list or dict before its items; ${DAMAGED}`);
    return this.#stack.at(place);
  }

  /** Makes a list or dict of the values above the mark. */
  #fromItems(isList: boolean): void {
    const stack = this.#stack;
    const first = this.#toMark();
    const { top } = stack;
    stack.top = first;
    const node = this.#begin(isList);
    stack.top = top;
    stack.insert(first, node);
    if (isList) this.#append(first + 1, first);
    else this.#setItems(first + 1, first);
  }

  /** Pushes a value of the memo. */
  #get(index: number): void {
    const memo = this.#memo;
    if (index >= memo.length) this.#fail(`memo ${index} is got before it is put; ${DAMAGED}`);
    const code = memo.codes[index];
    if (code === KEPT) this.#stack.keep(memo.nodeAt(index));
    else this.#stack.push(code);
  }

  /**
   * Pushes values of the memo for all opcodes that follow and get one: most of a file is stacks of frames that it has
   * told of before. Returns the index of the next opcode.
   */
  #getMore(bytes: Uint8Array, start: number): number {
    const stack = this.#stack;
    const memo = this.#memo;
    const { codes } = stack;
    const last = bytes.length - LONG_GET_BYTES;
    const roomy = codes.length - 1;
    let { top } = stack;
    let at = start;
    while (at <= last && top < roomy) {
      const opcode = bytes[at];
      const isLong = opcode === op.LONG_BINGET;
      if (!isLong && opcode !== op.BINGET) break;
      const index = isLong ? uint32(bytes, at + 1) : bytes[at + 1];
      const code = index < memo.length ? memo.codes[index] : KEPT;
      // The loop over all opcodes does that, or refuses it.
      if (code === KEPT) break;
      codes[top++] = code;
      at += isLong ? LONG_GET_BYTES : SHORT_GET_BYTES;
    }
    stack.top = top;
    return at;
  }

  /** Puts the value on top into the memo. What is not shared is as good as unwanted there. */
  #put(index: number): void {
    this.#need(1);
    const memo = this.#memo;
    // Picklers count from 0. So the memo needs no more room than there are opcodes.
    if (index > memo.length) {
      this.#fail(`memo ${index} is put, and only ${memo.length} are in use; ${DAMAGED}`);
    }
    const { codes, top } = this.#stack;
    const code = codes[top - 1];
    if (code < TAKEN_CODE) {
      memo.put(index, code);
      return;
    }
    const value = this.#stack.at(top - 1);
    if (typeof value === "object" && value.isShared) memo.put(index, KEPT, value);
    else memo.put(index, UNWANTED);
    if (memo.nodes > MAX_NODES) {
      this.#fail(`more than ${MAX_NODES} memos are put for lists of events; ${DAMAGED}`);
    }
  }

  /** Runs an opcode whose argument is the line at [start, end). */
  #line(code: number, bytes: Uint8Array, start: number, end: number): void {
    if (code === op.STRING || code === op.UNICODE) {
      const quote = code === op.STRING ? 1 : 0;
      this.#stack.push(codeOfWord(bytes, start + quote, Math.max(0, end - start - 2 * quote)));
      return;
    }
    if (code === op.FLOAT) {
      this.#stack.push(UNWANTED);
      return;
    }
    const text = asciiAt(bytes, start, end);
    const digits = code === op.LONG ? text.replace(/L$/, "") : text;
    if (!/^-?\d{1,255}$/.test(digits)) this.#fail(`"${text}" is no integer; ${DAMAGED}`);
    if (code === op.PUT) this.#put(Number(digits));
    else if (code === op.GET) this.#get(Number(digits));
    // "00" and "01" are False and True.
    else if (code === op.INT && /^0\d/.test(text)) this.#stack.push(UNWANTED);
    else this.#stack.integer(exact(BigInt(digits)));
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

  #failTooMany(most: number, what: string): never {
    this.#fail(`more than ${most} ${what} are on the stack; ${DAMAGED}`);
  }

  #fail(reason: string): never {
    throw new PageAllocError("ERR_TRACE", `byte ${this.#byte}: ${reason}`);
  }
}

const DAMAGED = "the file is damaged, or no pickle";

function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Integers are exact as numbers if their upper 32 bits are between this and its negative. */
const EXACT_HIGH = 2 ** 21;

/** Returns the integer of `length` bytes, little-endian, in two's complement. */
function signed(bytes: Uint8Array, at: number, length: number): number | bigint {
  if (length === 0) return 0;
  // What is read beyond the integer is shifted out.
  const shift = (-8 * length) & 31;
  if (length <= 4) return (uint32(bytes, at) << shift) >> shift;
  if (length <= 8) {
    const high = (uint32(bytes, at + 4) << shift) >> shift;
    if (high > -EXACT_HIGH && high < EXACT_HIGH) return high * 2 ** 32 + uint32(bytes, at);
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
