// What is read of a memory snapshot: each device's history, and the segments and blocks at the end.
//
// The numbers go into columns as soon as their dict is complete.

import { PageAllocError } from "../../../base/errors.ts";
import { type Columns, GrowingColumns } from "../../columns/growing-columns.ts";
import { ADDRESS_LIMIT, ALLOC, FREE, GROW, UNMAP } from "../../events.ts";
import { type Node, TAKEN, type Value } from "./node.ts";

/** Bytes per page. PyTorch rounds all sizes up to it. */
export const PAGE_BYTES = 512;
/** Most pages of an event. */
const MAX_PAGES = 2 ** 32 - 1;
/** Most devices of a snapshot. PyTorch numbers them in a signed byte. */
const MAX_DEVICES = 128;

/** The actions that change something, and the kind of event that each is. */
const KINDS: ReadonlyMap<Value, number> = new Map<Value, number>([
  ["alloc", ALLOC],
  ["free_completed", FREE],
  ["segment_alloc", GROW],
  ["segment_map", GROW],
  ["segment_free", UNMAP],
  ["segment_unmap", UNMAP],
]);

/** The states of a block that is in use, or will be free when another stream has done with it. */
const ACTIVE: ReadonlySet<Value> = new Set<Value>([
  "active_allocated",
  "active_pending_free",
  "active_awaiting_free",
]);

/** The snapshot: a dict of segments and device traces. */
export class Snapshot implements Node {
  readonly isList = false;
  /** Undefined if the snapshot has none. */
  traces: Traces | undefined;
  segments: Segments | undefined;

  child(isList: boolean, key: string | undefined, byte: number): Node | undefined {
    if (!isList) return undefined;
    if (key === "device_traces") return new Traces(byte);
    return key === "segments" ? new Segments() : undefined;
  }

  put(key: string | undefined, value: Value): void {
    if (key === "device_traces" && value instanceof Traces) this.traces = value;
    if (key === "segments" && value instanceof Segments) this.segments = value;
  }
}

/** The list of device traces. */
export class Traces implements Node {
  readonly isList = true;
  /** Offset of the list in the file. */
  readonly byte: number;
  /** The traces, by device. */
  readonly devices: DeviceTrace[] = [];
  #begun = 0;

  constructor(byte: number) {
    this.byte = byte;
  }

