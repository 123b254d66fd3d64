// Decodes the words of a trace into columns, in file order. Refuses a file that a single Go program cannot have
// written.
//
// Time reveals a file with several writers. A P starts a new time base only when the clock has moved on, and only for
// an event that follows. So the bases of a P never go back, and two never follow each other. If two programs wrote into
// one file, the bases of a P go back from one buffer to the next, or a gap of zeros that neither program filled reads
// as several time bases of 0. Two traces that follow each other in time are not detected here. Their replay finds pages
// that are allocated twice.
//
// The end of the file reveals a cut (see below). The last buffer holds events without a P. By then each P has appended
// its own last buffer, which is hardly ever full.
//
// The file is a sequence of little-endian 64-bit words. An event is one word, or two if it has many pages:
//
//    63            48 47                               13 12         3  2   1   0
//   ┌────────────────┬───────────────────────────────────┬────────────┬────┬───────┐
//   │ time in ticks, │ page: its address, the bits below │ npages     │many│ kind, │
//   │ since the base │ 13 left out                       │            │    │ 1 - 3 │
//   └────────────────┴───────────────────────────────────┴────────────┴────┴───────┘
//     many = 1: npages is the next word instead
//
// Between the events stand sync words:
//
//    63                                                            3  2   1   0
//   ┌────────────────────────────────────────────────────────────────┬────┬───────┐
//   │ which = 1: the P that wrote what follows, signed; -1 for none  │which│   0   │
//   │ which = 0: the time base of what follows, in ticks             │    │       │
//   └────────────────────────────────────────────────────────────────┴────┴───────┘
//
// Each P fills its own buffer of 4,096 words and appends it to the file when it is full. With one word left a buffer
// counts as full, because an event may need two. So the events of one P are in order, but the file as a whole is not.
// When the program exits, each P appends its last buffer. The buffer of the events without a P comes last. There always
// is one, as it holds the first pages of the program. A program that is killed writes none of these.

import { PageAllocError } from "../../../base/errors.ts";
import { type Columns, GrowingColumns, partOfColumns } from "../../columns/growing-columns.ts";
import { showAddress } from "../../event-error.ts";
import { ADDRESS_LIMIT, PAGE_BYTES, type PageTrace } from "../../events.ts";
import { memoryError } from "../../memory-error.ts";

/** Nanoseconds per tick, the unit of time in the file. */
export const TICK_NS = 128;

export const WORD_BYTES = 8;
export const KIND_MASK = 0b11;
/** In an event: npages is the next word. In a sync word: it names a P. */
export const FLAG = 0b100;
export const FIELD_SHIFT = 3;
const NPAGES_MASK = 0x3ff;
/** The upper half of a time base must be below this, so that ticks are exact in a number: 2^24 * 2^29 = 2^53. */
const BASE_HIGH_LIMIT = 2 ** 24;
/** The id of events without a P. */
const NO_P = -1;
/** Fewest bytes of a full buffer. */
const FULL_BYTES = (4096 - 1) * WORD_BYTES;

const INTERLEAVED = "several programs wrote into this file at once";
const NO_TRACE = "this is not a page trace";
const CUT_OR_KILLED = "the file seems to be cut short, or its program was killed";

/** What the file has shown of a P so far. */
interface Proc {
  readonly id: number;
  /** Its latest time base, in ticks. */
  latest: number;
  /** Whether its latest buffer was full. */
  full: boolean;
}

