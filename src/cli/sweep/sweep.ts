// `palloc sweep`: many policies on many traces, over all cores, and in parts over many machines.

import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { PageTrace } from "palloc/trace";
import { count, csvText, mebibytes } from "../format.ts";
import { complain, print } from "../output.ts";
import type { Progress } from "../progress.ts";
import { type ReadHost, type ReadRequest, withTrace } from "../reading.ts";
import { findGcLog } from "../source.ts";
import { wholeOf } from "../whole.ts";
import { isOnFront } from "./front.ts";
import { expandPolicy, type RunSpec, runsOf } from "./grid.ts";
import {
  appendResult,
  hashOf,
  hashOfColumns,
  lineOf,
  type Result,
  ResultsError,
  readResults,
} from "./results.ts";
import { parseShard, type Shard, shardOfCluster } from "./shard.ts";
import { runTask, type SweepTask } from "./task.ts";

/** What the command uses of the process. */
export interface SweepHost extends ReadHost {
  /** Version of the package. */
  readonly version: string;
  /** The built sweep-worker.js. Without it, all runs are in this thread. */
  readonly sweepWorker?: URL;
  /** Environment variables, of which those of a cluster are read. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The arguments of `palloc sweep`. */
export interface SweepRequest extends ReadRequest {
  /** Paths of traces. */
  readonly traces: readonly string[];
  /** As `expandPolicy` takes them. */
  readonly policy: readonly string[];
  readonly pageSize?: readonly number[];
  readonly physPageSize?: readonly number[];
  readonly memoryLimit?: readonly number[];
  readonly engine: "wasm" | "ts";
  readonly costs: "go" | "measured";
  readonly threads?: number;
  /** A file of results to go on with. */
  readonly resume?: string;
  readonly shard?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const FAILED = 1;
/** In place of a list that is not given. */
const DEFAULT: readonly undefined[] = [undefined];

/** A trace of a sweep, once it is read. */
interface SweepTrace {
  readonly name: string;
  readonly hash: string;
  readonly trace: PageTrace;
}

/**
 * Runs the sweep, or its part. Returns the exit status: 1 if a trace was bad or a run failed, else 0. Rejects with
 * OutputError when stdout cannot be written; with RangeError for wrong options.
 */
export async function sweep(request: SweepRequest, host: SweepHost): Promise<number> {
  const { parsePolicy } = await import("palloc/lab");
  const policies = request.policy.flatMap(expandPolicy);
  for (const policy of policies) parsePolicy(policy);
  const runs = runsOf({
    traces: request.traces.length,
    policies,
    pageSizes: request.pageSize ?? DEFAULT,
    physPageSizes: request.physPageSize ?? DEFAULT,
    memoryLimits: request.memoryLimit ?? DEFAULT,
  });
  const shard = request.shard === undefined ? shardOfCluster(host.env ?? {}) : parseShard(request.shard);
  let known: Result[];
  try {
    known = request.resume === undefined ? [] : readResults(request.resume, true);
  } catch (error) {
    await complain(host.stderr, (error as Error).message);
    return FAILED;
  }
  const traces = await readTraces(request, host);
  if (!traces) return FAILED;
  const keyed = keysOf(runs, traces, request, host.version);
  const byKey = new Map(known.map((result) => [result.key, result]));
  const mine = keyed.filter(({ run }) => run.index % shard.count === shard.index);
  const todo = mine.filter(({ key }) => !byKey.has(key));
  const failures = await runAll(todo, traces, request, host, (result) => {
    byKey.set(result.key, result);
    if (request.resume !== undefined) appendResult(request.resume, result);
  });
  for (const failure of failures) await complain(host.stderr, failure);
  const results = mine.flatMap(({ key }) => byKey.get(key) ?? []);
  await print(host.stdout, await textOf(results, request, shard));
  return failures.length > 0 ? FAILED : 0;
}

/** Reads the traces, into memory that threads share. Undefined if one was bad, which has been reported. */
async function readTraces(request: SweepRequest, host: SweepHost): Promise<SweepTrace[] | undefined> {
  const traces: SweepTrace[] = [];
  for (const path of request.traces) {
    const gcLog = request.gcLog ?? (await findGcLog(path));
    const done = await withTrace(path, { ...request, gcLog }, host, ({ trace }) => wholeOf(trace, true));
    if (!done) return undefined;
    const { time, proc, kind, base, npages, gc } = done.result;
    const columns = [time, proc, kind, base, npages];
    if (gc) columns.push(gc.start, gc.time, gc.sweepEnd, gc.heapLive, gc.heapGoal);
    traces.push({ name: done.name, hash: hashOfColumns(columns), trace: done.result });
  }
  return traces;
}

/** A run, its key, and what its result says besides the report. */
interface KeyedRun {
  readonly run: RunSpec;
  readonly key: string;
  readonly about: Omit<Result, keyof import("palloc/lab").SimulateReport> & { readonly policy: string };
}

function keysOf(
  runs: readonly RunSpec[],
  traces: readonly SweepTrace[],
  { costs, engine }: SweepRequest,
  version: string,
): KeyedRun[] {
  const keys = runs.map(({ trace, policy, pageSize, physPageSize, memoryLimit }) =>
    hashOf(traces[trace].hash, policy, pageSize, physPageSize, memoryLimit, costs, engine, version),
  );
  const sweep = hashOf(...keys);
  return runs.map((run, i) => {
    const { name, hash } = traces[run.trace];
    const about = {
      ...run,
      key: keys[i],
      sweep,
      runs: runs.length,
      trace: name,
      traceHash: hash,
      costs,
      version,
    };
    return { run, key: keys[i], about };
  });
}

/** Runs what is to be done, and gives each result as it comes. Returns what went wrong. */
async function runAll(
  todo: readonly KeyedRun[],
  traces: readonly SweepTrace[],
  request: SweepRequest,
  host: SweepHost,
  take: (result: Result) => void,
): Promise<string[]> {
  const { engine, costs } = request;
  const bars = host.stderr.isTTY && todo.length > 0 ? await import("../progress.ts") : undefined;
  const progress: Progress | undefined = bars?.startProgress(host.stderr, "sweep", todo.length, "runs");
  const failures: string[] = [];
  let done = 0;
  const threads = await openThreads(request, host, todo.length);
  const one = async ({ run, about }: KeyedRun) => {
    try {
      const report = await threads.run({ trace: traces[run.trace].trace, run, engine, costs });
      const { series: _series, elapsedMs: _elapsed, eventsPerSecond: _speed, ...facts } = report;
      take({ ...about, ...facts, policy: run.policy });
    } catch (error) {
      failures.push(
        `${about.trace}, ${run.policy}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    progress?.update(++done);
  };
  try {
    // As many at a time as there are threads: each takes the next.
    const next = todo[Symbol.iterator]();
    await Promise.all(
      Array.from({ length: threads.count }, async () => {
        for (const run of { [Symbol.iterator]: () => next }) await one(run);
      }),
    );
  } finally {
    progress?.stop();
    await threads.close();
  }
  return failures;
}

/** Threads that take runs. */
interface Threads {
  readonly count: number;
  run(task: SweepTask): ReturnType<typeof runTask>;
  close(): Promise<void>;
}

async function openThreads(
  { threads }: SweepRequest,
  { sweepWorker }: SweepHost,
  runs: number,
): Promise<Threads> {
  const wanted = Math.max(1, Math.min(threads ?? availableParallelism(), runs));
  if (!sweepWorker) return { count: 1, run: runTask, async close() {} };
  const { default: workerpool } = await import("workerpool");
  const workers = workerpool.pool(fileURLToPath(sweepWorker), { maxWorkers: wanted, workerType: "thread" });
  return {
    count: wanted,
    run: async (task) => workers.exec("runTask", [task]),
    async close() {
      await workers.terminate();
    },
  };
}

/** Returns the results, in the form that was asked for. */
async function textOf(results: readonly Result[], request: SweepRequest, shard: Shard): Promise<string> {
  if (request.json) return results.map(lineOf).join("");
  const rows = results.map((result) => ({ ...result, front: isOnFront(result, results) }));
  if (request.csv) return csvOf(rows);
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    head: [
      "trace",
      "policy",
      "page",
      "system's",
      "limit",
      "retained, mean",
      "CPU time",
      "touched again",
      "front",
    ],
    colAligns: ["left", "left", "right", "right", "right", "right", "right", "right", "left"],
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const row of rows) {
    table.push([
      row.trace,
      row.policy,
      sizeOf(row.pageSize),
      sizeOf(row.physPageSize),
      sizeOf(row.memoryLimit),
      mebibytes(row.retainedMeanBytes),
      `${count(row.costNs / 1e6)} ms`,
      mebibytes(row.refaultedBytes),
      row.front ? "*" : "",
    ]);
  }
  const part = shard.count > 1 ? `part ${shard.index} of ${shard.count}, ` : "";
  const note =
    "* no other run of this trace retains less for less CPU time; trace-only results are estimates";
  return `${part}${count(rows.length)} runs\n${table.toString()}\n${note}\n`;
}

function sizeOf(bytes: number | undefined): string {
  return bytes === undefined ? "" : mebibytes(bytes);
}

/** The numbers of a result that CSV has, by their names. */
const CSV_COLUMNS = [
  "index",
  "trace",
  "policy",
  "mode",
  "pageSize",
  "physPageSize",
  "memoryLimit",
  "retainedMeanBytes",
  "retainedP50Bytes",
  "retainedP99Bytes",
  "peakRetainedBytes",
  "releasedBytes",
  "releaseCalls",
  "refaultedBytes",
  "faults",
  "costNs",
  "front",
] as const;

function csvOf(rows: ReadonlyArray<Result & { readonly front: boolean }>): string {
  const cell = (value: unknown) => csvText(value === undefined ? "" : String(value));
  const lines = rows.map((row) => CSV_COLUMNS.map((name) => cell(row[name])).join(","));
  return `${[CSV_COLUMNS.join(","), ...lines].join("\n")}\n`;
}

/** The arguments of `palloc merge`. */
export interface MergeRequest {
  readonly files: readonly string[];
}

/**
 * Joins the results of a sweep's parts, in the order of its runs. Returns the exit status: 1 if they are of different
 * sweeps, if a run is there twice with different results, or if one is missing. Rejects with OutputError.
 */
export async function merge({ files }: MergeRequest, host: ReadHost): Promise<number> {
  const byIndex = new Map<number, { readonly file: string; readonly result: Result }>();
  let first: Result | undefined;
  try {
    for (const file of files) {
      for (const result of readResults(file, false)) {
        first ??= result;
        if (result.sweep !== first.sweep)
          throw new ResultsError(`${file}: its results are of another sweep than those of ${files[0]}`);
        const other = byIndex.get(result.index);
        if (other) throw new ResultsError(`${file}: run ${result.index} is in ${other.file} too`);
        byIndex.set(result.index, { file, result });
      }
    }
  } catch (error) {
    if (!(error instanceof ResultsError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    await complain(host.stderr, (error as Error).message);
    return FAILED;
  }
  const results = [...byIndex.values()].map(({ result }) => result).sort((a, b) => a.index - b.index);
  await print(host.stdout, results.map(lineOf).join(""));
  const missing = Array.from({ length: first?.runs ?? 0 }, (_, i) => i).filter((i) => !byIndex.has(i));
  if (missing.length === 0) return 0;
  await complain(
    host.stderr,
    `${count(missing.length)} of ${count(first?.runs ?? 0)} runs are missing: ${rangesOf(missing)}`,
  );
  return FAILED;
}

/** Returns ascending numbers as ranges, such as 1-3, 7. */
function rangesOf(numbers: readonly number[]): string {
  const ranges: Array<[number, number]> = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}
