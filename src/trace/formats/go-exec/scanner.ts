// Finds the events of an execution trace that matter. Nineteen of twenty bytes belong to others.
//
// An event is a byte for its type and a fixed number of varints. The first is the time since the event before, in
// ticks. The last byte of a varint has no top bit, so the top bits of the eight bytes after the type say how long the
// event is, by a table. A loop over the bytes would branch once or twice an event in a way that no processor foresees,
// which costs more than all this. For the same reason each event is noted, and stays so only if it matters.

import type { Batches } from "./batches.ts";
import { fail } from "./damage.ts";
import { Varint } from "./varint.ts";

/** Number of varints by type of event; the types of Go 1.23 to 1.27. */
const VARINTS: Readonly<Record<number, number>> = {
  ...{ 9: 3, 10: 3, 11: 1, 12: 4, 13: 3, 14: 4, 15: 2, 16: 3, 17: 1, 18: 1, 19: 3, 20: 3, 21: 4, 22: 3 },
  ...{ 23: 1, 24: 1, 25: 4, 26: 3, 27: 1, 28: 2, 29: 3, 30: 2, 31: 2, 32: 2, 33: 3, 34: 2, 35: 2, 36: 1 },
  ...{ 37: 2, 38: 2, 39: 2, 40: 5, 41: 3, 42: 4, 43: 4, 44: 5, 45: 3, 46: 3, 47: 4, 48: 5 },
  ...{ 128: 4, 129: 4, 130: 2, 131: 3, 132: 3, 133: 2, 134: 3, 135: 3, 136: 2 },
};
/** Most varints of an event. */
const VARINTS_MAX = 5;

/** Bytes of an event that the table knows: the type, and two words. */
const KNOWN_BYTES = 9;
/** In a word: the lowest bit of each byte. */
const LOW_BITS = 0x01010101;
/** Multiplied by this, the lowest bits of a word's bytes become its highest four, in order. */
const GATHER = 0x10204080;
/**
 * By 2^8 times the number of varints, and by which of the eight bytes after the type end one: the length of the event.
 * 0 if it may be longer, or if its time has more than two bytes.
 */
const LENGTHS = new Uint8Array((VARINTS_MAX + 1) * 2 ** 8);
for (let varints = 1; varints <= VARINTS_MAX; varints++) {
  for (let ends = 0; ends < 2 ** 8; ends++) {
    if ((ends & 3) === 0) continue;
    let left = varints;
    for (let byte = 0; byte < 8 && left > 0; byte++) {
      if (((ends >> byte) & 1) === 1 && --left === 0) LENGTHS[varints * 2 ** 8 + ends] = 1 + byte + 1;
    }
  }
}

/** Bytes to scan at a time, and most events in them. Each has a type and a time. */
const PIECE_BYTES = 2 ** 14;
const PIECE_EVENTS = PIECE_BYTES / 2;

/** Finds events of given types. */
export class Scanner {
  /** Time of the last event that was scanned, in ticks. Set it before the first of a batch. */
  now = 0;
  /** Number of events that were found. Of each, the index of its first byte, that after its time, and the time. */
  count = 0;
  readonly starts = new Int32Array(PIECE_EVENTS + 1);
  readonly numbers = new Int32Array(PIECE_EVENTS + 1);
  readonly times = new Float64Array(PIECE_EVENTS + 1);
  /** By type: 2^8 times the number of varints, 0 for types that are not known; and 1 if the type matters, or 0. */
  readonly #rows = new Uint16Array(256);
  readonly #matters = new Uint8Array(256);
  readonly #varint = new Varint();

  /** @param types of the events to find */
  constructor(types: readonly number[]) {
    for (const [type, count] of Object.entries(VARINTS)) this.#rows[Number(type)] = count * 2 ** 8;
    for (const type of types) this.#matters[type] = 1;
  }

  /**
   * Scans the next events of a batch, from index `start` on. Returns the index after them. Throws PageAllocError
   * ERR_TRACE that names the byte.
   */
  scan({ bytes, start: batchStart, end: batchEnd, offset }: Batches, start: number): number {
    const { starts, numbers, times } = this;
    const rows = this.#rows;
    const matters = this.#matters;
    const lengths = LENGTHS;
    const varint = this.#varint;
    const view = varint.open(bytes);
    // `| 0` says that these are integers. Engines take a sum for a floating-point number otherwise, at half the speed.
    let at = start | 0;
    const end = Math.min(batchEnd, at + PIECE_BYTES) | 0;
    const knownEnd = (bytes.length - KNOWN_BYTES + 1) | 0;
    let count = 0;
    let { now } = this;
    while (at < end) {
      const type = bytes[at];
      starts[count] = at;
      if (at < knownEnd) {
        const word = view.getInt32((at + 1) | 0, true);
        const next = view.getInt32((at + 5) | 0, true);
        const ends =
          (Math.imul((~word >>> 7) & LOW_BITS, GATHER) >>> 28) |
          ((Math.imul((~next >>> 7) & LOW_BITS, GATHER) >>> 24) & 0xf0);
        const length = lengths[rows[type] | ends];
        if (length !== 0) {
          // The second byte belongs to the time if the first has the top bit.
          const isLong = (word >>> 7) & 1;
          numbers[count] = (at + 2 + isLong) | 0;
          now += (word & 0x7f) + (((word << 24) >> 31) & ((word >> 1) & 0x3f80));
          at = (at + length) | 0;
          times[count] = now;
          count = (count + matters[type]) | 0;
          continue;
        }
      }
      const eventByte = offset + at - batchStart;
      let left = rows[type] >> 8;
      if (left === 0) {
        const reason = `events of type ${type} are unknown`;
        fail(eventByte, `${reason}; the trace is damaged, or of a later version of Go`);
      }
      at = varint.read(at + 1) | 0;
      if (at < 0) failNumber(eventByte);
      numbers[count] = at;
      now += varint.value;
      times[count] = now;
      count = (count + matters[type]) | 0;
      while (--left > 0) while (bytes[at++] >= 0x80);
    }
    this.now = now;
    this.count = count;
    if (at > batchEnd)
      fail(offset + batchEnd - batchStart, "an event exceeds its batch; the trace is damaged");
    return at;
  }
}

/** Throws the error for a number of the event at byte `offset` of the file that has more than 64 bits. */
export function failNumber(offset: number): never {
  fail(offset, "a number of the event has more than 64 bits; the trace is damaged");
}