/** Decodes one file, which arrives in blocks. Throws nothing but PageAllocError ERR_TRACE. */
export class Decoder {
  readonly #limit: number;
  readonly #columns = new GrowingColumns();
  /** The part that events go into, the number of events before it, and the index of the next one in it. */
  #part: Columns | undefined;
  #partStart = 0;
  #index = 0;
  /** Byte offset of the current word. */
  #at = 0;
  /** The start of a word that continues in the next block. */
  readonly #rest = new Uint8Array(WORD_BYTES);
  #restBytes = 0;
  /** The current P, undefined before the first, and the byte where its buffer starts. */
  #proc: Proc | undefined;
  #bufferStart = 0;
  readonly #procs = new Map<number, Proc>();
  /** Ticks; -1 before the first. */
  #timeBase = -1;
  /** What the last word was. After "many" comes the number of pages of an event. */
  #last: "base" | "proc" | "event" | "many" = "event";
  /** Events that were taken, or dropped. */
  #gone = 0;
  /** Where buffers begin whose events are checked, and dropped. */
  readonly #known: ReadonlySet<number>;
  #isKnown = false;
  /** Time of the last event that was taken, in ns. */
  #takenTime = 0;
  /** Events that were added from elsewhere. If there are any, only offsets tell the order in the file. */
  #added = 0;
  /** Address of the latest event, -1 before the first. */
  #latestPage = -1;

  /**
   * @param limit most bytes to decode
   * @param known bytes where buffers begin whose events are had from elsewhere
   * @param start byte of the file where the bytes begin
   */
  constructor(limit: number, known: ReadonlySet<number> = new Set(), start = 0) {
    this.#limit = limit;
    this.#known = known;
    this.#at = start;
  }

  /** Number of events that can be taken. */
  get pending(): number {
    return this.#partStart + this.#index;
  }

  /** Byte where the current buffer starts. */
  get bufferStart(): number {
    return this.#bufferStart;
  }

  /** Whether the current event lacks its number of pages, so that nothing can be taken. */
  get isWithin(): boolean {
    return this.#last === "many";
  }

  /** Adds events from elsewhere in the file. */
  add(columns: Columns): void {
    this.#added += columns.length;
    this.#put(columns, 0);
  }

  /**
   * Returns all events up to a time in ns, or so many of the earliest if that are more; sorted. The others stay. Not
   * while `isWithin`. Throws PageAllocError ERR_TRACE if an event is earlier than what was returned before.
   */
  takeUpTo(horizon: number, least: number): Columns {
    const where = this.#where();
    try {
      const all = this.#columns.takeByTime(this.pending, this.#added > 0, true);
      this.#part = undefined;
      this.#partStart = 0;
      this.#index = 0;
      let count = Math.min(least, all.length);
      while (count < all.length && all.time[count] <= horizon) count++;
      this.#mustNotBeLate(all);
      this.#put(all, count);
      this.#gone += count;
      if (count > 0) this.#takenTime = all.time[count - 1];
      return count === all.length ? all : partOfColumns(all, 0, count);
    } catch (error) {
      throw memoryError(error, where);
    }
  }

