// Replays a trace on a new heap of either engine, and reports where its pages went and how much memory it took.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { integer, readOptions, refuse, show } from "../../base/arguments.ts";
import { PAGE_BYTES, type PageTrace } from "../events.ts";
import { Driver, makeSeries, type Series } from "./driver.ts";
import { type Plan, planReplay } from "./plan.ts";

/** How a replay goes. */
export interface ReplayOptions {
  /** "none": no page is released; "recorded" (default): those that the trace says. */
  scavenge?: "none" | "recorded";
  /**
   * Points of the series, spread evenly over the events; 0 to 2^20, default 512. A trace of fewer events has one for
   * each.
   */
  samples?: number;
  /** Called about a hundred times, with the number of events replayed so far and of all. Its time does not count. */
  onProgress?(done: number, total: number): void;
}

/** What a replay found. */
export interface ReplayReport {
  events: number;
  allocs: number;
  frees: number;
  /** Scavenge events in the trace, replayed or not. */
  scavenges: number;
  /** Allocations placed at the very address that the trace recorded. */
  addressMatches: number;
  /** The first that was placed elsewhere. `event` is its index in the trace. */
  firstMismatch: { event: number; recorded: number; placed: number } | null;
  /** Most that was allocated by the trace at one time, in bytes. What was in use before it began is not counted. */
  peakInUseBytes: number;
  /** Most of the heap that was not released at one time, in bytes. What was in use before the trace is part of it. */
  peakRetainedBytes: number;
  /** The heap's address space at the end, in bytes. */
  heapBytes: number;
  /** Released by scavenge events, in total. */
  scavengedBytes: number;
  /** Time that the events took: reading and planning are not counted. */
  elapsedMs: number;
  /** 0 when the clock is too coarse for so few events. */
  eventsPerSecond: number;
  /** State after some of the events, the last one included: the event's time in ns, and bytes. */
  series: Series;
}

const OPTIONS = ["scavenge", "samples", "onProgress"] as const;
/** Options that a heap has. A replay that passed over them would answer another question than it was asked. */
const NOT_YET = ["pageSize", "physPageSize", "physHugePageSize"] as const;
type KnownOptions = ReplayOptions & { [name in (typeof NOT_YET)[number]]?: unknown };

const SAMPLES = 512;
const SAMPLES_MAX = 2 ** 20;
const PROGRESS_STEPS = 100;

/**
 * Drives a new heap of the given engine through the trace: `replay(PageAlloc, trace)`. The heap is given back at the
 * end.
 *
 * Throws TypeError or RangeError for a wrong argument. Throws PageAllocError ERR_TRACE when a page is allocated twice
 * or freed when not in use, or an event cannot be: the message names the event by its index, its byte in the file
 * where the trace knows it, and the page.
 */
export function replay(engine: typeof PageAlloc, trace: PageTrace, options?: ReplayOptions): ReplayReport {
  if (typeof engine !== "function" || typeof engine.prototype?.allocToCache !== "function") {
    throw new TypeError(`engine must be a PageAlloc class, got ${show(engine)}`);
  }
  const { scavenge, samples, onProgress } = checkOptions(options);
  const plan = planReplay(trace);
  const heap = new engine({ pageSize: PAGE_BYTES });
  try {
    const series = makeSeries(Math.min(samples, trace.length));
    const driver = new Driver(heap, plan, scavenge === "recorded", series);
    const elapsedMs = drive(driver, trace.length, series.time.length, onProgress);
    return report(plan, driver, series, elapsedMs);
  } finally {
    heap.dispose();
  }
}

function checkOptions(options: ReplayOptions | undefined) {
  const given = readOptions<KnownOptions>("options", options, [...OPTIONS, ...NOT_YET]);
  for (const name of NOT_YET) {
    if (given[name] === undefined) continue;
    throw new TypeError(
      `options.${name} must be left out: replay does not honour it yet, got ${show(given[name])}; it replays ` +
        `pages of ${PAGE_BYTES} bytes`,
    );
  }
  const { scavenge = "recorded", samples = SAMPLES, onProgress } = given;
  if (scavenge !== "none" && scavenge !== "recorded") {
    refuse("options.scavenge", scavenge, '"none" or "recorded"', "string");
  }
  integer("options.samples", samples, 0, SAMPLES_MAX);
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new TypeError(`options.onProgress must be a function or undefined, got ${show(onProgress)}`);
  }
  return { scavenge, samples, onProgress };
}

/** Runs all events, with stops to ask for samples and tell the progress. Returns the ms that the events took. */
function drive(
  driver: Driver,
  total: number,
  samples: number,
  onProgress: ReplayOptions["onProgress"],
): number {
  const steps = onProgress === undefined ? 0 : Math.min(PROGRESS_STEPS, total);
  let sample = 0;
  let step = 0;
  let done = 0;
  let outside = 0;
  const start = performance.now();
  while (done < total) {
    const sampleAt = partEnd(total, samples, sample);
    const stepAt = partEnd(total, steps, step);
    const stop = Math.min(sampleAt, stepAt);
    driver.run(done, stop);
    done = stop;
    if (done === sampleAt && sample < samples) {
      sample++;
      driver.sample(done - 1);
    }
    if (done < stepAt) continue;
    driver.finish();
    step++;
    const paused = performance.now();
    onProgress?.(done, total);
    outside += performance.now() - paused;
  }
  return performance.now() - start - outside;
}

/** Where part number `part` of `parts` ends when `total` is cut into them evenly; without parts, at the end. */
function partEnd(total: number, parts: number, part: number): number {
  return part < parts ? Math.floor(((part + 1) * total) / parts) : total;
}

function report(plan: Plan, driver: Driver, series: Series, elapsedMs: number): ReplayReport {
  const { trace, counts } = plan;
  const found = driver.counters;
  const event = found.mismatchEvent;
  return {
    events: trace.length,
    ...counts,
    addressMatches: found.addressMatches,
    firstMismatch: event < 0 ? null : { event, recorded: trace.base[event], placed: found.mismatchAddress },
    peakInUseBytes: found.peakInUse * PAGE_BYTES,
    peakRetainedBytes: found.peakRetained * PAGE_BYTES,
    heapBytes: found.sys * PAGE_BYTES,
    scavengedBytes: found.scavenged * PAGE_BYTES,
    elapsedMs,
    eventsPerSecond: elapsedMs > 0 ? (trace.length / elapsedMs) * 1000 : 0,
    series,
  };
}
