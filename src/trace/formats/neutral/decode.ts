// Decodes the content of frames. encode.ts describes it.

import { CORRECTION_NAMES } from "../../corrections.ts";
import {
  ADDRESS_LIMIT,
  ALLOC,
  type GcEvents,
  type ObjectCounts,
  type TraceCorrections,
  UNMAP,
} from "../../events.ts";

const DOUBLE_BYTES = 8;

/** The events of a frame. */
export interface EventColumns {
  readonly time: Float64Array;
  readonly proc: Int32Array;
  readonly kind: Uint8Array;
  readonly base: Float64Array;
  readonly npages: Uint32Array;
}

/** Entries of the index, one a block. */
export interface IndexEntries {
  /** Byte offset of the block's first frame. */
  readonly offset: Float64Array;
  /** Number of the block's events. */
  readonly events: Float64Array;
  /** Time of the block's first event, in ns. */
  readonly time: Float64Array;
}

/** The content of a frame cannot be. */
export class ContentError extends Error {}

/** Takes numbers from bytes. Beyond the end it takes zeros, which `end` refuses. */
class Numbers {
  readonly bytes: Uint8Array;
  /** Index of the next byte. */
  at = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Takes a whole number of 1 to 8 bytes. */
  whole(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 2 ** 7) {
      const byte = this.bytes[this.at++] | 0;
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (value <= Number.MAX_SAFE_INTEGER) return value;
      break;
    }
    throw new ContentError("a number in it is above 2^53 - 1");
  }

  /** Takes `count` whole numbers. Nearly all have one or two bytes. */
  wholes(count: number): Float64Array {
    const { bytes } = this;
    const values = new Float64Array(count);
    let { at } = this;
    for (let i = 0; i < count; i++) {
      const byte = bytes[at] | 0;
      if (byte < 0x80) {
        values[i] = byte;
        at++;
        continue;
      }
      const next = bytes[at + 1] | 0;
      if (next < 0x80) {
        values[i] = (byte & 0x7f) | (next << 7);
        at += 2;
        continue;
      }
      this.at = at;
      values[i] = this.whole();
      at = this.at;
    }
    this.at = at;
    return values;
  }

  double(): number {
    if (this.at + DOUBLE_BYTES > this.bytes.length) throw new ContentError("it ends too early");
    const value = this.#view.getFloat64(this.at, true);
    this.at += DOUBLE_BYTES;
    return value;
  }

  doubles(count: number): Float64Array {
    const column = new Float64Array(count);
    for (let i = 0; i < count; i++) column[i] = this.double();
    return column;
  }

  /** Checks that exactly all bytes have been taken. */
  end(): void {
    if (this.at !== this.bytes.length) throw new ContentError("it is longer or shorter than its columns");
  }
}

/** Returns the number that a whole one stands for: 0, -1, 1, -2 ... for 0, 1, 2, 3 ... */
function signed(whole: number): number {
  if (whole < 2 ** 31) return (whole >>> 1) ^ -(whole & 1);
  return whole % 2 === 0 ? whole / 2 : -(whole + 1) / 2;
}

/**
 * Decodes the events of a frame. Throws ContentError for what no trace can have, also for a first time below `after`,
 * the last before.
 */
export function decodeEvents(
  bytes: Uint8Array,
  count: number,
  pageSize: number,
  after: number,
): EventColumns {
  const numbers = new Numbers(bytes);
  const time = decodeTimes(numbers, count);
  if (time[0] < after) throw new ContentError("its times go back");
  const proc = decodeProcs(numbers, count);
  const kind = new Uint8Array(count);
  const npages = new Uint32Array(count);
  decodeSizes(numbers, kind, npages);
  const base = decodeBases(numbers, npages, pageSize);
  numbers.end();
  return { time, proc, kind, base, npages };
}

function decodeTimes(numbers: Numbers, count: number): Float64Array {
  const unit = numbers.double();
  const first = numbers.double();
  if (unit === 0) return decodePlainTimes(numbers, first, count);
  const time = new Float64Array(count);
  time[0] = first;
  const steps = numbers.wholes(count - 1);
  let units = 0;
  for (let i = 1; i < count; i++) {
    units += steps[i - 1];
    time[i] = first + units * unit;
  }
  if (!(unit > 0) || !Number.isFinite(first) || !Number.isFinite(time[count - 1])) {
    throw new ContentError("its times are not finite, or go back");
  }
  return time;
}

