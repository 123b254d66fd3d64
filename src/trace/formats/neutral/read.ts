// Reads the neutral form. Each frame is unpacked while the block before it is used.

import { PageAllocError } from "../../../base/errors.ts";
import { joinGc } from "../../columns/join.ts";
import type { GcEvents, ObjectCounts, PageTrace, TraceCorrections } from "../../events.ts";
import type { OpenTrace } from "../../format.ts";
import { ByteReader } from "../../source/byte-reader.ts";
import type { Input } from "../../source/input.ts";
import { crc32 } from "./crc32.ts";
import {
  ContentError,
  decodeCorrections,
  decodeCycles,
  decodeEvents,
  decodeIndex,
  decodeObjects,
} from "./decode.ts";
import {
  CORRECTIONS,
  CRC_BYTES,
  CUT_SHORT,
  CYCLES,
  END,
  EVENTS,
  HEAD_BYTES,
  HEADER_BYTES,
  type Head,
  INDEX,
  isPossible,
  MAGIC,
  OBJECTS,
  ORIGIN_BYTES,
} from "./layout.ts";
import { unpack } from "./pack.ts";

const CUT = "the file is cut short";
const DAMAGED = "the file is damaged";
const FOREIGN = "the file is damaged, or not written as palloc writes it";

/** Index of the version in the magic. */
const VERSION = MAGIC.length - 1;

/** Cycles that may wait for the block in which they ended. If there are more, they get one without events. */
const WAITING_CYCLES = 2 ** 18;

/** A frame whose sum is right. */
interface Frame extends Head {
  /** Its byte offset in the file. */
  readonly at: number;
  /** Its content; undefined if that cannot be unpacked. */
  readonly content: Promise<Uint8Array | undefined>;
}

/** Reports whether a file is of this form, of whatever version. */
export function isNeutral(start: Uint8Array): boolean {
  return start.length >= MAGIC.length && MAGIC.subarray(0, VERSION).every((byte, i) => start[i] === byte);
}

/** Begins to read. */
export async function openNeutral(input: Input): Promise<OpenTrace> {
  const reader = new ByteReader(await input.open());
  const { pageSize, origin } = await readHeader(reader);
  const blocks = new BlockReader(input, reader, pageSize, origin).blocks();
  return { pageSize, ...(origin && { origin }), blocks };
}

async function readHeader(reader: ByteReader): Promise<{ pageSize: number; origin: string }> {
  if (!(await reader.fill(HEADER_BYTES))) fail(reader.left, `${CUT} in its header`);
  const { bytes } = reader;
  if (!isNeutral(bytes)) fail(0, "this is not the neutral form: it does not start with 0x89 and pages");
  const version = bytes[VERSION];
  if (version !== MAGIC[VERSION]) {
    fail(VERSION, `the file has version ${version}, and this palloc reads version ${MAGIC[VERSION]}`);
  }
  const view = viewOf(bytes);
  const pageSize = view.getUint32(8, true);
  const originBytes = view.getUint32(12, true);
  if (originBytes > ORIGIN_BYTES) fail(12, `the name of a format has ${originBytes} bytes; ${DAMAGED}`);
  const sumAt = HEADER_BYTES + originBytes;
  if (!(await reader.fill(sumAt + CRC_BYTES))) fail(reader.left, `${CUT} in its header`);
  const header = reader.bytes;
  if (viewOf(header).getUint32(sumAt, true) !== crc32(header.subarray(0, sumAt))) {
    fail(0, `the header's checksum is wrong; ${DAMAGED}`);
  }
  if (pageSize < 16 || pageSize > 2 ** 30 || (pageSize & (pageSize - 1)) !== 0) {
    fail(8, `pages of ${pageSize} bytes cannot be; ${FOREIGN}`);
  }
  const origin = new TextDecoder().decode(header.subarray(HEADER_BYTES, sumAt));
  reader.position = sumAt + CRC_BYTES;
  return { pageSize, origin };
}

/** Reads the frames, as blocks. */
class BlockReader {
  readonly #input: Input;
  readonly #reader: ByteReader;
  readonly #pageSize: number;
  readonly #origin: string;
  /** Time of the last event. */
  #time = Number.NEGATIVE_INFINITY;
  /** The cycles of the next block, and the byte where it starts. */
  #cycles: GcEvents[] = [];
  #blockAt = -1;
  /** What comes after the events. */
  #objects: ObjectCounts | undefined;
  #cutShort: string | undefined;
  #corrections: TraceCorrections | undefined;
  /** Of each block what the index must say. */
  readonly #offsets: number[] = [];
  readonly #events: number[] = [];
  readonly #times: number[] = [];
  /** Byte of the first index frame, -1 before, and the number of its entries so far. */
  #indexAt = -1;
  #entries = 0;

  constructor(input: Input, reader: ByteReader, pageSize: number, origin: string) {
    this.#input = input;
    this.#reader = reader;
    this.#pageSize = pageSize;
    this.#origin = origin;
  }

