// The log that Go's scavenger and collector wrote beside a page trace.

import type { GcEvents } from "../trace/events.ts";
import { skipBlanks } from "../trace/source/fields.ts";
import { Input } from "../trace/source/input.ts";
import { fieldsOf, numberOf } from "../trace/source/json-lines.ts";
import { Lines } from "../trace/source/lines.ts";
import type { TraceSource } from "../trace/source/source.ts";

/** Most bytes of a log, after unpacking. */
const LIMIT = 2 ** 32;

/** What a program's scavenger and collector did. Times in ns, on the clock of the trace beside it; sizes in bytes. */
export interface ScavengeLog {
  /** Number of steps. */
  readonly length: number;
  /** What the scavenger did, in the order of time. */
  readonly steps: readonly LogStep[];
  /** Cycles of the collector. */
  readonly gc: GcEvents;
}

/** A step of the scavenger. */
export type LogStep =
  /** The index moved on to another generation. */
  | { readonly kind: "gen"; readonly time: number }
  /** A run of the background scavenger: how long it worked, and what it released. */
  | { readonly kind: "run"; readonly time: number; readonly worked: number; readonly released: number }
  /** An allocation scavenged, at its end: so many bytes wanted, also of what the background scavenger leaves alone. */
  | { readonly kind: "eager"; readonly time: number; readonly want: number; readonly force: boolean };

/**
 * Reads such a log: a JSON object a line, plain, gzip or zstd. Does not keep `data`. Rejects with TypeError; with
 * PageAllocError ERR_TRACE, which names the byte, for what is no log.
 */
export async function readScavengeLog(data: TraceSource): Promise<ScavengeLog> {
  const input = new Input("data", data, { limit: LIMIT });
  try {
    await input.start();
    return await read(new Lines(await input.open()));
  } finally {
    input.close();
  }
}

/** A cycle of the collector, as `GcEvents` has it. */
type Cycle = Record<"time" | "sweepEnd" | "heapLive" | "heapGoal", number>;

async function read(lines: Lines): Promise<ScavengeLog> {
  const steps: LogStep[] = [];
  const cycles: Cycle[] = [];
  const sweepEnds: number[] = [];
  while (await lines.more()) {
    while (lines.next()) {
      skipBlanks(lines);
      if (lines.position === lines.end) continue;
      const fields = fieldsOf(lines);
      const number = (name: string, what: string) => numberOf(lines, fields[name], `${name}, ${what}`);
      const time = (name: string) => number(name, "a time in ns");
      const { k, force, heapGoal } = fields;
      if (k === "gen") {
        steps.push({ kind: k, time: time("t") });
      } else if (k === "run") {
        const worked = number("worked", "a time in ns");
        steps.push({ kind: k, time: time("t"), worked, released: number("released", "bytes") });
      } else if (k === "eager") {
        if (typeof force !== "boolean") throw lines.error("force, true or false");
        steps.push({ kind: k, time: time("end"), want: number("want", "bytes"), force });
      } else if (k === "pace") {
        cycles.push({
          time: time("t"),
          sweepEnd: Number.NaN,
          heapLive: number("heapMarked", "bytes"),
          heapGoal: heapGoal === null ? Infinity : number("heapGoal", "bytes, or null"),
        });
      } else if (k === "swept") {
        sweepEnds.push(time("t"));
      }
    }
  }
  // An eager call is written at its end, and lines may be out of order in other ways too.
  steps.sort((a, b) => a.time - b.time);
  cycles.sort((a, b) => a.time - b.time);
  for (const sweepEnd of sweepEnds.sort((a, b) => a - b)) {
    const cycle = cycles.findLast(({ time }) => time <= sweepEnd);
    if (cycle) cycle.sweepEnd = sweepEnd;
  }
  const column = (name: keyof (typeof cycles)[number]) => Float64Array.from(cycles, (cycle) => cycle[name]);
  return {
    length: steps.length,
    steps,
    gc: {
      length: cycles.length,
      start: new Float64Array(cycles.length).fill(Number.NaN),
      time: column("time"),
      sweepEnd: column("sweepEnd"),
      heapLive: column("heapLive"),
      heapGoal: column("heapGoal"),
    },
  };
}