  child(isList: boolean, _key: string | undefined, byte: number): Node | undefined {
    if (!isList) return undefined;
    if (this.#begun === MAX_DEVICES) fail(byte, `device_traces has more than ${MAX_DEVICES} devices`);
    return new DeviceTrace(this.#begun++, byte);
  }

  put(_key: string | undefined, value: Value): void {
    const device = this.devices.length;
    if (!(value instanceof DeviceTrace)) {
      fail(this.byte, `device_traces[${device}] must be a list of entries, got ${describe(value)}`);
    }
    if (device === MAX_DEVICES) fail(this.byte, `device_traces has more than ${MAX_DEVICES} devices`);
    this.devices.push(value);
  }
}

/** The history of one device. */
export class DeviceTrace implements Node {
  readonly isList = true;
  /** A process with several devices may have one empty list for all that it did not use. */
  readonly isShared = true;
  /** Number of events: entries that change something. */
  length = 0;
  readonly #device: number;
  readonly #byte: number;
  readonly #columns = new GrowingColumns();
  /** The part that events go into, and the index of the next one in it. */
  #part: Columns | undefined;
  #index = 0;
  /** Number of entries that began and that were appended. */
  #begun = 0;
  #appended = 0;
  #time = 0;
  /** Streams by their handles, numbered as they appear. */
  readonly #streams = new Map<number | bigint, number>();

  constructor(device: number, byte: number) {
    this.#device = device;
    this.#byte = byte;
  }

  child(isList: boolean, _key: string | undefined, byte: number): Node | undefined {
    return isList ? undefined : new Entry(this, this.#begun++, byte);
  }

  put(_key: string | undefined, value: Value): void {
    if (value instanceof Entry) value.end();
    else if (value !== TAKEN) {
      fail(
        this.#byte,
        `${this.#name(this.#appended)} must be a dict of its own with an action, got ${describe(value)}`,
      );
    }
    this.#appended++;
  }

  /** Adds an entry to the history. */
  add(entry: Entry): void {
    const { action, stream, index, byte } = entry;
    const kind = KINDS.get(action);
    if (kind === undefined) return;
    const base = entry.addr;
    if (!isPageAddress(base)) failAddress(byte, `${this.#name(index)}, ${action}: addr`, base);
    const npages = pagesOf(entry.size, base);
    if (npages === undefined) failSize(byte, `${this.#name(index)}, ${action}: size`, entry.size);
    const time = timeOf(entry.time, index);
    if (time === undefined) failTime(byte, `${this.#name(index)}, ${action}: time_us`, entry.time);
    // The list has the order in which the allocator did it. Its clock may go back a little.
    this.#time = Math.max(this.#time, time);
    const part = this.#roomyPart();
    const event = this.#index++;
    part.time[event] = this.#time;
    part.proc[event] = this.#numberOf(stream);
    part.kind[event] = kind;
    part.base[event] = base;
    part.npages[event] = npages;
    part.offset[event] = byte;
    this.length++;
  }

  /** Returns the events, in order, and drops them. Throws RangeError when memory is full. */
  take(): Columns {
    this.#part = undefined;
    return this.#columns.takeByTime(this.length);
  }

  #name(index: number): string {
    return `device_traces[${this.#device}][${index}]`;
  }

  #numberOf(stream: Value): number {
    if (typeof stream !== "number" && typeof stream !== "bigint") return -1;
    let number = this.#streams.get(stream);
    if (number === undefined) {
      number = this.#streams.size;
      this.#streams.set(stream, number);
    }
    return number;
  }

  /** Returns the part that the next event goes into. Throws RangeError when memory is full. */
  #roomyPart(): Columns {
    if (this.#part && this.#index < this.#part.length) return this.#part;
    this.#part = this.#columns.grow();
    this.#index = 0;
    return this.#part;
  }
}

/** An entry of a history. */
class Entry implements Node {
  readonly isList = false;
  readonly index: number;
  readonly byte: number;
  action: Value;
  addr: Value;
  size: Value;
  stream: Value;
  time: Value;
  readonly #trace: DeviceTrace;

  constructor(trace: DeviceTrace, index: number, byte: number) {
    this.#trace = trace;
    this.index = index;
    this.byte = byte;
  }

  child(): undefined {
    return undefined;
  }

  put(key: string | undefined, value: Value): void {
    if (key === "action") this.action = value;
    else if (key === "addr") this.addr = value;
    else if (key === "size") this.size = value;
    else if (key === "stream") this.stream = value;
    else if (key === "time_us") this.time = value;
  }

  end(): void {
    this.#trace.add(this);
  }
}

/** The segments at the end, and the blocks in them that are in use, as columns. */
export class Segments implements Node {
  readonly isList = true;
  /** Of each segment: its device, its address in bytes, its pages, and its offset in the file. */
  readonly device: Value[] = [];
  readonly base: number[] = [];
  readonly npages: number[] = [];
  readonly offset: number[] = [];
  readonly blocks = new Blocks();

  child(isList: boolean, _key: string | undefined, byte: number): Node | undefined {
    return isList ? undefined : new Segment(this, byte);
  }

  put(): void {}
}

/** The blocks in use, as columns. */
export class Blocks {
  /** Of each block: the index of its segment, its address in bytes, its pages, and its offset in the file. */
  readonly segment: number[] = [];
  readonly base: number[] = [];
  readonly npages: number[] = [];
  readonly offset: number[] = [];
}

/** A segment. */
class Segment implements Node {
  readonly isList = false;
  readonly #segments: Segments;
  readonly #byte: number;
  #device: Value;
  #address: Value;
  #size: Value;

  constructor(segments: Segments, byte: number) {
    this.#segments = segments;
    this.#byte = byte;
  }

