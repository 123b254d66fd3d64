// Goes over the batches of an execution trace. They come in generations, each of which can be read by itself.
//
// The file starts with its version in 16 bytes. Batches follow; all numbers are varints, except for the first byte:
//
//   1            generation, M, time, size          `size` bytes of events, or of one of the tables below
//   49, byte     generation, M, time, size          data of the experiment of that number
//   52                                              the generation ends (1.26 and later)
//
// The first byte of a batch's data says what it has:
//
//   2 stacks, 4 strings, 6 CPU samples              skipped. Strings end a generation
//   8, frequency                                    ticks a second (up to 1.24)
//   50, 8, frequency, ...                           the same (1.25 and later)
//   in an experiment: 1, then 4 numbers             see Info
//   any other                                       events

import { ByteReader } from "../../source/byte-reader.ts";
import type { Blocks } from "../../source/source.ts";
import { fail, failWithoutPages } from "./damage.ts";
import { VARINT_BYTES, Varint } from "./varint.ts";

/** Bytes at the start of the file, which name the version. */
const START_BYTES = 16;
/** Minor versions of Go whose traces have page events; 1.24 writes that of 1.23, and 1.27 that of 1.26. */
const VERSIONS = [23, 25, 26];
/** The first version that marks the end of a generation. */
const MARKED_VERSION = 26;

const EVENT_BATCH = 1;
const EXPERIMENTAL_BATCH = 49;
const END_OF_GENERATION = 52;
/** The experiment that records pages and objects. */
const ALLOC_FREE = 1;

const STACKS = 2;
const STRINGS = 4;
const CPU_SAMPLES = 6;
const FREQUENCY = 8;
const SYNC = 50;
const INFO = 1;

/** Most bytes of a batch's header. */
const HEADER_BYTES = 2 + 4 * VARINT_BYTES;
/** Most bytes of a batch's data. Go writes at most 64 KiB. */
const BATCH_LIMIT = 2 ** 24;
/** Numbers from here on may be inexact. No time, size or generation is as large. */
const EXACT_LIMIT = 2 ** 53;
/** Page sizes that are read: Go's is 8192. */
const PAGE_BYTES_MIN = 2 ** 10;
const PAGE_BYTES_MAX = 2 ** 20;

/** How the experiment numbers spans and objects: by their distance from an address. */
export interface Info {
  readonly minHeapAddr: number;
  /** Bytes per page, the unit of the ids of spans. */
  readonly pageSize: number;
  /** Bytes that objects are aligned to, the unit of their ids. */
  readonly objectAlign: number;
}

interface Header {
  /** Byte of the file where the batch starts. */
  readonly offset: number;
  /** Number of the experiment, 0 for none. */
  readonly experiment: number;
  readonly generation: number;
  readonly m: number;
  /** In ticks. */
  readonly time: number;
  readonly size: number;
}

/** In place of a header: the generation ends. */
const END = "end";

/** Returns the minor version of Go that a file's first bytes name; undefined if it is no execution trace. */
export function versionOf(start: Uint8Array): number | undefined {
  const text = String.fromCharCode(...start.subarray(0, START_BYTES));
  const digits = text.slice(5, 7);
  if (text !== `go 1.${digits} trace\0\0\0` || !/^\d\d$/.test(digits)) return undefined;
  return Number(digits);
}

/** The batches of one file. */
export class Batches {
  /** The current batch has its events at [start, end) of `bytes`. They are valid until `next`. */
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** Byte of the file that `bytes[start]` is. */
  offset = 0;
  /** Id of the thread (Go's M) that wrote the current batch. Inexact from 2^53 on. */
  m = 0;
  /** Ticks that the time of the first event counts from. */
  time = 0;
  /** Undefined until the batch that has it. */
  info: Info | undefined;
  /** Ticks a second, NaN until the first batch that has it. It may follow the events of its generation. */
  frequency = Number.NaN;
  /** Whether the current generation is there to its end, as far as the file shows. */
  complete = false;
  readonly #reader: ByteReader;
  readonly #varint = new Varint();
  #version = 0;
  #generation = 0;
  /** Whether a batch of the current generation has been read, and not its end. */
  #isOpen = false;
  /** The header of the next batch, if it has been read. */
  #header: Header | undefined;

  constructor(blocks: Blocks) {
    this.#reader = new ByteReader(blocks);
  }

  /** Byte of the file that is read next. */
  get position(): number {
    return this.#reader.offset;
  }

  /**
   * Reads up to the next batch of events, or to the end of a generation or of the file. Throws PageAllocError ERR_TRACE
   * that names the byte.
   */
  async next(): Promise<"events" | "generation" | "end"> {
    this.#reader.position += this.end - this.start;
    this.start = this.end;
    if (this.#version === 0) await this.#readVersion();
    for (;;) {
      const header = this.#header ?? (await this.#readHeader());
      this.#header = undefined;
      if (header === END || !this.#isOpen) {
        if (!header) return "end";
        if (header === END) return this.#endGeneration();
        this.#beginGeneration(header);
      } else if (header?.generation !== this.#generation) {
        this.#header = header;
        this.#isOpen = false;
        return "generation";
      }
      if (await this.#readBatch(header)) return "events";
    }
  }

  async #readVersion(): Promise<void> {
    const reader = this.#reader;
    await reader.fill(START_BYTES);
    const version = versionOf(reader.bytes);
    if (version === undefined) fail(0, "this is no Go execution trace: it does not start with its version");
    if (version < VERSIONS[0]) failWithoutPages();
    if (!VERSIONS.includes(version)) {
      const known = VERSIONS.map((minor) => `1.${minor}`).join(", ");
      fail(0, `this is a Go execution trace of version 1.${version}; versions ${known} can be read`);
    }
    reader.position += START_BYTES;
    this.#version = version;
  }

  /** Reads the header of a batch; undefined at the end of the file. */
  async #readHeader(): Promise<Header | typeof END | undefined> {
    const reader = this.#reader;
    await reader.fill(HEADER_BYTES);
    if (reader.left === 0) return undefined;
    const { bytes, offset } = reader;
    const type = bytes[reader.position++];
    if (type === END_OF_GENERATION) return END;
    if (type !== EVENT_BATCH && type !== EXPERIMENTAL_BATCH) {
      const allowed = `batches start with ${EVENT_BATCH}, ${EXPERIMENTAL_BATCH} or ${END_OF_GENERATION}`;
      fail(offset, `there is a ${type} where a batch should start; ${allowed}; the trace is damaged`);
    }
    // Beyond the end of the file it is undefined, and the numbers that follow are missing.
    const experiment = type === EXPERIMENTAL_BATCH ? bytes[reader.position++] : 0;
    const generation = this.#number("a generation");
    const m = this.#number("an M", Infinity);
    const time = this.#number("a time");
    const size = this.#number("a batch's size", BATCH_LIMIT + 1);
    return { offset, experiment, generation, m, time, size };
  }

