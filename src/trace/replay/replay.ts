// Replays a trace on a new heap of either engine. Reports where its pages went and how much memory it took.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { integer, powerOfTwo, readOptions, refuse, show } from "../../base/arguments.ts";
import type { Abort } from "../../base/platform.ts";
import { mostAddrBits } from "../../engine/pages.ts";
import type { PageTrace } from "../events.ts";
import { Breaks } from "./breaks.ts";
import { checkColumns, checkEvents, EventCounts, pageSizeOf } from "./check.ts";
import { type Course, Driver } from "./driver.ts";
import { type Geometry, geometryOf } from "./geometry.ts";
import { Sampler, type Series } from "./series.ts";

/** Options of `replay`. */
export interface ReplayOptions {
  /**
   * Which pages are released. "none", or "recorded": those of the trace's scavenge events. Default "recorded", or
   * "none" if `pageSize` is larger than the trace's.
   */
  scavenge?: "none" | "recorded";
  /**
   * Where allocations go. "first-fit" (default): as this heap places them, the lowest address that fits. A Go
   * program's Ps have page caches, as in Go. So has each `proc` of a trace that names no format. "recorded": where the
   * trace says.
   */
  placement?: "first-fit" | "recorded";
  /**
   * How the heap grows. "recorded" (default): by the trace's grow and unmap events, and when there is no room.
   * "needed": when there is no room.
   */
  growth?: "recorded" | "needed";
  /**
   * Bytes per page of the heap; a power of two, 16 to 2^30. Default: the trace's. Each allocation is rounded up to
   * pages. With larger pages than the trace's, recorded places, growth and scavenging have no meaning and are left out.
   */
  pageSize?: number;
  /** Bytes per page of the system below, as for a PageAlloc. */
  physPageSize?: number;
  /** Bytes per huge page of that system, as for a PageAlloc. */
  physHugePageSize?: number;
  /**
   * Points of the series, spread evenly over the events; 0 to 2^20, default 512. A trace with fewer events gets one
   * per event. A stream gets from half as many to all, as its length is not known before its end.
   */
  samples?: number;
  /**
   * Called about a hundred times, with the number of events replayed so far and in all. Its time is not counted. For a
   * stream it is called once a block, and the second number is NaN.
   */
  onProgress?(done: number, total: number): void;
}

/** Options of `replay` for a stream. */
export interface ReplayStreamOptions extends ReplayOptions {
  /** Stops the replay: it rejects with the signal's reason. */
  signal?: Abort;
}

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
  /** Bytes released by scavenge events, in total. */
  scavengedBytes: number;
  /** Time that the events took, in ms. Reading and checking are not counted. */
  elapsedMs: number;
  /** 0 when the clock is too coarse for so few events. */
  eventsPerSecond: number;
  /** State after some of the events, including the last: the event's time in ns, and bytes. */
  series: Series;
}

/** A trace in blocks, as `openTrace` gives it. */
export interface TraceBlocks extends AsyncIterable<PageTrace> {
  /** Format that the trace was read from. A trace that you make yourself leaves it out. */
  readonly format?: string;
  /** Of the neutral form: the format that it was converted from. */
  readonly origin?: string;
  /** Bytes per page, in every block. */
  readonly pageSize?: number;
}

const OPTIONS = [
  "scavenge",
  "placement",
  "growth",
  "pageSize",
  "physPageSize",
  "physHugePageSize",
  "samples",
  "onProgress",
] as const;
const STREAM_OPTIONS = [...OPTIONS, "signal"] as const;

/** Formats of traces that no Go program has made. */
const NOT_GO: readonly (string | undefined)[] = ["pytorch", "malloc", "perf-kmem"];
const SAMPLES = 512;
const SAMPLES_MAX = 2 ** 20;
const PROGRESS_STEPS = 100;

/**
 * Drives a new heap of the given engine through the trace: `replay(PageAlloc, trace)`. Disposes of the heap at the end.
 *
 * Throws TypeError or RangeError for a wrong argument. Throws PageAllocError ERR_TRACE for an impossible event, or when
 * a page is allocated twice or freed when not in use. The message names the event by its index, its byte in the file if
 * the trace has it, and the page.
 */
export function replay(engine: typeof PageAlloc, trace: PageTrace, options?: ReplayOptions): ReplayReport;
/**
 * Replays a trace in blocks, as `openTrace` gives it. Memory holds a block, and what the trace has in use. The event
 * loop runs between blocks. Rejects as above, with what the stream rejects with, or with the signal's reason.
 */
