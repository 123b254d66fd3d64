// Decodes the events of an execution trace that matter here into records: columns whose `kind` is one of those below.

import { type Columns, GrowingColumns } from "../../columns/growing-columns.ts";
import { ADDRESS_LIMIT } from "../../events.ts";
import type { Batches, Info } from "./batches.ts";
import { fail } from "./damage.ts";
import { GcKind, type GcRecord, GcRecords } from "./gc-records.ts";
import { failNumber, Scanner } from "./scanner.ts";
import { Varint } from "./varint.ts";

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

/** Kinds of records. For spans that exist or are allocated, the size class is added. `base` is an address in bytes. */
export const Kind = {
  exists: 0,
  alloc: NO_CLASS + 1,
  free: 2 * (NO_CLASS + 1),
  objectExists: 2 * (NO_CLASS + 1) + 1,
  objectAlloc: 2 * (NO_CLASS + 1) + 2,
  objectFree: 2 * (NO_CLASS + 1) + 3,
} as const;

const PAGE_TYPES = [SPAN, SPAN_ALLOC, SPAN_FREE];
const OBJECT_TYPES = [HEAP_OBJECT, HEAP_OBJECT_ALLOC, HEAP_OBJECT_FREE];
const PROC_TYPES = [PROC_START, PROC_STOP, PROC_STATUS];
/** Types of events about the collector, with the kinds of their records. */
const GC_KINDS: Readonly<Record<number, number>> = {
  [GC_BEGIN]: GcKind.begin,
  [GC_END]: GcKind.end,
  [GC_SWEEP_END]: GcKind.sweepEnd,
  [HEAP_ALLOC]: GcKind.heapAlloc,
  [HEAP_GOAL]: GcKind.heapGoal,
};
const GC_TYPES = Object.keys(GC_KINDS).map(Number);

/** What to decode. "extent": no records. */
export type Wanted = "extent" | "pages" | "pages and objects";

const TYPES: Readonly<Record<Wanted, readonly number[]>> = {
  extent: PAGE_TYPES,
  pages: [...PAGE_TYPES, ...PROC_TYPES, ...GC_TYPES],
  "pages and objects": [...PAGE_TYPES, ...PROC_TYPES, ...GC_TYPES, ...OBJECT_TYPES],
};

/** A P is one that runs if it has this status, or if it is in a system call. */
const RUNNING = 1;
const IN_SYSCALL = 3;

/** Ids of Ps are below this, far more than processors have threads. A replay has a page cache for each. */
const PROCS_LIMIT = 2 ** 16;

/** Numbers from here on may be inexact. */
const EXACT_LIMIT = 2 ** 53;

