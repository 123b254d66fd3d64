// Encodes a trace as a file of palloc's own, the neutral form: compact, read in blocks, and begun anywhere.
//
// All numbers are little-endian. A *whole* has 1 to 8 bytes with 7 bits each, the lowest first; the top bit says that
// more follow. It is at most 2^53 - 1. A *signed* is a whole with the sign in the lowest bit: 0, -1, 1, -2 ... are
// 0, 1, 2, 3 ... A *double* has 8 bytes. Sums are CRC-32, as in gzip.
//
// The file starts with a header:
//
//    8 bytes   0x89, "pages", 0x0a, and the version, 1
//    u32       bytes per page, a power of two from 16 to 2^30
//    u32       n, the length of the next, 0 to 255
//    n bytes   the format that the trace was converted from, in UTF-8
//    u32       sum of all bytes before
//
// Frames follow. Each has a head, and then its content, packed by deflate without a header (RFC 1951):
//
//    u32       kind
//    u32       count, 0 to 2^16
//    u32       bytes of the content
//    u32       bytes of the packed content
//    u32       sum of the 16 bytes before and of the packed content
//
// In this order:
//
//    1 events      count is 1 or more. Five columns, one after the other:
//                  time    unit and first, two doubles; then for each event but the first a whole, the units since the
//                          event before. The sum of these, times the unit, plus first, is the time in ns. If the unit
//                          is 0, each time but the first is a double instead.
//                  proc    pairs until all events have one: how many events in sequence, a whole; their proc, a signed
//                  kind    and npages as one whole: (npages - 1) * 8 + kind
//                  base    as a signed: the number of the event's first page, less that of the page after the last
//                          event's last. Before the first event that is 0.
//    2 cycles      of the collector that ended in the block of the next events frame, or after the last: start, time,
//                  sweepEnd, heapLive and heapGoal, each a column of doubles. One frame without cycles says that the
//                  collector is known to have run none.
//    3 objects     size, existing, allocs and frees, each a column of doubles. At most one frame.
//    4 cut short   UTF-8 text: why the source seemed to be cut short. At most one frame; count is 0.
//    5 corrections impliedFrees, impliedGrows, skippedFrees, skippedGrows, skippedUnmaps and movedAllocs of the whole
//                  file: six doubles. At most one frame; count is 1.
//    6 index       a block is an events frame and the cycles frames before it. Of each block: the offset of its first
//                  byte, as a whole, less that of the block before; the number of its events, as a whole; the time of
//                  its first event, a double. Three columns. Any number of frames, whose columns are put together;
//                  offsets start at 0 in each.
//    7 end         has a head only, the last 20 bytes of the file. After the kind: u64, offset of the first index
//                  frame, or of the end frame if there is none; u32, number of blocks; u32, sum of the 16 bytes before.
//
// Nothing in a block refers to another, so reading can begin at any. Times ascend over all blocks.

import { CORRECTION_NAMES } from "../../corrections.ts";
import type { ObjectCounts, PageTrace, TraceCorrections } from "../../events.ts";
import { crc32 } from "./crc32.ts";
import {
  CORRECTIONS,
  CRC_BYTES,
  CUT_SHORT,
  CYCLES,
  END,
  EVENTS,
  HEAD_BYTES,
  HEADER_BYTES,
  INDEX,
  MAGIC,
  mostBytes,
  OBJECTS,
} from "./layout.ts";
import { pack } from "./pack.ts";

const DOUBLE_BYTES = 8;

/** Collects the numbers of a frame's content. */
class Content {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  /** @param most bytes that the content can have */
  constructor(most: number) {
    this.#bytes = new Uint8Array(most);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Number of bytes so far. Setting it back drops the later ones. */
  get length(): number {
    return this.#at;
  }

  set length(length: number) {
    this.#at = length;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  /** @param value an integer from 0 to 2^53 - 1 */
  whole(value: number): void {
    let left = value;
    for (; left >= 2 ** 31; left = Math.floor(left / 128)) this.#bytes[this.#at++] = (left % 128) | 0x80;
    for (; left >= 0x80; left >>>= 7) this.#bytes[this.#at++] = (left & 0x7f) | 0x80;
    this.#bytes[this.#at++] = left;
  }

  /** @param value an integer above -2^52 and below 2^52 */
  signed(value: number): void {
    this.whole(value < 0 ? -2 * value - 1 : 2 * value);
  }

  double(value: number): void {
    this.#view.setFloat64(this.#at, value, true);
    this.#at += DOUBLE_BYTES;
  }
}

/** Returns the header. */
export function encodeHeader(pageSize: number, origin: Uint8Array): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES + origin.length + CRC_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC);
  view.setUint32(8, pageSize, true);
  view.setUint32(12, origin.length, true);
  header.set(origin, HEADER_BYTES);
  const sumAt = HEADER_BYTES + origin.length;
  view.setUint32(sumAt, crc32(header.subarray(0, sumAt)), true);
  return header;
}

