// Decodes the words of a trace into columns, in file order, and refuses what no single Go program can have written.
//
// What gives several writers away is time. A P starts a new time base only when the clock has moved on, so its bases
// never go back, and each is there for the event after it. Where two programs wrote into one file, one's buffer
// follows the other's with earlier bases, or a gap of zeros that neither filled reads as time bases of 0 in a row.
// Traces that lie one after the other in time pass here; replaying them finds pages that are allocated twice.

import { PageAllocError } from "../errors.ts";
import { type Columns, firstEvents, makeColumns } from "./columns.ts";
import { showAddress } from "./error.ts";
import { ADDRESS_LIMIT, PAGE_BYTES, TICK_NS } from "./format.ts";
import type { Content } from "./inflate.ts";

const WORD_BYTES = 8;
const KIND_MASK = 0b11;
/** In an event: npages is the next word. In a sync word: it names a P. */
const FLAG = 0b100;
const FIELD_SHIFT = 3;
const NPAGES_MASK = 0x3ff;
/** The upper half of a time base must be below this, so that ticks are exact in a number: 2^24 * 2^29 = 2^53. */
const BASE_HIGH_LIMIT = 2 ** 24;

const INTERLEAVED = "several programs wrote into this file at once";
const NO_TRACE = "this is not a page trace";

/** The columns of a trace in file order. Throws PageAllocError ERR_TRACE. */
export function decode(content: Content): Columns {
  return new Decoder(content).run();
}

/** Decodes one file. */
class Decoder {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #failure: string | undefined;
  readonly #columns: Columns;
  /** Events so far. */
  #length = 0;
  /** Byte of the word that is being looked at. */
  #at = 0;
  /** The P of what follows, undefined before the first. */
  #proc: number | undefined;
  /** Ticks; -1 before the first. */
  #timeBase = -1;
  /** Whether the word before this one was a time base, a P, or an event. */
  #before: "base" | "proc" | "event" = "event";
  /** The latest time base of each P, in ticks. */
  readonly #latest = new Map<number, number>();

  constructor({ data, failure }: Content) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#failure = failure;
    this.#columns = makeColumns(Math.floor(data.length / WORD_BYTES));
  }

  run(): Columns {
    const end = this.#data.length - (this.#data.length % WORD_BYTES);
    while (this.#at < end) {
      const low = this.#view.getUint32(this.#at, true);
      const high = this.#view.getUint32(this.#at + 4, true);
      if ((low & KIND_MASK) !== 0) this.#event(low, high);
      else if ((low & FLAG) !== 0) this.#procSync(low, high);
      else this.#timeSync(low, high);
      this.#at += WORD_BYTES;
    }
    this.#checkEnd();
    return firstEvents(this.#columns, this.#length);
  }

  #procSync(low: number, high: number): void {
    // The id has 61 bits with its sign. It is a small one if all above its low 32 bits repeat their sign.
    const id = (high << 29) | (low >>> FIELD_SHIFT);
    if (high >> FIELD_SHIFT !== id >> 31 || id < -1) {
      this.#fail(`no P has this id; ${this.#length === 0 ? NO_TRACE : "the trace is damaged"}`);
    }
    this.#proc = id;
    this.#before = "proc";
  }

  #timeSync(low: number, high: number): void {
    if (this.#proc === undefined) this.#fail(`${NO_TRACE}: it does not start by naming a P`);
    if (high >= BASE_HIGH_LIMIT) this.#fail("no clock shows this time; the trace is damaged");
    const ticks = high * 2 ** 29 + (low >>> FIELD_SHIFT);
    if (this.#before === "base") this.#fail(`a time base without events; ${INTERLEAVED}`);
    if (ticks < (this.#latest.get(this.#proc) ?? 0)) {
      this.#fail(`the time of P ${this.#proc} goes back; ${INTERLEAVED}`);
    }
    this.#latest.set(this.#proc, ticks);
    this.#timeBase = ticks;
    this.#before = "base";
  }

  #event(low: number, high: number): void {
    if (this.#proc === undefined) this.#fail(`${NO_TRACE}: it does not start by naming a P`);
    if (this.#timeBase < 0) this.#fail(`${NO_TRACE}: an event comes before the first time base`);
    const columns = this.#columns;
    const event = this.#length;
    columns.offset[event] = this.#at;
    columns.time[event] = (this.#timeBase + (high >>> 16)) * TICK_NS;
    columns.proc[event] = this.#proc;
    columns.kind[event] = low & KIND_MASK;
    const base = (high & 0xffff) * 2 ** 32 + ((low & -PAGE_BYTES) >>> 0);
    columns.base[event] = base;
    const npages = (low & FLAG) !== 0 ? this.#manyPages() : (low >>> FIELD_SHIFT) & NPAGES_MASK;
    if (npages === 0 || base + npages * PAGE_BYTES > ADDRESS_LIMIT) {
      const count = npages === 0 ? "no pages" : "more pages than there are addresses";
      this.#fail(`the event has ${count}; the trace is damaged`, columns.offset[event], base);
    }
    columns.npages[event] = npages;
    this.#length = event + 1;
    this.#before = "event";
  }

  /** The number of pages out of the word after the event's own; 2^48 for those that are not even a number of pages. */
  #manyPages(): number {
    const at = this.#at + WORD_BYTES;
    if (at + WORD_BYTES > this.#data.length) {
      this.#fail(
        "the trace is cut short: the word with the number of pages is missing",
        this.#at,
        this.#columns.base[this.#length],
      );
    }
    this.#at = at;
    return this.#view.getUint32(at + 4, true) === 0 ? this.#view.getUint32(at, true) : 2 ** 48;
  }

  #checkEnd(): void {
    if (this.#failure !== undefined) this.#fail(`the gzip data is cut short or damaged (${this.#failure})`);
    if (this.#data.length < WORD_BYTES) this.#fail(`${NO_TRACE}: it has only ${this.#data.length} bytes`);
    const rest = this.#data.length % WORD_BYTES;
    if (rest !== 0) this.#fail(`the trace is cut short: ${rest} bytes of the 8 of a word`);
    if (this.#before !== "event") this.#fail("the trace is cut short: nothing follows its last sync word");
  }

  /** Refuses the trace, at this word and after the last page unless told otherwise. */
  #fail(reason: string, byte = this.#at, page?: number): never {
    let place = "before any page";
    if (page !== undefined) place = `page ${showAddress(page)}`;
    else if (this.#length > 0) place = `after page ${showAddress(this.#columns.base[this.#length - 1])}`;
    throw new PageAllocError("ERR_TRACE", `event ${this.#length} at byte ${byte}, ${place}: ${reason}`);
  }
}