/** The records of a generation, in order; times in ns. */
export interface Generation {
  readonly records: Columns;
  readonly gc: readonly GcRecord[];
  /** Time of its start. */
  readonly start: number;
}

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
  readonly #scanner: Scanner;
  readonly #varint = new Varint();
  /** The P that each M runs, -1 for none. */
  readonly #procs = new Map<number, number>();
  #proc = -1;
  #isFirstGeneration = true;
  readonly #gc = new GcRecords();
  #columns = new GrowingColumns();
  /** The part that records go into, the number of records before it, and the index of the next one in it. */
  #part: Columns | undefined;
  #partStart = 0;
  #index = 0;
  /** Ticks where the first batch of the generation starts. */
  #start = Infinity;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.#scanner = new Scanner(TYPES[wanted]);
  }

  /** Decodes the current batch. Throws PageAllocError ERR_TRACE that names the byte; RangeError when memory is full. */
  take(batch: Batches): void {
    const { bytes, start, end, offset, m, time } = batch;
    const scanner = this.#scanner;
    const { starts, numbers, times } = scanner;
    this.#varint.open(bytes);
    this.#proc = this.#procs.get(m) ?? -1;
    this.#start = Math.min(this.#start, time);
    scanner.now = time;
    for (let at = start; at < end; ) {
      at = scanner.scan(batch, at);
      for (let i = 0; i < scanner.count; i++) this.#event(batch, starts[i], numbers[i], times[i]);
    }
    if (scanner.now >= EXACT_LIMIT) {
      fail(offset, `the batch lasts until tick ${scanner.now}; the trace is damaged`);
    }
    this.#procs.set(m, this.#proc);
  }

  /**
   * Ends a generation, and returns it. Throws RangeError when memory is full.
   *
   * @param frequency ticks a second
   */
  end(frequency: number): Generation {
    const length = this.#partStart + this.#index;
    const records = this.#columns.takeByTime(length);
    const tick = 1e9 / frequency;
    const { time } = records;
    for (let i = 0; i < length; i++) time[i] *= tick;
    const gc = this.#gc.take(tick);
    const start = this.#start * tick;
    this.#columns = new GrowingColumns();
    this.#part = undefined;
    this.#partStart = 0;
    this.#index = 0;
    this.#start = Infinity;
    this.#procs.clear();
    this.#isFirstGeneration = false;
    return { records, gc, start };
  }

  /** Decodes an event that matters, which is whole. Its numbers after the time start at `at`. */
  #event(batch: Batches, start: number, at: number, time: number): void {
    const offset = batch.offset + start - batch.start;
    const type = batch.bytes[start];
    if (type >= SPAN) {
      this.#memoryEvent(batch.info, type, at, time, offset);
    } else if (type === PROC_STOP) {
      this.#proc = -1;
    } else if (type === PROC_START || type === PROC_STATUS) {
      this.#procEvent(type, at, offset);
    } else {
      this.#read(at, offset);
      this.#gc.add(time, GC_KINDS[type], this.#varint.value);
    }
  }

  /** Decodes an event of a P, from its id on. */
  #procEvent(type: number, start: number, offset: number): void {
    const at = this.#read(start, offset);
    const id = this.#varint.value;
    if (id >= PROCS_LIMIT) {
      fail(offset, `no P can have the id ${id}, as ids are below ${PROCS_LIMIT}; the trace is damaged`);
    }
    this.#read(at, offset);
    const status = this.#varint.value;
    if (type === PROC_START || status === RUNNING || status === IN_SYSCALL) this.#proc = id;
  }

  /** Decodes an event of a span or object, from its id on. */
  #memoryEvent(info: Info | undefined, type: number, start: number, time: number, offset: number): void {
    if (!info)
      fail(offset, "an event of a page comes before the address that it counts from; the trace is damaged");
    const varint = this.#varint;
    // The id counts from an address, and may have wrapped.
    const unit = type <= SPAN_FREE ? info.pageSize : info.objectAlign;
    let at = this.#read(start, offset);
    const address = info.minHeapAddr + varint.distance(unit) * unit;
    if (type > SPAN_FREE) {
      this.#object(type, address, time, offset);
      return;
    }
    let npages = 0;
    let spanKind = 0;
    if (type !== SPAN_FREE) {
      at = this.#read(at, offset);
      npages = varint.value;
      this.#read(at, offset);
      spanKind = varint.value;
    }
    this.#span(type, address, npages, spanKind, info.pageSize, time, offset);
  }

  /** Reads a number of the event at byte `offset` of the file. Returns the index after it. */
  #read(at: number, offset: number): number {
    const end = this.#varint.read(at);
    if (end < 0) failNumber(offset);
    return end;
  }

  /** @param npages and `spanKind` are 0 for a free */
  #span(
    type: number,
    address: number,
    npages: number,
    spanKind: number,
    pageSize: number,
    time: number,
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
    if (isFree) this.#add(time, Kind.free, address, 0, offset);
    else
      this.#add(
        time,
        (type === SPAN ? Kind.exists : Kind.alloc) + classOf(spanKind),
        address,
        npages,
        offset,
      );
  }

  #object(type: number, address: number, time: number, offset: number): void {
    if (!(address >= 0 && address < ADDRESS_LIMIT)) {
      fail(offset, `an object cannot lie at ${address}; the trace is damaged`);
    }
    this.#add(time, Kind.objectExists + type - HEAP_OBJECT, address, 0, offset);
  }

  /** Adds a record of the current P. */
  #add(time: number, kind: number, base: number, npages: number, offset: number): void {
    const part = this.#roomyPart();
    const index = this.#index++;
    part.time[index] = time;
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
}

/** Returns the size class of a span. Bit 0 of its kind is set if it has no objects; bit 1 is no matter here. */
function classOf(spanKind: number): number {
  const sizeClass = Math.floor(spanKind / 4);
  return spanKind % 2 === 1 || sizeClass >= CLASSES ? NO_CLASS : sizeClass;
}
