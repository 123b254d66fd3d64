// One replay: a heap, what drives it, and the report.

import type { PageAlloc } from "../../api/page-alloc.ts";
import type { PageTrace } from "../events.ts";
import type { EventCounts } from "./check.ts";
import { Driver } from "./driver.ts";
import type { Observer } from "./observer.ts";
import type { Setup } from "./options.ts";
import { Sampler, type Series } from "./series.ts";

const PROGRESS_STEPS = 100;

/** The result of a replay. */
export interface ReplayReport {
  events: number;
  allocs: number;
  frees: number;
  /** Scavenge events in the trace, replayed or not. */
  scavenges: number;
  /** What was in use when the trace began, as far as the trace says. */
  exists: number;
  /** Allocations placed at the very address that the trace recorded. */
  addressMatches: number;
  /** The first allocation placed elsewhere; addresses in bytes. `event` is its index in the trace. */
  firstMismatch: { event: number; recorded: number; placed: number } | null;
  /** Events with addresses that a heap with such pages cannot have. Their allocations are placed by first fit. */
  beyondRange: number;
  /**
   * Most bytes that the trace had allocated at one time, with what existed when it began. Pages of which that is only
   * guessed are not counted.
   */
  peakInUseBytes: number;
  /** Most bytes of the heap that were not released at one time. Pages from before the trace are counted. */
  peakRetainedBytes: number;
  /** Most bytes of the heap that were mapped at one time. */
  peakHeapBytes: number;
  /** Mapped bytes of the heap at the end. */
  heapBytes: number;
  /** Bytes released by scavenge events, in total; in a simulation, by its policy. */
  scavengedBytes: number;
  /** Time that the events took, in ms. Reading and checking are not counted. */
  elapsedMs: number;
  /** 0 when the clock is too coarse for so few events. */
  eventsPerSecond: number;
  /** State after some of the events, including the last: the event's time in ns, and bytes. */
  series: Series;
}

/** Who acts between the events of a replay. */
export interface Between {
  /**
   * Returns the event of the block, from `from` to `to`, before which `act` must be called. If it is `from`, the next
   * call returns a later one.
   */
  stop(block: PageTrace, from: number, to: number): number;
  /** Acts before an event of the block; before its length at its end. All events before it have been replayed. */
  act(block: PageTrace, event: number): void;
}

/** One replay: a heap, what drives it, and the time that it takes. */
export class Run {
  /** Number of events so far. */
  events = 0;
  readonly heap: PageAlloc;
  readonly #setup: Setup;
  readonly #counts: EventCounts;
  readonly #total: number | undefined;
  readonly #sampler: Sampler;
  readonly #driver: Driver;
  readonly #between: Between | undefined;
  #elapsedMs = 0;
  #lastTime = 0;

  /**
   * @param total number of events; undefined if it is not known
   * @param observer is told of each change of the heap
   * @param between acts between the events
   */
  constructor(
    engine: typeof PageAlloc,
    setup: Setup,
    counts: EventCounts,
    total: number | undefined,
    observer?: Observer,
    between?: (run: Run) => Between,
  ) {
    this.#setup = setup;
    this.#counts = counts;
    this.#total = total;
    this.#sampler = new Sampler(setup.samples, total);
    this.heap = new engine(setup.heap);
    this.#driver = new Driver(this.heap, setup.geometry, setup.course, this.#sampler, observer);
    this.#between = between?.(this);
  }

  /** Replays a block, takes samples and reports progress. */
  block(block: PageTrace): void {
    const { onProgress } = this.#setup;
    const start = performance.now();
    const { length } = block;
    const steps =
      onProgress === undefined || this.#total === undefined ? 0 : Math.min(PROGRESS_STEPS, length);
    let outside = 0;
    let step = 0;
    this.#driver.enter(block);
    for (let done = 0; done < length; ) {
      const sampleAt = this.#sampler.next - this.events;
      const stepAt = step < steps ? Math.floor(((step + 1) * length) / steps) : length;
      const stop = Math.min(sampleAt, stepAt, length);
      if (this.#between) this.#goOn(this.#between, block, done, stop);
      else this.#driver.add(done, stop);
      done = stop;
      if (done === sampleAt) this.#driver.sample(done - 1);
      if (done < stepAt || step >= steps) continue;
      this.#driver.finish();
      step++;
      const paused = performance.now();
      onProgress?.(done, length);
      outside += performance.now() - paused;
    }
    this.#driver.finish();
    this.events += length;
    if (length > 0) this.#lastTime = block.time[length - 1];
    this.#elapsedMs += performance.now() - start - outside;
    if (this.#total === undefined) onProgress?.(this.events, Number.NaN);
  }

  /** Replays events [from, to) of a block, and has `between` act. */
  #goOn(between: Between, block: PageTrace, from: number, to: number): void {
    for (let event = from; event < to; ) {
      event = this.#driver.add(event, between.stop(block, event, to));
      this.#driver.finish();
      between.act(block, event);
    }
  }

  /** Counts pages of the heap that were released between the events. */
  countReleased(npages: number): void {
    const { counters } = this.#driver;
    counters.released += npages;
    counters.scavenged += npages;
  }

  /** Returns the report, after the last block. */
  end(): ReplayReport {
    const { heapPage } = this.#setup.geometry;
    const { counters, firstMismatch } = this.#driver;
    const { sys, released, inUse } = counters;
    if (this.#sampler.lacksLast(this.events)) {
      this.#sampler.request(this.#lastTime, inUse * heapPage);
      this.#sampler.settle((sys - released) * heapPage, sys * heapPage);
    }
    const elapsedMs = this.#elapsedMs;
    return {
      events: this.events,
      ...this.#counts,
      addressMatches: counters.addressMatches,
      firstMismatch: firstMismatch ?? null,
      peakInUseBytes: counters.peakInUse * heapPage,
      peakRetainedBytes: counters.peakRetained * heapPage,
      peakHeapBytes: counters.peakSys * heapPage,
      heapBytes: sys * heapPage,
      scavengedBytes: counters.scavenged * heapPage,
      elapsedMs,
      eventsPerSecond: elapsedMs > 0 ? (this.events / elapsedMs) * 1000 : 0,
      series: this.#sampler.take(),
    };
  }

  dispose(): void {
    this.heap.dispose();
  }
}
