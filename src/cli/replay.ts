// `palloc replay`: reads and replays each trace, and prints a report. A bad trace gets one line on stderr, and the
// others are still replayed.

import type { Readable, Writable } from "node:stream";
import { type PageTrace, type ReplayOptions, type ReplayReport, readPageTrace, replay } from "palloc/trace";
import { csvHeader, csvRows, jsonLine, table } from "./format.ts";
import { complain, print } from "./output.ts";
import { startProgress } from "./progress.ts";

/** Where the command writes. */
export interface Output {
  readonly stdout: Writable;
  /** Gets a progress bar if it is a terminal. */
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

interface NamedTrace {
  readonly name: string;
  open(): Readable;
}

/** The arguments of `palloc replay`. */
export interface ReplayRequest {
  readonly traces: readonly NamedTrace[];
  readonly engine: "wasm" | "ts";
  readonly scavenge: NonNullable<ReplayOptions["scavenge"]>;
  readonly json?: boolean;
  readonly csv?: boolean;
  /** Most bytes to unpack from a trace. Default: the library's. */
  readonly limit?: number;
}

/**
 * Replays the traces one after the other. Returns the exit status: 1 if any was bad or could not be read, else 0.
 * Rejects with OutputError when stdout cannot be written.
 */
export async function replayTraces(request: ReplayRequest, output: Output): Promise<number> {
  let status = 0;
  const several = request.traces.length > 1;
  let header = request.csv ? csvHeader(several) : "";
  for (const trace of request.traces) {
    const report = await tryReplay(trace, request, output);
    if (!report) {
      status = 1;
      continue;
    }
    let text: string;
    if (request.json) text = jsonLine(trace.name, request.engine, report);
    else if (request.csv) text = header + csvRows(several ? trace.name : undefined, report);
    else text = table(trace.name, request.engine, report);
    await print(output.stdout, text);
    header = "";
  }
  return status;
}

/** Replays one trace. Reports a bad one and returns undefined. */
async function tryReplay(
  trace: NamedTrace,
  request: ReplayRequest,
  output: Output,
): Promise<ReplayReport | undefined> {
  try {
    const events = await readTrace(trace, request.limit);
    if (events.cutShort) await complain(output.stderr, `${trace.name}: warning: ${events.cutShort}`);
    return await replayTrace(trace.name, events, request, output);
  } catch (error) {
    if (!isExpected(error)) throw error;
    await complain(output.stderr, `${trace.name}: ${error.message}`);
    return undefined;
  }
}

async function readTrace(trace: NamedTrace, limit: number | undefined): Promise<PageTrace> {
  const stream = trace.open();
  try {
    return await readPageTrace(stream, { limit });
  } finally {
    // An open pipe would keep the process alive.
    stream.destroy();
  }
}

async function replayTrace(
  name: string,
  events: PageTrace,
  request: ReplayRequest,
  output: Output,
): Promise<ReplayReport> {
  const { PageAlloc } = request.engine === "ts" ? await import("palloc/ts") : await import("palloc");
  const progress = output.stderr.isTTY
    ? startProgress(output.stderr, name, events.length, "events")
    : undefined;
  try {
    return replay(PageAlloc, events, { scavenge: request.scavenge, onProgress: progress?.update });
  } finally {
    progress?.stop();
  }
}

/** Reports whether an error is about the trace. Errors of the library and the file system have a code. */
function isExpected(error: unknown): error is Error {
  return error instanceof Error && "code" in error;
}
