// Puts the events of Go's collector together to cycles.

import type { GcEvents } from "../../events.ts";
import { GcKind } from "./gc-records.ts";

/** Times in ns, and bytes; NaN where the trace does not say. */
interface Cycle {
  readonly start: number;
  time: number;
  sweepEnd: number;
  heapLive: number;
  heapGoal: number;
}

/** The cycles of a collector. Its events must come in order. */
export class GcCycles {
  #cycles: Cycle[] = [];
  /** The latest cycle. It is complete when the next one begins. */
  #latest: Cycle | undefined;
  /** The latest count of live bytes. */
  #heapLive = Number.NaN;

  /** Takes a record: its kind, its time in ns, and its value. */
  add(kind: number, time: number, value: number): void {
    if (kind === GcKind.begin) this.#begin(time);
    else if (kind === GcKind.end) this.#end(time);
    else if (kind === GcKind.heapAlloc) this.#heapAlloc(value);
    else if (!this.#isMarked) return;
    else if (kind === GcKind.sweepEnd) (this.#latest as Cycle).sweepEnd = time;
    else this.#heapGoal(value);
  }

  /** Returns the cycles that are complete, and forgets them. */
  take(): GcEvents {
    const cycles = this.#cycles;
    this.#cycles = [];
    const column = (of: (cycle: Cycle) => number) => Float64Array.from(cycles, of);
    return {
      length: cycles.length,
      start: column(({ start }) => start),
      time: column(({ time }) => time),
      sweepEnd: column(({ sweepEnd }) => sweepEnd),
      heapLive: column(({ heapLive }) => heapLive),
      heapGoal: column(({ heapGoal }) => heapGoal),
    };
  }

  /** Returns the cycles that are left at the end of the trace. One that was not marked by then is left out. */
  takeLast(): GcEvents {
    this.#complete();
    return this.take();
  }

  #begin(time: number): void {
    this.#complete();
    this.#latest = newCycle(time);
  }

  /** Ends the marking of a cycle. If the trace has not seen it begin, its start is not known. */
  #end(time: number): void {
    this.#latest ??= newCycle(Number.NaN);
    this.#latest.time = time;
    // Go counts what was marked just before it says that marking has ended.
    this.#latest.heapLive = this.#heapLive;
  }

  #heapAlloc(bytes: number): void {
    this.#heapLive = bytes;
    const latest = this.#latest;
    if (latest && this.#isMarked && Number.isNaN(latest.heapLive)) latest.heapLive = bytes;
  }

  /** Go sets the goal right after marking, and again when a setting changes. */
  #heapGoal(bytes: number): void {
    const latest = this.#latest as Cycle;
    // It writes 0 when the size of the heap is to begin no cycle.
    if (Number.isNaN(latest.heapGoal)) latest.heapGoal = bytes || Infinity;
  }

  get #isMarked(): boolean {
    return this.#latest !== undefined && !Number.isNaN(this.#latest.time);
  }

  #complete(): void {
    if (this.#isMarked) this.#cycles.push(this.#latest as Cycle);
    this.#latest = undefined;
  }
}

function newCycle(start: number): Cycle {
  return {
    start,
    time: Number.NaN,
    sweepEnd: Number.NaN,
    heapLive: Number.NaN,
    heapGoal: Number.NaN,
  };
}
