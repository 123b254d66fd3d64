// Replays a trace on a new heap of either engine. Reports where its pages went and how much memory it took.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { readOptions } from "../../base/arguments.ts";
import type { PageTrace } from "../events.ts";
import { Breaks } from "./breaks.ts";
import { checkColumns, checkEvents, EventCounts } from "./check.ts";
import {
  checkEngine,
  checkOptions,
  checkSignal,
  isBlocks,
  OPTIONS,
  type ReplayOptions,
  type ReplayStreamOptions,
  STREAM_OPTIONS,
  type TraceBlocks,
} from "./options.ts";
import { type ReplayReport, Run } from "./run.ts";

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
  checkEngine(engine);
  return isBlocks(trace) ? replayBlocks(engine, trace, options) : replayWhole(engine, trace, options);
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
  checkSignal(signal);
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
