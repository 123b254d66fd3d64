// Decodes the events of an execution trace that matter here into records: columns whose `kind` is one of those below.
//
// An event is a byte for its type and a fixed number of varints. The first is the time since the event before, in
// ticks. Nineteen of twenty bytes belong to events that do not matter, so the loop passes over those without calls.

import { type Columns, GrowingColumns } from "../../columns/growing-columns.ts";
import { ADDRESS_LIMIT } from "../../events.ts";
import type { Batches, Info } from "./batches.ts";
import { fail } from "./damage.ts";
import { Varint } from "./varint.ts";

/** Number of varints by type of event; the types of Go 1.23 to 1.27. */
const VARINTS: Readonly<Record<number, number>> = {
  ...{ 9: 3, 10: 3, 11: 1, 12: 4, 13: 3, 14: 4, 15: 2, 16: 3, 17: 1, 18: 1, 19: 3, 20: 3, 21: 4, 22: 3 },
  ...{ 23: 1, 24: 1, 25: 4, 26: 3, 27: 1, 28: 2, 29: 3, 30: 2, 31: 2, 32: 2, 33: 3, 34: 2, 35: 2, 36: 1 },
  ...{ 37: 2, 38: 2, 39: 2, 40: 5, 41: 3, 42: 4, 43: 4, 44: 5, 45: 3, 46: 3, 47: 4, 48: 5 },
  ...{ 128: 4, 129: 4, 130: 2, 131: 3, 132: 3, 133: 2, 134: 3, 135: 3, 136: 2 },
};

const PROC_START = 10;
const PROC_STOP = 11;
const PROC_STATUS = 13;
const GC_BEGIN = 29;
const GC_END = 30;
const GC_SWEEP_END = 33;
const HEAP_ALLOC = 37;
const HEAP_GOAL = 38;
const SPAN = 128;
const SPAN_ALLOC = 129;
const SPAN_FREE = 130;
const HEAP_OBJECT = 131;
const HEAP_OBJECT_ALLOC = 132;
const HEAP_OBJECT_FREE = 133;

/** Number of size classes of spans. */
export const CLASSES = 68;
/** In place of a size class: the span has no objects, or those of a class that is not known. */
export const NO_CLASS = CLASSES;

/**
 * Kinds of records. For spans that exist or are allocated, the size class is added. `base` is an address in bytes, or
 * a value in bytes for the last two.
 */
export const Kind = {
  exists: 0,
  alloc: NO_CLASS + 1,
  free: 2 * (NO_CLASS + 1),
  objectExists: 2 * (NO_CLASS + 1) + 1,
  objectAlloc: 2 * (NO_CLASS + 1) + 2,
  objectFree: 2 * (NO_CLASS + 1) + 3,
  gcBegin: 2 * (NO_CLASS + 1) + 4,
  gcEnd: 2 * (NO_CLASS + 1) + 5,
  sweepEnd: 2 * (NO_CLASS + 1) + 6,
  heapAlloc: 2 * (NO_CLASS + 1) + 7,
  heapGoal: 2 * (NO_CLASS + 1) + 8,
} as const;

const PAGE_TYPES = [SPAN, SPAN_ALLOC, SPAN_FREE];
const OBJECT_TYPES = [HEAP_OBJECT, HEAP_OBJECT_ALLOC, HEAP_OBJECT_FREE];
const PROC_TYPES = [PROC_START, PROC_STOP, PROC_STATUS];
/** Types of events about the collector, with the kinds of their records. */
const GC_KINDS: Readonly<Record<number, number>> = {
  [GC_BEGIN]: Kind.gcBegin,
  [GC_END]: Kind.gcEnd,
  [GC_SWEEP_END]: Kind.sweepEnd,
  [HEAP_ALLOC]: Kind.heapAlloc,
  [HEAP_GOAL]: Kind.heapGoal,
};
const GC_TYPES = Object.keys(GC_KINDS).map(Number);

/** What to decode. "extent": no records. */
export type Wanted = "extent" | "pages" | "pages and objects";