  /** Puts events back, from `start` on. */
  #put(columns: Columns, start: number): void {
    for (let from = start; from < columns.length; ) {
      const part = this.#roomyPart();
      const length = Math.min(columns.length - from, part.length - this.#index);
      const { time, proc, kind, base, npages, offset } = partOfColumns(columns, from, from + length);
      part.time.set(time, this.#index);
      part.proc.set(proc, this.#index);
      part.kind.set(kind, this.#index);
      part.base.set(base, this.#index);
      part.npages.set(npages, this.#index);
      part.offset.set(offset, this.#index);
      this.#index += length;
      from += length;
    }
  }

  #mustNotBeLate({ length, time, proc, base, offset }: Columns): void {
    if (length === 0 || time[0] >= this.#takenTime) return;
    const reason =
      `P ${proc[0]} wrote nothing for longer than the window of events that are held; raise the option window, or ` +
      "give an array or a Blob, which can be read twice";
    this.#fail(reason, offset[0], base[0]);
  }

  /** Decodes the next bytes of the file. */
  take(block: Uint8Array): void {
    const room = this.#limit - this.#at - this.#restBytes;
    try {
      this.#bytes(block.length > room ? block.subarray(0, room) : block);
    } catch (error) {
      throw memoryError(error, this.#where());
    }
    if (block.length > room) {
      this.#fail(
        `the trace is longer than the limit of ${this.#limit} bytes; raise the option limit to read it`,
      );
    }
  }

  /**
   * Returns the trace, once all bytes have been taken. The decoder is empty afterwards.
   *
   * @param failure why unpacking stopped early, if it did
   */
  end(failure?: string): PageTrace {
    this.#checkEnd(failure);
    const cutShort = this.#cutShort();
    const where = this.#where();
    this.#part = undefined;
    try {
      const columns = this.#columns.takeByTime(this.pending, this.#added > 0);
      this.#mustNotBeLate(columns);
      return cutShort ? { ...columns, cutShort } : columns;
    } catch (error) {
      throw memoryError(error, where);
    }
  }

  /** Number of events in the file so far. */
  get #length(): number {
    return this.#gone + this.pending - this.#added;
  }

  #bytes(block: Uint8Array): void {
    let start = 0;
    if (this.#restBytes > 0) {
      start = Math.min(WORD_BYTES - this.#restBytes, block.length);
      this.#keep(block.subarray(0, start));
      if (this.#restBytes < WORD_BYTES) return;
      this.#restBytes = 0;
      this.#words(this.#rest);
    }
    const end = block.length - ((block.length - start) % WORD_BYTES);
    this.#words(block.subarray(start, end));
    this.#keep(block.subarray(end));
  }

  /** Keeps the first bytes of a word until the others arrive. */
  #keep(bytes: Uint8Array): void {
    this.#rest.set(bytes, this.#restBytes);
    this.#restBytes += bytes.length;
  }

  #words(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const low = view.getUint32(at, true);
      const high = view.getUint32(at + 4, true);
      if ((low & KIND_MASK) !== 0 && this.#last !== "many") {
        at = this.#events(view, at);
        continue;
      }
      if (this.#last === "many") this.#manyPages(low, high);
      else if ((low & FLAG) !== 0) this.#procSync(low, high);
      else this.#timeSync(low, high);
      this.#at += WORD_BYTES;
      at += WORD_BYTES;
    }
  }

  #procSync(low: number, high: number): void {
    // The id has 61 bits, signed. It fits in 32 bits if all higher bits repeat the sign.
    const id = (high << 29) | (low >>> FIELD_SHIFT);
    if (high >> FIELD_SHIFT !== id >> 31 || id < NO_P) {
      this.#fail(`no P can have this id; ${this.#length === 0 ? NO_TRACE : "the trace is damaged"}`);
    }
    this.#endBuffer();
    let proc = this.#procs.get(id);
    if (!proc) {
      proc = { id, latest: 0, full: false };
      this.#procs.set(id, proc);
    }
    this.#proc = proc;
    this.#last = "proc";
  }

  /** Ends the current buffer, and notes whether it is full. */
  #endBuffer(): void {
    if (this.#proc) this.#proc.full = this.#at - this.#bufferStart >= FULL_BYTES;
    this.#bufferStart = this.#at;
    this.#isKnown = this.#known.has(this.#at);
  }

  #timeSync(low: number, high: number): void {
    const proc = this.#proc;
    if (proc === undefined) this.#fail(`${NO_TRACE}: it does not start by naming a P`);
    if (high >= BASE_HIGH_LIMIT) this.#fail("the time is out of range; the trace is damaged");
    const ticks = high * 2 ** 29 + (low >>> FIELD_SHIFT);
    if (this.#last === "base") this.#fail(`a time base without events; ${INTERLEAVED}`);
    if (ticks < proc.latest) this.#fail(`the time of P ${proc.id} goes back; ${INTERLEAVED}`);
    proc.latest = ticks;
    this.#timeBase = ticks;
    this.#last = "base";
  }

  /**
   * Decodes events from byte `start` of a block, up to a word of another kind or until a part is full. Returns the byte
   * where it stopped.
   */
  #events(view: DataView, start: number): number {
    const proc = this.#proc;
    if (proc === undefined) this.#fail(`${NO_TRACE}: it does not start by naming a P`);
    if (this.#timeBase < 0) this.#fail(`${NO_TRACE}: an event comes before the first time base`);
    const { length, offset, time, proc: procs, kind, base: bases, npages: counts } = this.#roomyPart();
    const { id } = proc;
    const timeBase = this.#timeBase;
    const blockStart = this.#at - start;
    let at = start;
    let index = this.#index;
    this.#last = "event";
    while (at < view.byteLength && index < length) {
      const low = view.getUint32(at, true);
      const high = view.getUint32(at + 4, true);
      if ((low & KIND_MASK) === 0) break;
      const base = (high & 0xffff) * 2 ** 32 + ((low & -PAGE_BYTES) >>> 0);
      offset[index] = blockStart + at;
      time[index] = (timeBase + (high >>> 16)) * TICK_NS;
      procs[index] = id;
      kind[index] = low & KIND_MASK;
      bases[index] = base;
      at += WORD_BYTES;
      if ((low & FLAG) !== 0) {
        this.#last = "many";
        break;
      }
      const npages = (low >>> FIELD_SHIFT) & NPAGES_MASK;
      if (!fits(base, npages)) {
        this.#index = index;
        this.#refusePages(npages);
      }
      counts[index++] = npages;
    }
    if (index > this.#index) this.#latestPage = bases[index - 1];
    if (this.#isKnown) this.#gone += index - this.#index;
    else this.#index = index;
    this.#at = blockStart + at;
    return at;
  }

  /** Completes an event whose number of pages is a word of its own. */
  #manyPages(low: number, high: number): void {
    const { base, npages } = this.#part as Columns;
    if (high !== 0 || !fits(base[this.#index], low)) this.#refusePages(low + high);
    npages[this.#index] = low;
    this.#latestPage = base[this.#index];
    if (this.#isKnown) this.#gone++;
    else this.#index++;
    this.#last = "event";
  }

  #refusePages(npages: number): never {
    const { offset, base } = this.#part as Columns;
    const count = npages === 0 ? "no pages" : "pages beyond the address space";
    this.#fail(`the event has ${count}; the trace is damaged`, offset[this.#index], base[this.#index]);
  }

  /** Returns the part that the next event goes into. */
  #roomyPart(): Columns {
    if (this.#part && this.#index < this.#part.length) return this.#part;
    const part = this.#columns.grow();
    this.#partStart += this.#index;
    this.#index = 0;
    this.#part = part;
    return part;
  }

  #checkEnd(failure: string | undefined): void {
    if (failure !== undefined) this.#fail(failure);
    if (this.#last === "many") {
      const { offset, base } = this.#part as Columns;
      const reason = "the trace is cut short: the word with the number of pages is missing";
      this.#fail(reason, offset[this.#index], base[this.#index]);
    }
    const rest = this.#restBytes;
    if (this.#at === 0) this.#fail(`${NO_TRACE}: it has only ${rest} bytes`);
    if (rest !== 0) this.#fail(`the trace is cut short: its last word has ${rest} of 8 bytes`);
    if (this.#last !== "event") this.#fail("the trace is cut short: nothing follows its last sync word");
  }

  /** Returns why the end is probably missing, or undefined. */
  #cutShort(): string | undefined {
    const { id } = this.#proc as Proc;
    if (id !== NO_P) {
      return `${CUT_OR_KILLED}: it ends with events of P ${id}; a whole file ends with events without a P`;
    }
    this.#endBuffer();
    for (const proc of this.#procs.values()) if (proc.id !== NO_P && !proc.full) return undefined;
    return `${CUT_OR_KILLED}: the last buffers of its Ps are missing`;
  }

  /** Throws PageAllocError ERR_TRACE. Without `byte` and `page`, it names the current word and the last page. */
  #fail(reason: string, byte?: number, page?: number): never {
    throw new PageAllocError("ERR_TRACE", `${this.#where(byte, page)}: ${reason}`);
  }

  /** Describes a position in the trace, for messages. */
  #where(byte = this.#at, page?: number): string {
    let where = "before any page";
    if (page !== undefined) where = `page ${showAddress(page)}`;
    else if (this.#latestPage >= 0) where = `after page ${showAddress(this.#latestPage)}`;
    return `event ${this.#length} at byte ${byte}, ${where}`;
  }
}

/** Reports whether npages pages from `base` on lie within the address space. */
function fits(base: number, npages: number): boolean {
  return npages > 0 && base + npages * PAGE_BYTES <= ADDRESS_LIMIT;
}
