// `palloc replay`: replays each trace in blocks, and prints a report. A bad trace gets one line on stderr, and the
// others are still replayed.

import { type ReplayOptions, replay } from "palloc/trace";
import { csvHeader, csvRows, jsonLine, table } from "./format.ts";
import { print } from "./output.ts";
import { type ReadHost, type ReadRequest, warn, withTrace } from "./reading.ts";

/** Options of the replay itself, as the command takes them. */
type Course = Pick<
  ReplayOptions,
  "scavenge" | "placement" | "growth" | "pageSize" | "physPageSize" | "physHugePageSize"
>;

/** The arguments of `palloc replay`. */
export interface ReplayRequest extends ReadRequest, Course {
  /** Paths, or "-" for standard input. */
  readonly traces: ReadonlyArray<string | URL>;
  readonly engine: "wasm" | "ts";
  readonly json?: boolean;
  readonly csv?: boolean;
}

/**
 * Replays the traces one after the other. Returns the exit status: 1 if any was bad or could not be read, else 0.
 * Rejects with OutputError when stdout cannot be written; with the library's error for a wrong option.
 */
export async function replayTraces(request: ReplayRequest, host: ReadHost): Promise<number> {
  let status = 0;
  const several = request.traces.length > 1;
  let header = request.csv ? csvHeader(several) : "";
  const { engine, scavenge, placement, growth, pageSize, physPageSize, physHugePageSize } = request;
  const course: Course = { scavenge, placement, growth, pageSize, physPageSize, physHugePageSize };
  for (const path of request.traces) {
    const done = await withTrace(path, request, host, async ({ trace }) => {
      const { PageAlloc } = engine === "ts" ? await import("palloc/ts") : await import("palloc");
      const report = await replay(PageAlloc, trace, course);
      // With larger pages, and at recorded places, it says nothing that an allocation is where it was.
      const isFitted = placement !== "recorded" && (pageSize ?? 0) <= trace.pageSize;
      return { report, isFitted };
    });
    if (!done) {
      status = 1;
      continue;
    }
    await warn(done, host);
    const { name, corrections } = done;
    const { report, isFitted } = done.result;
    let text: string;
    if (request.json) text = jsonLine(name, engine, report, corrections);
    else if (request.csv) text = header + csvRows(several ? name : undefined, report);
    else text = table(name, engine, report, corrections, isFitted);
    await print(host.stdout, text);
    header = "";
  }
  return status;
}