  /** Reads a number below `limit`. The window must hold it, unless the file ends. */
  #number(what: string, limit = EXACT_LIMIT): number {
    const reader = this.#reader;
    const byte = reader.offset;
    this.#varint.open(reader.bytes);
    const end = this.#varint.read(reader.position);
    if (end < 0) fail(byte, `${what} has more than 64 bits; the trace is damaged`);
    if (end > reader.bytes.length) fail(byte, `the trace is cut short: ${what} is missing`);
    const { value } = this.#varint;
    if (value >= limit) fail(byte, `${what} is ${value}, must be below ${limit}; the trace is damaged`);
    reader.position = end;
    return value;
  }

  #beginGeneration({ generation, offset }: Header): void {
    if (generation <= this.#generation) {
      const reason = `generation ${generation} follows generation ${this.#generation}`;
      fail(offset, `${reason}; they must ascend; the trace is damaged`);
    }
    this.#generation = generation;
    this.#isOpen = true;
    this.complete = false;
  }

  #endGeneration(): "generation" {
    if (!this.#isOpen) fail(this.position - 1, "a generation ends that has not begun; the trace is damaged");
    this.#isOpen = false;
    this.complete = true;
    return "generation";
  }

  /** Reads a batch. Returns whether it has events. */
  async #readBatch(header: Header): Promise<boolean> {
    const reader = this.#reader;
    if (header.size === 0) return false;
    if (!(await reader.fill(1))) this.#failCut(header);
    const first = reader.bytes[reader.position];
    const isExperiment = header.experiment !== 0;
    const isSkipped = isExperiment
      ? header.experiment !== ALLOC_FREE || first !== INFO
      : first === STACKS || first === STRINGS || first === CPU_SAMPLES;
    if (isSkipped) {
      if (first === STRINGS && !isExperiment && this.#version < MARKED_VERSION) this.complete = true;
      if (!(await reader.skip(header.size))) this.#failCut(header);
      return false;
    }
    if (!(await reader.fill(header.size))) this.#failCut(header);
    if (isExperiment || first === FREQUENCY || first === SYNC) {
      this.#readFacts(header, first);
      return false;
    }
    this.bytes = reader.bytes;
    this.start = reader.position;
    this.end = this.start + header.size;
    this.offset = reader.offset;
    this.m = header.m;
    this.time = header.time;
    return true;
  }

  /** Reads a batch that has the info or the frequency. */
  #readFacts({ offset, experiment, size }: Header, first: number): void {
    const reader = this.#reader;
    const end = reader.position + size;
    reader.position++;
    if (experiment !== 0) this.info = this.#readInfo(offset);
    else {
      if (first === SYNC && reader.bytes[reader.position++] !== FREQUENCY) {
        fail(reader.offset - 1, "the frequency of the clock should be here; the trace is damaged");
      }
      this.frequency = this.#number("the frequency");
      if (this.frequency === 0) fail(offset, "the frequency of the clock is 0; the trace is damaged");
    }
    if (reader.position > end)
      fail(offset, `the batch has ${size} bytes, and needs more; the trace is damaged`);
    reader.position = end;
  }

  #readInfo(offset: number): Info {
    const minHeapAddr = this.#number("the heap's address", 2 ** 48);
    const pageSize = this.#number("the page size");
    const objectAlign = this.#number("the alignment of objects");
    if (!isPowerOfTwo(pageSize, PAGE_BYTES_MIN, PAGE_BYTES_MAX)) {
      const allowed = `a power of two from ${PAGE_BYTES_MIN} to ${PAGE_BYTES_MAX}`;
      fail(offset, `the page size is ${pageSize}, must be ${allowed}; the trace is damaged`);
    }
    if (!isPowerOfTwo(objectAlign, 1, pageSize)) {
      const allowed = "a power of two up to the page size";
      fail(offset, `the alignment of objects is ${objectAlign}, must be ${allowed}; the trace is damaged`);
    }
    if (minHeapAddr % pageSize !== 0) {
      fail(offset, `the heap's address ${minHeapAddr} is no multiple of the page size; the trace is damaged`);
    }
    return { minHeapAddr, pageSize, objectAlign };
  }

  #failCut({ offset, size }: Header): never {
    const byte = this.position + this.#reader.left;
    fail(byte, `the trace is cut short in the batch at byte ${offset}, which has ${size} bytes of data`);
  }
}

function isPowerOfTwo(value: number, min: number, max: number): boolean {
  return value >= min && value <= max && (value & (value - 1)) === 0;
}