const TYPES: Readonly<Record<Wanted, readonly number[]>> = {
  extent: PAGE_TYPES,
  pages: [...PAGE_TYPES, ...PROC_TYPES, ...GC_TYPES],
  "pages and objects": [...PAGE_TYPES, ...PROC_TYPES, ...GC_TYPES, ...OBJECT_TYPES],
};

/** In a table of types: the event matters. Below it is the number of varints, 0 for types that are not known. */
const MATTERS = 8;

/** A P is one that runs if it has this status, or if it is in a system call. */
const RUNNING = 1;
const IN_SYSCALL = 3;

/** Numbers from here on may be inexact. */
const EXACT_LIMIT = 2 ** 53;

/** Which pages the events of a trace name. Addresses in bytes. */
export class Extent {
  /** The lowest page; Infinity if there is none. */
  lowest = Infinity;
  /** Byte of the event that names it. */
  offset = 0;
  /** End of the highest span that existed when the trace began; 0 if there is none. */
  existingEnd = 0;
}

/** Decodes batches of events, generation by generation. */
export class Recorder {
  readonly extent = new Extent();
  readonly #wanted: Wanted;
  /** By type: the number of varints, and whether the event matters. */
  readonly #types = new Uint8Array(256);
  readonly #varint = new Varint();
  /** The P that each M runs, -1 for none. */
  readonly #procs = new Map<number, number>();
  #proc = -1;
  #isFirstGeneration = true;
  #columns = new GrowingColumns();
  /** The part that records go into, the number of records before it, and the index of the next one in it. */
  #part: Columns | undefined;
  #partStart = 0;
  #index = 0;
  /** Ticks where the first batch of the generation starts. */
  #start = Infinity;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    for (const [type, count] of Object.entries(VARINTS)) this.#types[Number(type)] = count;
    for (const type of TYPES[wanted]) this.#types[type] += MATTERS;
  }

  /** Decodes the current batch. Throws PageAllocError ERR_TRACE that names the byte; RangeError when memory is full. */
  take(batch: Batches): void {
    const { bytes, start, end, offset, m, time } = batch;
    const types = this.#types;
    this.#proc = this.#procs.get(m) ?? -1;
    this.#start = Math.min(this.#start, time);
    let now = time;
    let at = start;
    while (at < end) {
      const first = at;
      const what = types[bytes[at++]];
      const byte = bytes[at++];
      if (byte < 0x80) now += byte;
      else {
        at = this.#varint.read(bytes, at - 1);
        if (at < 0) this.#failNumber(offset + first - start);
        now += this.#varint.value;
      }
      if (what > MATTERS) {
        at = this.#event(batch, first, at, now);
        continue;
      }
      if (what === 0) {
        const reason = `events of type ${bytes[first]} are unknown`;
        fail(offset + first - start, `${reason}; the trace is damaged, or of a later version of Go`);
      }
      for (let left = what; left > 1; left--) while (bytes[at++] >= 0x80);
    }
    if (at > end) fail(offset + end - start, "an event exceeds its batch; the trace is damaged");
    if (now >= EXACT_LIMIT) fail(offset, `the batch lasts until tick ${now}; the trace is damaged`);
    this.#procs.set(m, this.#proc);
  }

  /**
   * Ends a generation. Returns its records in order of time, which is in ns, and the time in ns where it starts. Throws
   * RangeError when memory is full.
   *
   * @param frequency ticks a second
   */
  end(frequency: number): { records: Columns; start: number } {
    const length = this.#partStart + this.#index;
    const records = this.#columns.takeByTime(length);
    const tick = 1e9 / frequency;
    const { time } = records;
    for (let i = 0; i < length; i++) time[i] *= tick;
    const start = this.#start * tick;
    this.#columns = new GrowingColumns();
    this.#part = undefined;
    this.#partStart = 0;
    this.#index = 0;
    this.#start = Infinity;
    this.#procs.clear();
    this.#isFirstGeneration = false;
    return { records, start };
  }

  /** Decodes an event that matters. Its varints after the first start at `at`. Returns the index after the event. */
  #event(batch: Batches, first: number, at: number, now: number): number {
    const { bytes } = batch;
    const varint = this.#varint;
    const offset = batch.offset + first - batch.start;
    const type = bytes[first];
    const count = this.#types[type] - MATTERS - 1;
    // The id of a span or object counts from an address, and may have wrapped.
    const unit = type < SPAN || !batch.info ? 2 ** 28 : unitOf(type, batch.info);
    let end = at;
    let distance = 0;
    let value = 0;
    let second = 0;
    let third = 0;
    for (let i = 0; i < count; i++) {
      end = varint.read(bytes, end);
      if (end < 0) this.#failNumber(offset);
      if (i === 0) {
        distance = varint.distance(unit);
        value = varint.value;
      } else if (i === 1) second = varint.value;
      else third = varint.value;
    }
    if (end > batch.end) return end;
    if (type >= SPAN) {
      if (!batch.info)
        fail(offset, "an event of a page comes before the address that it counts from; the trace is damaged");
      const address = batch.info.minHeapAddr + distance * unit;
      if (type <= SPAN_FREE) this.#span(type, address, second, third, batch.info, now, offset);
      else this.#object(type, address, now, offset);
    } else if (GC_KINDS[type] !== undefined) this.#add(now, GC_KINDS[type], value, 0, offset);
    else this.#procEvent(type, value, second, offset);
    return end;
  }

  /** @param npages and `spanKind` are 0 for a free */
  #span(
    type: number,
    address: number,
    npages: number,
    spanKind: number,
    { pageSize }: Info,
    now: number,
    offset: number,
  ): void {
    const end = address + Math.max(npages, 1) * pageSize;
    const isFree = type === SPAN_FREE;
    if (!(address >= 0 && end <= ADDRESS_LIMIT) || (npages === 0 && !isFree) || npages >= 2 ** 32) {
      const reason = `a span of ${npages} pages cannot lie at ${address}`;
      fail(offset, `${reason}; spans lie between 0 and 2^48; the trace is damaged`);
    }
    const { extent } = this;
    if (address < extent.lowest) {
      extent.lowest = address;
      extent.offset = offset;
    }
    if (type === SPAN && this.#isFirstGeneration && end > extent.existingEnd) extent.existingEnd = end;
    if (this.#wanted === "extent") return;
    if (isFree) this.#add(now, Kind.free, address, 0, offset);
    else
      this.#add(now, (type === SPAN ? Kind.exists : Kind.alloc) + classOf(spanKind), address, npages, offset);
  }

  #object(type: number, address: number, now: number, offset: number): void {
    if (!(address >= 0 && address < ADDRESS_LIMIT)) {
      fail(offset, `an object cannot lie at ${address}; the trace is damaged`);
    }
    this.#add(now, Kind.objectExists + type - HEAP_OBJECT, address, 0, offset);
  }

  #procEvent(type: number, id: number, status: number, offset: number): void {
    if (type === PROC_STOP) {
      this.#proc = -1;
      return;
    }
    if (id >= 2 ** 31) fail(offset, `no P can have the id ${id}; the trace is damaged`);
    if (type === PROC_START || status === RUNNING || status === IN_SYSCALL) this.#proc = id;
  }

  #add(now: number, kind: number, base: number, npages: number, offset: number): void {
    const part = this.#roomyPart();
    const index = this.#index++;
    part.time[index] = now;
    part.proc[index] = this.#proc;
    part.kind[index] = kind;
    part.base[index] = base;
    part.npages[index] = npages;
    part.offset[index] = offset;
  }

  /** Returns the part that the next record goes into. */
  #roomyPart(): Columns {
    if (this.#part && this.#index < this.#part.length) return this.#part;
    const part = this.#columns.grow();
    this.#partStart += this.#index;
    this.#index = 0;
    this.#part = part;
    return part;
  }

  #failNumber(offset: number): never {
    fail(offset, "a number of the event has more than 64 bits; the trace is damaged");
  }
}

/** Returns the bytes that the id of a span or object counts in. */
function unitOf(type: number, { pageSize, objectAlign }: Info): number {
  return type <= SPAN_FREE ? pageSize : objectAlign;
}

/** Returns the size class of a span. Bit 0 of its kind is set if it has no objects; bit 1 is no matter here. */
function classOf(spanKind: number): number {
  const sizeClass = Math.floor(spanKind / 4);
  return spanKind % 2 === 1 || sizeClass >= CLASSES ? NO_CLASS : sizeClass;
}