function decodePlainTimes(numbers: Numbers, first: number, count: number): Float64Array {
  const time = new Float64Array(count);
  time[0] = first;
  for (let i = 1; i < count; i++) time[i] = numbers.double();
  // NaN is not ascending either.
  if (
    !Number.isFinite(first) ||
    !Number.isFinite(time[count - 1]) ||
    !time.every((t, i) => i === 0 || t >= time[i - 1])
  ) {
    throw new ContentError("its times are not finite, or go back");
  }
  return time;
}

function decodeProcs(numbers: Numbers, count: number): Int32Array {
  const procs = new Int32Array(count);
  for (let i = 0; i < count; ) {
    const length = numbers.whole();
    const proc = signed(numbers.whole());
    if (length === 0 || length > count - i)
      throw new ContentError("it names the procs of fewer or more events");
    if (proc !== (proc | 0)) throw new ContentError("a proc does not fit in 32 bits");
    procs.fill(proc, i, i + length);
    i += length;
  }
  return procs;
}

function decodeSizes(numbers: Numbers, kinds: Uint8Array, npages: Uint32Array): void {
  const both = numbers.wholes(kinds.length);
  for (let i = 0; i < kinds.length; i++) {
    const value = both[i];
    // Bitwise operators work on 32 bits.
    const kind = value < 2 ** 31 ? value & 7 : value % 8;
    const less = value < 2 ** 31 ? value >>> 3 : Math.floor(value / 8);
    if (kind < ALLOC || kind > UNMAP) throw new ContentError(`event ${i} of it has the kind ${kind}`);
    if (less >= 2 ** 32 - 1) throw new ContentError(`event ${i} of it has ${less + 1} pages`);
    kinds[i] = kind;
    npages[i] = less + 1;
  }
}

function decodeBases(numbers: Numbers, npages: Uint32Array, pageSize: number): Float64Array {
  const bases = numbers.wholes(npages.length);
  const limit = ADDRESS_LIMIT / pageSize;
  let end = 0;
  for (let i = 0; i < bases.length; i++) {
    const page = end + signed(bases[i]);
    end = page + npages[i];
    if (page < 0 || end > limit)
      throw new ContentError(`event ${i} of it has pages beyond the address space`);
    bases[i] = page * pageSize;
  }
  return bases;
}

/** Decodes collector cycles. */
export function decodeCycles(bytes: Uint8Array, count: number): GcEvents {
  const numbers = new Numbers(bytes);
  const [start, time, sweepEnd, heapLive, heapGoal] = decodeColumns(numbers, 5, count);
  return { length: count, start, time, sweepEnd, heapLive, heapGoal };
}

/** Decodes counts of objects. */
export function decodeObjects(bytes: Uint8Array, count: number): ObjectCounts {
  const numbers = new Numbers(bytes);
  const [size, existing, allocs, frees] = decodeColumns(numbers, 4, count);
  return { length: count, size, existing, allocs, frees };
}

/** Decodes what the reader of the source had to change. */
export function decodeCorrections(bytes: Uint8Array, count: number): TraceCorrections {
  if (count !== 1) throw new ContentError(`it has ${count} rows of corrections`);
  const columns = decodeColumns(new Numbers(bytes), CORRECTION_NAMES.length, count);
  const pairs = CORRECTION_NAMES.map((name, i) => [name, columns[i][0]]);
  return Object.fromEntries(pairs) as unknown as TraceCorrections;
}

function decodeColumns(numbers: Numbers, columns: number, count: number): Float64Array[] {
  const decoded = Array.from({ length: columns }, () => numbers.doubles(count));
  numbers.end();
  return decoded;
}

/** Decodes entries of the index. */
export function decodeIndex(bytes: Uint8Array, count: number): IndexEntries {
  const numbers = new Numbers(bytes);
  const offset = new Float64Array(count);
  let last = 0;
  for (let i = 0; i < count; i++) {
    last += numbers.whole();
    offset[i] = last;
  }
  const events = numbers.wholes(count);
  const time = numbers.doubles(count);
  numbers.end();
  return { offset, events, time };
}
