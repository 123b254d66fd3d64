// Decodes the content of frames. encode.ts describes it.

import { ADDRESS_LIMIT, ALLOC, type GcEvents, type ObjectCounts, UNMAP } from "../../events.ts";

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

/** Takes numbers from bytes. */
class Numbers {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Takes a whole number of 1 to 8 bytes. */
  whole(): number {
    const byte = this.#bytes[this.#at++];
    return byte < 0x80 ? byte : this.#long(byte);
  }

  /** Takes a whole number that may be negative. */
  signed(): number {
    const folded = this.whole();
    if (folded < 2 ** 31) return (folded >>> 1) ^ -(folded & 1);
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  double(): number {
    if (this.#at + DOUBLE_BYTES > this.#bytes.length) throw new ContentError("it ends too early");
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += DOUBLE_BYTES;
    return value;
  }

  doubles(count: number): Float64Array {
    const column = new Float64Array(count);
    for (let i = 0; i < count; i++) column[i] = this.double();
    return column;
  }

  /** Checks that all bytes have been taken. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new ContentError("it is longer than its columns");
  }

  /** Takes the rest of a number whose first byte says that more follow, or is missing. */
  #long(first: number): number {
    let value = first & 0x7f;
    for (let scale = 2 ** 7; scale < 2 ** 56; scale *= 2 ** 7) {
      const byte = this.#bytes[this.#at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 && value <= Number.MAX_SAFE_INTEGER) return value;
    }
    throw new ContentError("it ends within a number, or has one above 2^53 - 1");
  }
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
  const time = new Float64Array(count);
  time[0] = first;
  if (unit === 0) {
    for (let i = 1; i < count; i++) time[i] = numbers.double();
  } else {
    let units = 0;
    for (let i = 1; i < count; i++) {
      units += numbers.whole();
      time[i] = first + units * unit;
    }
  }
  for (let i = 1; i < count; i++) {
    // NaN fails this too.
    if (!(time[i] >= time[i - 1])) throw new ContentError("its times go back");
  }
  if (!Number.isFinite(first) || !Number.isFinite(time[count - 1]))
    throw new ContentError("a time is no number");
  return time;
}

function decodeProcs(numbers: Numbers, count: number): Int32Array {
  const procs = new Int32Array(count);
  for (let i = 0; i < count; ) {
    const length = numbers.whole();
    const proc = numbers.signed();
    if (length === 0 || length > count - i)
      throw new ContentError("it names the procs of fewer or more events");
    if (proc !== (proc | 0)) throw new ContentError("a proc does not fit in 32 bits");
    procs.fill(proc, i, i + length);
    i += length;
  }
  return procs;
}

function decodeSizes(numbers: Numbers, kinds: Uint8Array, npages: Uint32Array): void {
  for (let i = 0; i < kinds.length; i++) {
    const both = numbers.whole();
    const kind = both & 0b111;
    if (kind < ALLOC || kind > UNMAP) throw new ContentError(`event ${i} in it has the kind ${kind}`);
    const pages = (both < 2 ** 31 ? both >>> 3 : Math.floor(both / 8)) + 1;
    if (pages >= 2 ** 32) throw new ContentError(`event ${i} in it has ${pages} pages`);
    kinds[i] = kind;
    npages[i] = pages;
  }
}

function decodeBases(numbers: Numbers, npages: Uint32Array, pageSize: number): Float64Array {
  const bases = new Float64Array(npages.length);
  const limit = ADDRESS_LIMIT / pageSize;
  let end = 0;
  for (let i = 0; i < bases.length; i++) {
    const page = end + numbers.signed();
    end = page + npages[i];
    if (page < 0 || end > limit)
      throw new ContentError(`event ${i} in it has pages beyond the address space`);
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

function decodeColumns(numbers: Numbers, columns: number, count: number): Float64Array[] {
  const decoded = Array.from({ length: columns }, () => numbers.doubles(count));
  numbers.end();
  return decoded;
}

/** Decodes entries of the index. */
export function decodeIndex(bytes: Uint8Array, count: number): IndexEntries {
  const numbers = new Numbers(bytes);
  const offset = new Float64Array(count);
  const events = new Float64Array(count);
  let last = 0;
  for (let i = 0; i < count; i++) {
    last += numbers.whole();
    offset[i] = last;
  }
  for (let i = 0; i < count; i++) events[i] = numbers.whole();
  const time = numbers.doubles(count);
  numbers.end();
  return { offset, events, time };
}
