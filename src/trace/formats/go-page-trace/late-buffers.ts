// A first look at a page trace that will be read in blocks. Each P appends its buffer to the file when it is full. So a
// P that does little appends events that are much earlier than those before them, and the first events of the program,
// without a P, come last of all. This look finds such late buffers, and notes when all other buffers begin.
//
// It reads no more of a word than it needs, and refuses nothing: the decoder does.

import { PageAllocError } from "../../../base/errors.ts";
import type { Columns } from "../../columns/growing-columns.ts";
import { Decoder, FIELD_SHIFT, FLAG, KIND_MASK, TICK_NS, WORD_BYTES } from "./decode.ts";

/** A buffer is late if it begins earlier than one that comes so many events before it. */
const LATE_EVENTS = 2 ** 16;
/** Least events of a group of buffers, so that there are few groups. */
const GROUP_EVENTS = 2 ** 12;

/** Bytes of a buffer before its first event: the sync words that name a P and a time base. */
const START_BYTES = 2 * WORD_BYTES;
/** Most bytes of an event: a time base, the event and its number of pages. */
const EVENT_BYTES = 3 * WORD_BYTES;

/** What the first look has found. */
export interface Look {
  /** Bytes where late buffers begin. */
  readonly starts: ReadonlySet<number>;
  /** The events of late buffers. */
  readonly late: readonly Columns[];
  /**
   * Returns a time in ns. Buffers that begin after this byte, and are not late, have no event before it. Call it with
   * ascending bytes.
   */
  horizonAt(byte: number): number;
}

/** Looks at all bytes of a file, which arrive in blocks. */
export class FirstLook {
  readonly #window: number;
  readonly #starts = new Set<number>();
  readonly #late: Columns[] = [];
  #lateEvents = 0;
  /** By group of neighbouring buffers: the byte where it begins, and the earliest time that one of them begins. */
  readonly #groupBytes: number[] = [];
  readonly #groupTimes: number[] = [];
  /** Number of events before the current group. */
  #groupEvents = -GROUP_EVENTS;
  /** Number of events so far. */
  #events = 0;
  /** By LATE_EVENTS events: the latest time at which a buffer begins, among these and all before them. */
  readonly #latest: number[] = [];
  /** Byte of the file. */
  #at = 0;
  /** The start of a word that continues in the next block. */
  readonly #rest = new Uint8Array(WORD_BYTES);
  #restBytes = 0;
  /** Whether the next word is a number of pages. */
  #isCount = false;
  /** The current buffer: the byte where it begins, its time base, and whether its first event was seen. */
  #start = 0;
  #ticks = 0;
  #hasEvents = false;
  #isLate = false;
  /** Its words, as long as they may be needed, and their bytes. */
  #words: Uint8Array[] = [];
  #wordBytes = 0;

  /** @param window most events in late buffers */
  constructor(window: number) {
    this.#window = window;
  }

  /** Looks at the next bytes of the file. Throws PageAllocError ERR_TRACE when late buffers have too many events. */
  take(block: Uint8Array): void {
    let start = 0;
    if (this.#restBytes > 0) {
      start = Math.min(WORD_BYTES - this.#restBytes, block.length);
      this.#keepRest(block.subarray(0, start));
      if (this.#restBytes < WORD_BYTES) return;
      this.#restBytes = 0;
      this.#look(this.#rest.slice());
    }
    const end = block.length - ((block.length - start) % WORD_BYTES);
    this.#look(block.subarray(start, end));
    this.#keepRest(block.subarray(end));
  }

  /** Returns what was found, once all bytes have been taken. */
  end(): Look {
    this.#endBuffer();
    const bytes = this.#groupBytes;
    const times = this.#groupTimes;
    for (let i = times.length - 2; i >= 0; i--) times[i] = Math.min(times[i], times[i + 1]);
    let group = 0;
    return {
      starts: this.#starts,
      late: this.#late,
      horizonAt(byte) {
        while (bytes[group + 1] <= byte) group++;
        return times[group] ?? Infinity;
      },
    };
  }

  #keepRest(bytes: Uint8Array): void {
    this.#rest.set(bytes, this.#restBytes);
    this.#restBytes += bytes.length;
  }

  #look(bytes: Uint8Array): void {
    let isCount = this.#isCount;
    let events = this.#events;
    /** Where the words of the current buffer begin. */
    let from = 0;
    for (let at = 0; at < bytes.length; at += WORD_BYTES) {
      const low = bytes[at];
      if (isCount) {
        isCount = false;
      } else if ((low & KIND_MASK) !== 0) {
        isCount = (low & FLAG) !== 0;
        if (!this.#hasEvents) {
          this.#events = events;
          this.#begin(this.#ticks + highAt(bytes, at) / 2 ** 16);
        }
        events++;
      } else if ((low & FLAG) !== 0) {
        this.#events = events;
        this.#keepWords(bytes, from, at);
        this.#endBuffer();
        this.#start = this.#at + at;
        from = at;
      } else if (!this.#hasEvents) {
        this.#ticks = ticksAt(bytes, at);
      }
    }
    this.#keepWords(bytes, from, bytes.length);
    this.#isCount = isCount;
    this.#events = events;
    this.#at += bytes.length;
  }

