// The text of Android's memory_replay, as malloc_debug and its record_allocs option write it. A line is a call:
//
//     TID: malloc POINTER SIZE
//     TID: calloc POINTER COUNT SIZE
//     TID: realloc NEW OLD SIZE
//     TID: memalign POINTER ALIGNMENT SIZE
//     TID: free POINTER
//     TID: thread_done 0x0
//
// Newer ones add START_NS END_NS, the time of the call. Pointers are hex, other numbers decimal.
//
// The lines are in the order in which the calls took effect. A call that waited for another thread has started before
// it, so times can go back from line to line. The order of the lines counts.

import { ascii, decimal, pointer, skipBlanks, skipByte, skipWord } from "../../source/fields.ts";
import type { Lines } from "../../source/lines.ts";
import type { Text } from "./text.ts";

const COLON = 0x3a;
const MOST_THREAD = 2 ** 31 - 1;

const MALLOC = ascii("malloc ");
const FREE = ascii("free ");
const CALLOC = ascii("calloc ");
const REALLOC = ascii("realloc ");
const MEMALIGN = ascii("memalign ");
const THREAD_DONE = ascii("thread_done");

const ADDRESS = "an address in hex";
const BYTES = "a number of bytes";

export const android: Text = {
  recognises: (line) => /^\d+: (malloc|calloc|realloc|memalign|free|thread_done)\b/.test(line),
  parser(lines, ledger) {
    let number = 0;
    return () => {
      const offset = lines.lineOffset;
      ledger.thread = threadOf(lines);
      // Without times, calls are a nanosecond apart.
      const late = ++number;
      if (skipWord(lines, MALLOC)) {
        const address = field(lines, pointer, ADDRESS);
        const bytes = field(lines, decimal, BYTES);
        ledger.time = timeOf(lines, late);
        ledger.alloc(address, bytes, offset);
      } else if (skipWord(lines, FREE)) {
        const address = field(lines, pointer, ADDRESS);
        ledger.time = timeOf(lines, late);
        ledger.free(address, offset);
      } else if (skipWord(lines, CALLOC)) {
        const address = field(lines, pointer, ADDRESS);
        const count = field(lines, decimal, "a number of elements");
        const bytes = count * field(lines, decimal, BYTES);
        ledger.time = timeOf(lines, late);
        ledger.alloc(address, bytes, offset);
      } else if (skipWord(lines, REALLOC)) {
        const address = field(lines, pointer, ADDRESS);
        const old = field(lines, pointer, ADDRESS);
        const bytes = field(lines, decimal, BYTES);
        ledger.time = timeOf(lines, late);
        ledger.realloc(old, address, bytes, offset);
      } else if (skipWord(lines, MEMALIGN)) {
        const address = field(lines, pointer, ADDRESS);
        field(lines, decimal, "an alignment");
        const bytes = field(lines, decimal, BYTES);
        ledger.time = timeOf(lines, late);
        ledger.alloc(address, bytes, offset);
      } else if (!skipWord(lines, THREAD_DONE)) {
        throw lines.error("malloc, calloc, realloc, memalign, free or thread_done");
      }
    };
  },
};

function threadOf(lines: Lines): number {
  const { position } = lines;
  const thread = decimal(lines);
  if (thread < 0 || thread > MOST_THREAD) {
    lines.position = position;
    throw lines.error("the number of a thread");
  }
  if (!skipByte(lines, COLON)) throw lines.error("a colon");
  skipBlanks(lines);
  return thread;
}

/** Parses a number and the blanks after it. */
function field(lines: Lines, parse: (lines: Lines) => number, what: string): number {
  const value = parse(lines);
  if (value < 0) throw lines.error(what);
  const { position } = lines;
  skipBlanks(lines);
  if (lines.position === position && position < lines.end) throw lines.error(`a blank after ${what}`);
  return value;
}

/** Parses the times of a call. Returns its start, or `otherwise` if there are none. */
function timeOf(lines: Lines, otherwise: number): number {
  if (lines.position === lines.end) return otherwise;
  const start = field(lines, decimal, "the start of the call in ns");
  field(lines, decimal, "the end of the call in ns");
  return start;
}
