// Recorded mode: the scavenger does what its log says, when and how much, and chooses only where. So its choice can be
// held against the scavenge events of the trace beside the log.

import { ALLOC, type PageTrace } from "../trace/events.ts";
import type { Between } from "../trace/replay/run.ts";
import type { LogStep, ScavengeLog } from "./log.ts";
import type { SimulatedHeap } from "./simulated-heap.ts";

/** Bytes that the background scavenger asks for at a time. */
const QUANTUM = 2 ** 16;
/** A trace's time may be early by less than this, in ns: it is that of two ticks of 128. */
const EARLY_NS = 256;

/** An allocation that scavenged. */
type Eager = Extract<LogStep, { kind: "eager" }>;

/** Has the scavenger of a heap take the steps of a log. */
export class RecordedMode implements Between {
  readonly #heap: SimulatedHeap;
  /** The allocations that scavenged, by the time when that had ended, and how many of them have been replayed. */
  readonly #eager: readonly Eager[];
  #eagerDone = 0;
  /** The event after the allocation that is being replayed, if that scavenges; else NaN. */
  #next = Number.NaN;

  constructor(heap: SimulatedHeap, log: ScavengeLog) {
    this.#heap = heap;
    this.#eager = log.steps.filter((step) => step.kind === "eager");
    for (const step of log.steps) {
      if (step.kind === "gen") heap.wakeAt(step.time, () => heap.scavenger?.nextGen());
      else if (step.kind === "run") heap.wakeAt(step.time, () => this.#takeRun(step.worked, step.released));
    }
  }

  stop(block: PageTrace, from: number, to: number): number {
    const { kind, proc, time } = block;
    const stop = this.#heap.stop(block, from, to);
    const eager = this.#eager[this.#eagerDone];
    this.#next = Number.NaN;
    if (!eager) return stop;
    for (let event = from; event < stop; event++) {
      if (kind[event] !== ALLOC || proc[event] < 0 || time[event] <= eager.time - EARLY_NS) continue;
      this.#next = event + 1;
      return this.#next;
    }
    return stop;
  }

  act(block: PageTrace, event: number): void {
    this.#heap.act(block, event);
    if (event !== this.#next) return;
    const { want, force } = this.#eager[this.#eagerDone++];
    this.#scavenge(want, force);
    this.#next = Number.NaN;
  }

  /** A run of the background scavenger. */
  #takeRun(worked: number, released: number): void {
    // The goal was reached before the first call.
    if (worked === 0) return;
    let left = released;
    do left -= this.#scavenge(QUANTUM, false) || Infinity;
    while (left > 0);
  }

  #scavenge(nbytes: number, force: boolean): number {
    const { scavenger, account } = this.#heap;
    return scavenger?.scavenge(nbytes, force, account) ?? 0;
  }
}
