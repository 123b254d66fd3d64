// Collects events into blocks, for readers whose lines can each give any number of events.

import { PageAllocError } from "../../base/errors.ts";
import { Corrections } from "../corrections.ts";
import type { PageTrace, TraceFormat } from "../events.ts";
import { BlockWriter } from "./block-writer.ts";

/** Times in ns are below this. No clock has more bits. */
const TIME_LIMIT = 2 ** 64;

/** Collects events into blocks of columns, whose times ascend. */
export class EventQueue {
  /** What is changed in the block of the latest event. */
  readonly corrections = new Corrections();
  readonly #writer: BlockWriter;
  readonly #ready: PageTrace[] = [];
  #latest = 0;

  /** @param pageSize bytes per page */
  constructor(format: TraceFormat, pageSize: number) {
    this.#writer = new BlockWriter(format, pageSize);
  }

  /**
   * Adds an event. The order of events is what counts: one whose time goes back gets the latest time before it.
   * Throws PageAllocError ERR_TRACE for a time that no clock has.
   *
   * @param time in ns
   * @param proc the thread, -1 for none
   * @param kind one of the kinds in events.ts
   * @param base address in bytes
   * @param offset byte of the event in the file, after unpacking
   */
  add(time: number, proc: number, kind: number, base: number, npages: number, offset: number): void {
    if (time >= TIME_LIMIT) {
      throw new PageAllocError("ERR_TRACE", `byte ${offset}: times are below 2^64 ns; the file is damaged`);
    }
    if (this.#writer.full) this.#ready.push(this.rest());
    if (time > this.#latest) this.#latest = time;
    this.#writer.add(this.#latest, proc, kind, base, npages, offset);
  }

  /** Returns the next full block; undefined if there is none. */
  take(): PageTrace | undefined {
    return this.#ready.shift();
  }

  /**
   * Returns the block that takes events now, and starts a new one. `cutShort` says why the file seems to be cut short,
   * if it does.
   */
  rest(cutShort?: string): PageTrace {
    return { ...this.#writer.take(cutShort ? { cutShort } : {}), ...this.corrections.take() };
  }
}
