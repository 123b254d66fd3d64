// The options of a replay, and their checks.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { integer, powerOfTwo, refuse, show } from "../../base/arguments.ts";
import type { Abort } from "../../base/platform.ts";
import { mostAddrBits } from "../../engine/pages.ts";
import type { PageTrace } from "../events.ts";
import { pageSizeOf } from "./check.ts";
import type { Course } from "./driver.ts";
import { type Geometry, geometryOf } from "./geometry.ts";

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

/** A trace in blocks, as `openTrace` gives it. */
export interface TraceBlocks extends AsyncIterable<PageTrace> {
  /** Format that the trace was read from. A trace that you make yourself leaves it out. */
  readonly format?: string;
  /** Of the neutral form: the format that it was converted from. */
  readonly origin?: string;
  /** Bytes per page, in every block. */
  readonly pageSize?: number;
}

export const OPTIONS = [
  "scavenge",
  "placement",
  "growth",
  "pageSize",
  "physPageSize",
  "physHugePageSize",
  "samples",
  "onProgress",
] as const;
export const STREAM_OPTIONS = [...OPTIONS, "signal"] as const;

/** Formats of traces that no Go program has made. */
const NOT_GO: readonly (string | undefined)[] = ["pytorch", "malloc", "perf-kmem"];
const SAMPLES = 512;
const SAMPLES_MAX = 2 ** 20;

/** The checked options of a replay. */
export interface Setup {
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

/** Checks the options. Throws TypeError or RangeError. */
export function checkOptions(trace: PageTrace | TraceBlocks, given: ReplayOptions): Setup {
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

/** Throws TypeError or RangeError unless a value is one of some words. */
export function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value))
    refuse(name, value, allowed.map((word) => `"${word}"`).join(" or "), "string");
}

/** Throws TypeError unless a value is the class of an engine's heaps. */
export function checkEngine(engine: typeof PageAlloc): void {
  if (typeof engine === "function" && typeof engine.prototype?.allocToCache === "function") return;
  throw new TypeError(`engine must be a PageAlloc class, got ${show(engine)}`);
}

/** Throws TypeError unless a value is an AbortSignal, or undefined. */
export function checkSignal(signal: Abort | undefined): void {
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    refuse("options.signal", signal, "an AbortSignal");
  }
}

/** Reports whether a trace comes in blocks. */
export function isBlocks(trace: PageTrace | TraceBlocks): trace is TraceBlocks {
  return Object(trace) === trace && Symbol.asyncIterator in trace;
}