/** Returns a frame of events, one or more. They have been checked. */
export function encodeEvents(events: PageTrace, pageSize: number): Promise<Uint8Array> {
  const { length, kind, base, npages } = events;
  const content = new Content(mostBytes(EVENTS, length));
  encodeTimes(content, events.time.subarray(0, length));
  encodeProcs(content, events.proc.subarray(0, length));
  for (let event = 0; event < length; event++) content.whole((npages[event] - 1) * 8 + kind[event]);
  let after = 0;
  for (let event = 0; event < length; event++) {
    const page = base[event] / pageSize;
    content.signed(page - after);
    after = page + npages[event];
  }
  return frame(EVENTS, length, content);
}

function encodeTimes(content: Content, time: Float64Array): void {
  const start = content.length;
  const unit = commonUnit(time);
  content.double(unit);
  content.double(time[0]);
  let units = 0;
  for (let i = 1; i < time.length; i++) {
    const more = (time[i] - time[i - 1]) / unit;
    units += more;
    // `===` would take 0 for -0.
    const isExact = Number.isSafeInteger(more) && Number.isSafeInteger(units);
    if (!isExact || !Object.is(time[0] + units * unit, time[i])) {
      content.length = start;
      content.double(0);
      for (const each of time) content.double(each);
      return;
    }
    content.whole(more);
  }
}

/** Returns the greatest number that all differences of neighbours are multiples of; 1 if all times are the same. */
function commonUnit(time: Float64Array): number {
  let unit = 0;
  for (let i = 1; i < time.length; i++) {
    const step = time[i] - time[i - 1];
    // Euclid's algorithm; remainders of doubles are exact. A step that is no number ends it.
    let left = unit > 0 ? step % unit : step;
    while (left > 0) [unit, left] = [left, unit % left];
  }
  return unit || 1;
}

function encodeProcs(content: Content, procs: Int32Array): void {
  let first = 0;
  for (let i = 1; i <= procs.length; i++) {
    if (i < procs.length && procs[i] === procs[first]) continue;
    content.whole(i - first);
    content.signed(procs[first]);
    first = i;
  }
}

/** Returns a frame of cycles of the collector: each is start, time, sweepEnd, heapLive and heapGoal. */
export function encodeCycles(cycles: readonly (readonly number[])[]): Promise<Uint8Array> {
  const columns = [0, 1, 2, 3, 4].map((column) => cycles.map((cycle) => cycle[column]));
  return encodeColumns(CYCLES, columns, cycles.length);
}

/** Returns a frame of counts of objects. */
export function encodeObjects({ length, size, existing, allocs, frees }: ObjectCounts): Promise<Uint8Array> {
  return encodeColumns(OBJECTS, [size, existing, allocs, frees], length);
}

/** Returns a frame of what the reader of the source had to change. */
export function encodeCorrections(corrections: TraceCorrections): Promise<Uint8Array> {
  const columns = CORRECTION_NAMES.map((name) => [corrections[name]]);
  return encodeColumns(CORRECTIONS, columns, 1);
}

function encodeColumns(
  kind: number,
  columns: readonly ArrayLike<number>[],
  count: number,
): Promise<Uint8Array> {
  const content = new Content(mostBytes(kind, count));
  for (const column of columns) for (let i = 0; i < count; i++) content.double(column[i]);
  return frame(kind, count, content);
}

/** Returns a frame of the reason why the source seemed to be cut short. */
export function encodeCutShort(reason: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return frame(CUT_SHORT, 0, { bytes: reason });
}

/** A block, for the index. */
export interface Entry {
  readonly offset: number;
  readonly events: number;
  /** Time of the first event, in ns. */
  readonly time: number;
}

/** Returns a frame of the index. */
export function encodeIndex(entries: readonly Entry[]): Promise<Uint8Array> {
  const content = new Content(mostBytes(INDEX, entries.length));
  let before = 0;
  for (const { offset } of entries) {
    content.whole(offset - before);
    before = offset;
  }
  for (const { events } of entries) content.whole(events);
  for (const { time } of entries) content.double(time);
  return frame(INDEX, entries.length, content);
}

/** Returns the end frame. */
export function encodeEnd(indexOffset: number, blocks: number): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint32(0, END, true);
  view.setBigUint64(4, BigInt(indexOffset), true);
  view.setUint32(12, blocks, true);
  return summed(head);
}

async function frame(
  kind: number,
  count: number,
  { bytes }: { readonly bytes: Uint8Array<ArrayBuffer> },
): Promise<Uint8Array> {
  const packed = await pack(bytes);
  const whole = new Uint8Array(HEAD_BYTES + packed.length);
  const view = new DataView(whole.buffer);
  [kind, count, bytes.length, packed.length].forEach((value, i) => {
    view.setUint32(4 * i, value, true);
  });
  whole.set(packed, HEAD_BYTES);
  return summed(whole);
}

/** Sets the sum in the head of a frame, and returns the frame. */
function summed(whole: Uint8Array<ArrayBuffer>): Uint8Array {
  const sumAt = HEAD_BYTES - CRC_BYTES;
  const sum = crc32(whole.subarray(HEAD_BYTES), crc32(whole.subarray(0, sumAt)));
  new DataView(whole.buffer).setUint32(sumAt, sum, true);
  return whole;
}