  /** Notes the time of the current buffer's first event, and whether it is late. */
  #begin(ticks: number): void {
    const time = Math.floor(ticks) * TICK_NS;
    const latest = this.#latest;
    const stretch = Math.floor(this.#events / LATE_EVENTS);
    this.#hasEvents = true;
    this.#isLate = stretch > 0 && time < latest[stretch - 1];
    if (!this.#isLate) this.#dropWords();
    while (latest.length <= stretch) latest.push(latest.at(-1) ?? 0);
    latest[stretch] = Math.max(latest[stretch], time);
    if (this.#isLate) return;
    if (this.#events - this.#groupEvents >= GROUP_EVENTS) {
      this.#groupEvents = this.#events;
      this.#groupBytes.push(this.#start);
      this.#groupTimes.push(time);
    }
    const group = this.#groupTimes.length - 1;
    this.#groupTimes[group] = Math.min(this.#groupTimes[group], time);
  }

  /** Keeps words of the current buffer, unless they are not needed. */
  #keepWords(bytes: Uint8Array, from: number, to: number): void {
    if (from === to || (this.#hasEvents && !this.#isLate)) return;
    // More time bases than one are damage, which the decoder refuses. There may be no end to them.
    const last = this.#hasEvents ? to : Math.min(to, from + START_BYTES - this.#wordBytes);
    if (from < last) this.#words.push(bytes.slice(from, last));
    this.#wordBytes += last - from;
    if (this.#wordBytes > START_BYTES + this.#window * EVENT_BYTES) this.#failTooLate();
  }

  #dropWords(): void {
    this.#words = [];
    this.#wordBytes = 0;
  }

  /** Decodes the current buffer if it is late. */
  #endBuffer(): void {
    if (this.#isLate) this.#decode();
    this.#dropWords();
    this.#hasEvents = false;
    this.#isLate = false;
  }

  #decode(): void {
    const decoder = new Decoder(Infinity, this.#starts, this.#start);
    try {
      for (const words of this.#words) decoder.take(words);
    } catch {
      // The buffer is damaged. Who decodes the whole file will say so.
      return;
    }
    if (decoder.isWithin) return;
    const columns = decoder.takeUpTo(Infinity, 0);
    this.#lateEvents += columns.length;
    if (this.#lateEvents > this.#window) this.#failTooLate();
    this.#starts.add(this.#start);
    this.#late.push(columns);
  }

  #failTooLate(): never {
    const reason = `more than ${this.#window} events come far behind later ones; raise the option window`;
    throw new PageAllocError("ERR_TRACE", `byte ${this.#start}: ${reason}`);
  }
}

/** Returns the upper half of the word at a byte. */
function highAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 7] << 24) | (bytes[at + 6] << 16) | (bytes[at + 5] << 8) | bytes[at + 4]) >>> 0;
}

/** Returns the time base that the word at a byte has. */
function ticksAt(bytes: Uint8Array, at: number): number {
  const low = ((bytes[at + 3] << 24) | (bytes[at + 2] << 16) | (bytes[at + 1] << 8) | bytes[at]) >>> 0;
  return highAt(bytes, at) * 2 ** 29 + (low >>> FIELD_SHIFT);
}
