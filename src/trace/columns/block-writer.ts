// Collects events into blocks of columns.

import type { GcEvents, PageTrace, TraceFormat } from "../events.ts";

/** Events per block, unless said otherwise. */
export const BLOCK_EVENTS = 2 ** 15;

/** Collects events, one after the other, into blocks of at most `capacity` of them. */
export class BlockWriter {
  /** Number of events in the current block. */
  length = 0;
  readonly #format: TraceFormat;
  readonly #pageSize: number;
  readonly #capacity: number;
  #time: Float64Array;
  #proc: Int32Array;
  #kind: Uint8Array;
  #base: Float64Array;
  #npages: Uint32Array;
  #offset: Float64Array;

  /** @param pageSize bytes per page */
  constructor(format: TraceFormat, pageSize: number, capacity = BLOCK_EVENTS) {
    this.#format = format;
    this.#pageSize = pageSize;
    this.#capacity = capacity;
    this.#time = new Float64Array(capacity);
    this.#proc = new Int32Array(capacity);
    this.#kind = new Uint8Array(capacity);
    this.#base = new Float64Array(capacity);
    this.#npages = new Uint32Array(capacity);
    this.#offset = new Float64Array(capacity);
  }

  /** Whether the block has no room for another event. `take` makes room. */
  get full(): boolean {
    return this.length === this.#capacity;
  }

  /**
   * Adds an event. The block must not be full.
   *
   * @param time in ns
   * @param proc the P or thread, -1 for none
   * @param kind one of the kinds in events.ts
   * @param base address in bytes
   * @param offset byte of the event in the file, after unpacking
   */
  add(time: number, proc: number, kind: number, base: number, npages: number, offset: number): void {
    const event = this.length++;
    this.#time[event] = time;
    this.#proc[event] = proc;
    this.#kind[event] = kind;
    this.#base[event] = base;
    this.#npages[event] = npages;
    this.#offset[event] = offset;
  }

  /** Returns the current block, and starts a new one. `more` are further properties of the block. */
  take(more: { gc?: GcEvents; cutShort?: string } = {}): PageTrace {
    const { length } = this;
    const block = {
      format: this.#format,
      pageSize: this.#pageSize,
      length,
      time: this.#time.slice(0, length),
      proc: this.#proc.slice(0, length),
      kind: this.#kind.slice(0, length),
      base: this.#base.slice(0, length),
      npages: this.#npages.slice(0, length),
      offset: this.#offset.slice(0, length),
      ...more,
    };
    this.length = 0;
    return block;
  }
}