  child(isList: boolean, key: string | undefined): Node | undefined {
    if (!isList || key !== "blocks") return undefined;
    return new BlockList(this.#segments);
  }

  put(key: string | undefined, value: Value): void {
    if (key === "device") this.#device = value;
    else if (key === "address") this.#address = value;
    else if (key === "total_size") this.#size = value;
  }

  end(): void {
    const { device, base, npages, offset } = this.#segments;
    const name = `segments[${base.length}]`;
    const address = this.#address;
    if (!isPageAddress(address)) failAddress(this.#byte, `${name}: address`, address);
    const pages = pagesOf(this.#size, address);
    if (pages === undefined) failSize(this.#byte, `${name}: total_size`, this.#size);
    npages.push(pages);
    device.push(this.#device);
    base.push(address);
    offset.push(this.#byte);
  }
}

/** The list of a segment's blocks. */
class BlockList implements Node {
  readonly isList = true;
  readonly #segments: Segments;

  constructor(segments: Segments) {
    this.#segments = segments;
  }

  child(isList: boolean, _key: string | undefined, byte: number): Node | undefined {
    return isList ? undefined : new Block(this.#segments, byte);
  }

  put(): void {}
}

/** A block of a segment. */
class Block implements Node {
  readonly isList = false;
  readonly #segments: Segments;
  readonly #byte: number;
  #address: Value;
  #size: Value;
  #requested: Value;
  #state: Value;

  constructor(segments: Segments, byte: number) {
    this.#segments = segments;
    this.#byte = byte;
  }

  child(): undefined {
    return undefined;
  }

  put(key: string | undefined, value: Value): void {
    if (key === "address") this.#address = value;
    else if (key === "size") this.#size = value;
    else if (key === "requested_size") this.#requested = value;
    else if (key === "state") this.#state = value;
  }

  end(): void {
    if (!ACTIVE.has(this.#state)) return;
    const { blocks, base: segments } = this.#segments;
    const name = `segments[${segments.length}].blocks: a block in use: `;
    const base = this.#address;
    if (!isPageAddress(base)) failAddress(this.#byte, `${name}address`, base);
    // The history has what was asked for, which may be less than the block.
    const size = this.#requested ?? this.#size;
    const npages = pagesOf(size, base);
    if (npages === undefined) {
      failSize(this.#byte, `${name}${this.#requested === undefined ? "" : "requested_"}size`, size);
    }
    blocks.segment.push(segments.length);
    blocks.base.push(base);
    blocks.npages.push(npages);
    blocks.offset.push(this.#byte);
  }
}

/** Reports whether a value is an address of a page. */
function isPageAddress(value: Value): value is number {
  return typeof value === "number" && value >= 0 && value % PAGE_BYTES === 0 && value < ADDRESS_LIMIT;
}

function failAddress(byte: number, name: string, value: Value): never {
  const allowed = `a multiple of ${PAGE_BYTES} below 2^48, as all addresses of PyTorch's allocator are`;
  fail(byte, `${name} must be ${allowed}; got ${describe(value)}`);
}

/** Returns the pages of a number of bytes from `base` on, at least one; undefined for what is no such number. */
function pagesOf(size: Value, base: number): number | undefined {
  if (typeof size !== "number" || size < 0) return undefined;
  const npages = Math.max(1, Math.ceil(size / PAGE_BYTES));
  return npages <= MAX_PAGES && base + npages * PAGE_BYTES <= ADDRESS_LIMIT ? npages : undefined;
}

function failSize(byte: number, name: string, size: Value): never {
  const allowed = `an integer from 0 to ${MAX_PAGES * PAGE_BYTES} that ends below 2^48`;
  fail(byte, `${name} must be ${allowed}, got ${describe(size)}`);
}

/** Returns a time in ns; undefined for what is none. Without one, entries are a microsecond apart. */
function timeOf(time: Value, index: number): number | undefined {
  if (time === undefined) return index * 1000;
  return typeof time === "number" && time >= 0 ? time * 1000 : undefined;
}

function failTime(byte: number, name: string, time: Value): never {
  fail(byte, `${name} must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}, got ${describe(time)}`);
}

/** Describes a value for messages. */
function describe(value: Value): string {
  if (typeof value === "number" || typeof value === "bigint") {
    return `${value}${value >= 0 ? ` (0x${value.toString(16)})` : ""}`;
  }
  if (typeof value === "string") return `"${value}"`;
  return value === undefined ? "something else, or nothing" : `a ${value.isList ? "list" : "dict"}`;
}

/** Throws PageAllocError ERR_TRACE that names a byte. */
export function fail(byte: number, reason: string): never {
  throw new PageAllocError("ERR_TRACE", `byte ${byte}: ${reason}`);
}
