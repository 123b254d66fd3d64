// Replays a trace on a new heap of either engine. Reports where its pages went and how much memory it took.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { integer, readOptions, refuse, show } from "../../base/arguments.ts";
import { PAGE_BYTES, type PageTrace } from "../events.ts";
import { Driver, makeSeries, type Series } from "./driver.ts";
import { type Plan, planReplay } from "./plan.ts";

/** Options of `replay`. */
export interface ReplayOptions {
  /** Which pages are released. "none", or "recorded" (default): those of the trace's scavenge events. */
  scavenge?: "none" | "recorded";
  /**
   * Points of the series, spread evenly over the events; 0 to 2^20, default 512. A trace with fewer events gets one
   * per event.
   */
  samples?: number;
  /** Called about a hundred times, with the number of events replayed so far and in all. Its time is not counted. */
  onProgress?(done: number, total: number): void;
}

/** The result of a replay. */
export interface ReplayReport {
  events: number;
  allocs: number;
  frees: number;
  /** Scavenge events in the trace, replayed or not. */
  scavenges: number;
  /** Allocations placed at the very address that the trace recorded. */
  addressMatches: number;
  /** The first allocation placed elsewhere; addresses in bytes. `event` is its index in the trace. */
  firstMismatch: { event: number; recorded: number; placed: number } | null;
  /** Most bytes that the trace had allocated at one time. Pages from before the trace are not counted. */
  peakInUseBytes: number;
  /** Most bytes of the heap that were not released at one time. Pages from before the trace are counted. */
  peakRetainedBytes: number;
  /** Mapped bytes of the heap at the end. */
  heapBytes: number;
  /** Bytes released by scavenge events, in total. */
  scavengedBytes: number;
  /** Time that the events took, in ms. Reading and planning are not counted. */
  elapsedMs: number;
  /** 0 when the clock is too coarse for so few events. */
  eventsPerSecond: number;
  /** State after some of the events, including the last: the event's time in ns, and bytes. */
  series: Series;
}

const OPTIONS = ["scavenge", "samples", "onProgress"] as const;
/** Options of a heap that a replay does not support yet. Ignoring them would give misleading results. */
const NOT_YET = ["pageSize", "physPageSize", "physHugePageSize"] as const;
type KnownOptions = ReplayOptions & { [name in (typeof NOT_YET)[number]]?: unknown };

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
      `options.${name} must be left out, got ${show(given[name])}: replay does not support it yet, and uses pages ` +
        `of ${PAGE_BYTES} bytes`,
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

/** Replays all events, requests samples and reports progress. Returns the time that the events took, in ms. */
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
    driver.add(done, stop);
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

/** Returns the end of part `part` when `total` is cut evenly into `parts`; `total` for a part beyond the last. */
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
