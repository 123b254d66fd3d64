// `palloc replay`: reads each trace, replays it and prints what was found. A bad trace is one line on stderr, and the
// others are replayed all the same.

import { readFile } from "node:fs/promises";
import { type ReplayOptions, type ReplayReport, readPageTrace, replay } from "palloc/trace";
import { csvHeader, csvRows, jsonLine, table } from "./format.ts";
import { startProgress } from "./progress.ts";

/** Where the command writes. */
export interface Output {
  readonly stdout: NodeJS.WritableStream;
  /** A progress bar is shown where this is a terminal. */
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

interface NamedTrace {
  readonly name: string;
  readonly path: string | URL;
}

/** What was asked for. */
export interface ReplayRequest {
  readonly traces: readonly NamedTrace[];
  readonly engine: "wasm" | "ts";
  readonly scavenge: NonNullable<ReplayOptions["scavenge"]>;
  readonly json?: boolean;
  readonly csv?: boolean;
}

/** Replays the traces one after the other. Returns the exit status: 1 when any was bad or could not be read. */
export async function replayTraces(request: ReplayRequest, output: Output): Promise<number> {
  let status = 0;
  const several = request.traces.length > 1;
  if (request.csv) output.stdout.write(csvHeader(several));
  for (const trace of request.traces) {
    try {
      const report = await replayTrace(trace, request, output);
      if (request.json) output.stdout.write(jsonLine(trace.name, request.engine, report));
      else if (request.csv) output.stdout.write(csvRows(several ? trace.name : undefined, report));
      else output.stdout.write(table(trace.name, request.engine, report));
    } catch (error) {
      if (!isExpected(error)) throw error;
      output.stderr.write(`palloc: ${trace.name}: ${error.message}\n`);
      status = 1;
    }
  }
  return status;
}

async function replayTrace(trace: NamedTrace, request: ReplayRequest, output: Output): Promise<ReplayReport> {
  const { PageAlloc } = request.engine === "ts" ? await import("palloc/ts") : await import("palloc");
  const events = await readPageTrace(await readFile(trace.path));
  const progress = output.stderr.isTTY ? startProgress(output.stderr, trace.name, events.length) : undefined;
  try {
    return replay(PageAlloc, events, { scavenge: request.scavenge, onProgress: progress?.update });
  } finally {
    progress?.stop();
  }
}

/** Whether the error is the library's or the file system's word on the trace: both carry a code. */
function isExpected(error: unknown): error is Error {
  return error instanceof Error && "code" in error;
}