export function replay(
  engine: typeof PageAlloc,
  trace: TraceBlocks,
  options?: ReplayStreamOptions,
): Promise<ReplayReport>;
export function replay(
  engine: typeof PageAlloc,
  trace: PageTrace | TraceBlocks,
  options?: ReplayStreamOptions,
): ReplayReport | Promise<ReplayReport> {
  if (typeof engine !== "function" || typeof engine.prototype?.allocToCache !== "function") {
    throw new TypeError(`engine must be a PageAlloc class, got ${show(engine)}`);
  }
  if (Object(trace) === trace && Symbol.asyncIterator in trace) return replayBlocks(engine, trace, options);
  return replayWhole(engine, trace as PageTrace, options);
}

function replayWhole(
  engine: typeof PageAlloc,
  trace: PageTrace,
  options: ReplayOptions | undefined,
): ReplayReport {
  const given = readOptions("options", options, OPTIONS);
  checkColumns(trace);
  const setup = checkOptions(trace, given);
  const counts = new EventCounts();
  checkEvents(trace, setup.geometry, 0, counts);
  const run = new Run(engine, setup, counts, trace.length);
  try {
    run.block(trace);
    return run.end();
  } finally {
    run.dispose();
  }
}

async function replayBlocks(
  engine: typeof PageAlloc,
  trace: TraceBlocks,
  options: ReplayStreamOptions | undefined,
): Promise<ReplayReport> {
  const { signal, ...given } = readOptions("options", options, STREAM_OPTIONS);
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    refuse("options.signal", signal, "an AbortSignal");
  }
  const setup = checkOptions(trace, given);
  const counts = new EventCounts();
  const run = new Run(engine, setup, counts, undefined);
  const breaks = new Breaks();
  try {
    for await (const block of trace) {
      if (signal?.aborted) throw signal.reason;
      checkColumns(block);
      checkEvents(block, setup.geometry, run.events, counts);
      run.block(block);
      await breaks.now();
    }
    if (signal?.aborted) throw signal.reason;
    return run.end();
  } finally {
    breaks.close();
    run.dispose();
  }
}

/** The checked options of a replay. */
interface Setup {
  readonly geometry: Geometry;
  readonly course: Course;
  readonly samples: number;
  readonly onProgress: ReplayOptions["onProgress"];
  readonly heap: {
    readonly pageSize: number;
    readonly physPageSize?: number;
    readonly physHugePageSize?: number;
  };
}

function checkOptions(trace: PageTrace | TraceBlocks, given: ReplayOptions): Setup {
  const tracePage = pageSizeOf(trace);
  const { placement = "first-fit", growth = "recorded", samples = SAMPLES, onProgress } = given;
  const { pageSize = tracePage, physPageSize, physHugePageSize } = given;
  powerOfTwo("options.pageSize", pageSize, 16, 2 ** 30);
  const geometry = geometryOf(tracePage, pageSize, 2 ** mostAddrBits(Math.log2(pageSize)));
  const { scavenge = geometry.exact ? "recorded" : "none" } = given;
  oneOf("options.scavenge", scavenge, ["none", "recorded"]);
  oneOf("options.placement", placement, ["first-fit", "recorded"]);
  oneOf("options.growth", growth, ["recorded", "needed"]);
  for (const [name, value] of Object.entries({ scavenge, placement })) {
    if (value !== "recorded" || geometry.exact) continue;
    const most = `for pages of at most ${tracePage} bytes, the trace's`;
    throw new RangeError(`options.${name} can be "recorded" only ${most}; options.pageSize is ${pageSize}`);
  }
  integer("options.samples", samples, 0, SAMPLES_MAX);
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new TypeError(`options.onProgress must be a function or undefined, got ${show(onProgress)}`);
  }
  return {
    geometry,
    course: {
      scavenge: scavenge === "recorded",
      recordedPlaces: placement === "recorded",
      recordedGrowth: growth === "recorded",
      isGo: !NOT_GO.includes(trace.origin ?? trace.format),
    },
    samples,
    onProgress,
    heap: { pageSize, physPageSize, physHugePageSize },
  };
}

function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value))
    refuse(name, value, allowed.map((word) => `"${word}"`).join(" or "), "string");
}

/** One replay: a heap, what drives it, and the time that it takes. */
class Run {
  /** Number of events so far. */
  events = 0;
  readonly #setup: Setup;
  readonly #counts: EventCounts;
  readonly #total: number | undefined;
  readonly #heap: PageAlloc;
  readonly #sampler: Sampler;
  readonly #driver: Driver;
  #elapsedMs = 0;
  #lastTime = 0;

  /** @param total number of events; undefined if it is not known */
  constructor(engine: typeof PageAlloc, setup: Setup, counts: EventCounts, total: number | undefined) {
    this.#setup = setup;
    this.#counts = counts;
    this.#total = total;
    this.#sampler = new Sampler(setup.samples, total);
    this.#heap = new engine(setup.heap);
    this.#driver = new Driver(this.#heap, setup.geometry, setup.course, this.#sampler);
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
      this.#driver.add(done, stop);
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
    this.#heap.dispose();
  }
}