  async *blocks(): AsyncGenerator<PageTrace> {
    let kind = EVENTS;
    let frame = await readFrame(this.#input, this.#reader);
    while (frame.kind !== END) {
      const following = readFrame(this.#input, this.#reader);
      // Nobody waits for it if the iteration ends before.
      following.catch(() => {});
      if (!mayFollow(kind, frame.kind))
        fail(frame.at, `a frame of kind ${frame.kind} follows one of kind ${kind}`);
      kind = frame.kind;
      const content = await frame.content;
      if (!content) fail(frame.at, `the frame cannot be unpacked; ${FOREIGN}`);
      const block = this.#take(frame, content);
      if (block) yield block;
      frame = await following;
    }
    await this.#end(frame);
    const isMore =
      this.#cycles.length > 0 || this.#objects || this.#cutShort !== undefined || this.#corrections;
    if (isMore || this.#offsets.length === 0) yield this.#restBlock();
  }

  /** Takes what a frame holds. Returns a block if that is complete. */
  #take(frame: Frame, content: Uint8Array): PageTrace | undefined {
    const { kind, count, at } = frame;
    try {
      if (kind === EVENTS) return this.#block(frame, content);
      if (kind === CYCLES) {
        this.#cycles.push(decodeCycles(content, count));
        if (this.#blockAt < 0) this.#blockAt = at;
        if (this.#waitingCycles() >= WAITING_CYCLES) return this.#restBlock();
      } else if (kind === OBJECTS) this.#objects = decodeObjects(content, count);
      else if (kind === CUT_SHORT) this.#cutShort = new TextDecoder().decode(content);
      else if (kind === CORRECTIONS) this.#corrections = decodeCorrections(content, count);
      else this.#compareIndex(frame, content);
    } catch (error) {
      if (error instanceof ContentError) fail(at, `the frame cannot be: ${error.message}; ${FOREIGN}`);
      throw error;
    }
    return undefined;
  }

  #block({ count, at }: Frame, content: Uint8Array): PageTrace {
    const columns = decodeEvents(content, count, this.#pageSize, this.#time);
    this.#time = columns.time[count - 1];
    this.#offsets.push(this.#blockAt < 0 ? at : this.#blockAt);
    this.#events.push(count);
    this.#times.push(columns.time[0]);
    this.#blockAt = -1;
    const gc = joinGc(this.#cycles);
    this.#cycles = [];
    return { ...this.#facts(), ...(gc && { gc }), length: count, ...columns };
  }

  #waitingCycles(): number {
    return this.#cycles.reduce((sum, { length }) => sum + length, 0);
  }

  /** Returns a block without events, for what comes after them, and for many cycles. */
  #restBlock(): PageTrace {
    const gc = joinGc(this.#cycles);
    this.#cycles = [];
    return {
      ...this.#facts(),
      ...(gc && { gc }),
      ...(this.#objects && { objects: this.#objects }),
      ...(this.#corrections && { corrections: this.#corrections }),
      length: 0,
      time: new Float64Array(0),
      proc: new Int32Array(0),
      kind: new Uint8Array(0),
      base: new Float64Array(0),
      npages: new Uint32Array(0),
      ...(this.#cutShort !== undefined && { cutShort: this.#cutShort }),
    };
  }

  #facts() {
    return { format: "neutral", pageSize: this.#pageSize, ...(this.#origin && { origin: this.#origin }) };
  }

  /** Compares a frame of the index with the blocks that were read. */
  #compareIndex({ at, count }: Frame, content: Uint8Array): void {
    const { offset, events, time } = decodeIndex(content, count);
    if (this.#indexAt < 0) this.#indexAt = at;
    for (let i = 0; i < count; i++) {
      const block = this.#entries++;
      const isRight =
        offset[i] === this.#offsets[block] &&
        events[i] === this.#events[block] &&
        time[i] === this.#times[block];
      if (!isRight) throw new ContentError(`its entry for block ${block} is not what the block has`);
    }
  }

  /** Checks the end frame. Its numbers are not those of a head: the index's offset has 64 bits. */
  async #end({ at, count: low, unpacked: high, packed: blocks }: Frame): Promise<void> {
    const index = this.#indexAt < 0 ? at : this.#indexAt;
    if (low + high * 2 ** 32 !== index || blocks !== this.#offsets.length || this.#entries !== blocks) {
      fail(at, `the end does not say where the index of ${this.#offsets.length} blocks is; ${FOREIGN}`);
    }
    if (await this.#reader.fill(1)) fail(this.#reader.offset, `bytes follow the end of the file; ${DAMAGED}`);
  }
}

/** Reports whether a frame of one kind may come after one of another. */
function mayFollow(before: number, kind: number): boolean {
  if (kind === EVENTS || kind === CYCLES) return before <= CYCLES;
  return kind > before || kind === INDEX;
}

/** Reads the next frame, and begins to unpack it. */
async function readFrame(input: Input, reader: ByteReader): Promise<Frame> {
  const at = reader.offset;
  if (!(await reader.fill(HEAD_BYTES))) fail(at + reader.left, `${CUT}: it has no end frame`);
  const view = viewOf(reader.bytes.subarray(reader.position));
  const [kind, count, unpacked, packed, sum] = [0, 4, 8, 12, 16].map((byte) => view.getUint32(byte, true));
  const head = { kind, count, unpacked, packed };
  // Checked before memory is taken for them. The sum is known only once all bytes are there.
  if (kind !== END && !isPossible(head)) {
    fail(
      at,
      `a frame of kind ${kind} cannot have ${count} entries in ${unpacked} bytes, packed ${packed}; ${DAMAGED}`,
    );
  }
  if (kind !== END) input.countUnpacked(unpacked - packed, at);
  const length = HEAD_BYTES + (kind === END ? 0 : packed);
  if (!(await reader.fill(length))) fail(at + reader.left, `${CUT} in the frame that starts at byte ${at}`);
  const frame = reader.bytes.slice(reader.position, reader.position + length);
  reader.position += length;
  const content = frame.subarray(HEAD_BYTES);
  const headSum = crc32(frame.subarray(0, HEAD_BYTES - CRC_BYTES));
  if (crc32(content, headSum) !== sum) fail(at, `the frame's checksum is wrong; ${DAMAGED}`);
  return { ...head, at, content: kind === END ? Promise.resolve(undefined) : unpack(content, unpacked) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fail(byte: number, reason: string): never {
  throw new PageAllocError("ERR_TRACE", `byte ${byte}: ${reason}`);
}
