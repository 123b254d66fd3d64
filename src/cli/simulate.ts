// `palloc simulate`: what policies would have done with a program's memory, side by side.

import type { SimulateMode, SimulateOptions, SimulateReport } from "palloc/lab";
import { count, jsonOf, mebibytes } from "./format.ts";
import { complain, print } from "./output.ts";
import { type ReadHost, type ReadRequest, warn, withTrace } from "./reading.ts";
import { findGcLog, openFile } from "./source.ts";
import { wholeOf } from "./whole.ts";

/** The arguments of `palloc simulate`. */
export interface SimulateRequest
  extends ReadRequest,
    Pick<
      SimulateOptions,
      "mode" | "placement" | "growth" | "pageSize" | "physPageSize" | "physHugePageSize" | "memoryLimit"
    > {
  /** Path, or "-" for standard input. */
  readonly trace: string | URL;
  /** As `parsePolicy` takes them. */
  readonly policy: string;
  readonly compare: readonly string[];
  readonly engine: "wasm" | "ts";
  readonly costs: "go" | "measured";
  readonly plot?: boolean;
  readonly json?: boolean;
}

/** Samples to plot from, and the plot's columns and rows in the terminal. */
const SAMPLES = 512;
const PLOT = { width: 72, height: 16 };
const MS = 1e6;
const SECOND = 1e9;
/** Where an axis has numbers. */
const TICKS = [0, 0.25, 0.5, 0.75, 1];
/** Colours of curves, which people who see few colours can tell apart. */
const COLORS = ["ansiCyan", "ansiYellow", "ansiMagenta", "ansiWhite", "ansiBlue"] as const;

/** Where the collector's cycles are from. */
const MODES: Record<SimulateMode, string> = {
  recorded: "recorded: the log's steps, only the pages are chosen",
  "log-driven": "log-driven: the collector's cycles are the program's",
  "trace-only": "trace-only: an ESTIMATE, the collector's cycles are guessed",
};

/** The rows of the table: labels, and how to show a report's value. Those with a number are compared. */
const ROWS: ReadonlyArray<
  [label: string, value: (report: SimulateReport) => number, show: (n: number) => string]
> = [
  ["retained, mean", (report) => report.retainedMeanBytes, mebibytes],
  ["retained, median", (report) => report.retainedP50Bytes, mebibytes],
  ["retained, 99th percentile", (report) => report.retainedP99Bytes, mebibytes],
  ["retained, peak", (report) => report.peakRetainedBytes, mebibytes],
  ["with whole huge pages, mean", (report) => report.rssHugeMeanBytes, mebibytes],
  ["released", (report) => report.releasedBytes, mebibytes],
  ["release calls", (report) => report.releaseCalls, count],
  ["touched again", (report) => report.refaultedBytes, mebibytes],
  ["on average after", (report) => report.refaultDelayMeanNs, milliseconds],
  ["faults, first touch", (report) => report.firstFaults, count],
  ["faults, again", (report) => report.refaults, count],
  ["whole huge pages, mean", (report) => report.hugePagesWholeMean, (n) => n.toFixed(1)],
  ["huge pages broken", (report) => report.hugePagesBroken, count],
  ["trapped by pages of 16K, mean", (report) => report.trappedMeanBytes[2 ** 14], mebibytes],
  ["trapped by pages of 64K, mean", (report) => report.trappedMeanBytes[2 ** 16], mebibytes],
  ["trapped by pages of 2M, mean", (report) => report.trappedMeanBytes[2 ** 21], mebibytes],
  ["CPU time", (report) => report.costNs, milliseconds],
];

function milliseconds(ns: number): string {
  return Number.isNaN(ns) ? "-" : `${count(ns / MS)} ms`;
}

/**
 * Simulates each policy on the trace. Returns the exit status: 1 if it was bad or could not be read, else 0. Rejects
 * with OutputError when stdout cannot be written; with the library's error for a wrong option.
 */
export async function simulatePolicies(request: SimulateRequest, host: ReadHost): Promise<number> {
  const lab = await import("palloc/lab");
  const { trace: path, mode } = request;
  // A wrong policy is refused before the trace is read.
  const policies = [request.policy, ...request.compare].map((text) => lab.parsePolicy(text));
  const found = typeof path === "string" ? await findGcLog(path) : undefined;
  const gcLog = request.gcLog ?? found;
  if (mode === "recorded" && !gcLog) {
    await complain(
      host.stderr,
      `${path}: recorded mode needs the log beside the trace; name it with --gc-log`,
    );
    return 1;
  }
  const { costs, placement, growth, pageSize, physPageSize, physHugePageSize, memoryLimit, engine } = request;
  const options = { costs, placement, growth, pageSize, physPageSize, physHugePageSize, memoryLimit, mode };
  const done = await withTrace(path, { ...request, gcLog }, host, async (reading) => {
    const { PageAlloc } = engine === "ts" ? await import("palloc/ts") : await import("palloc");
    const log =
      mode === "recorded" && gcLog ? await lab.readScavengeLog((await openFile(gcLog)).source) : undefined;
    const given = { ...options, log, samples: SAMPLES };
    if (policies.length === 1 && !("foresee" in policies[0])) {
      return [await lab.simulate(PageAlloc, reading.trace, { ...given, policy: policies[0] })];
    }
    const trace = await wholeOf(reading.trace);
    return policies.map((policy) => lab.simulate(PageAlloc, trace, { ...given, policy }));
  });
  if (!done) return 1;
  await warn(done, host);
  const { name, result: reports } = done;
  if (request.json) {
    await print(host.stdout, reports.map((report) => jsonOf({ trace: name, engine, ...report })).join(""));
    return 0;
  }
  await print(host.stdout, await table(name, reports));
  if (request.plot)
    await print(host.stdout, await plot(reports, "isTTY" in host.stdout && host.stdout.isTTY === true));
  return 0;
}

/** Returns the reports side by side. What differs from the first has its difference beside it. */
async function table(name: string, reports: readonly SimulateReport[]): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const [first] = reports;
  const rows = new Table({
    head: ["", ...reports.map(({ policy }) => policy)],
    colAligns: ["left", ...reports.map(() => "right" as const)],
    style: { head: [], border: [] },
    // No lines between the rows.
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const [label, value, show] of ROWS) {
    const before = value(first);
    const cells = reports.map((report, i) => {
      const now = value(report);
      return i > 0 ? `${show(now)}${difference(before, now)}` : show(now);
    });
    rows.push([label, ...cells]);
  }
  const about = [`cycles ${MODES[first.mode]}`, `costs ${first.costName}`].join("; ");
  return `${name}\n${about}\n${rows.toString()}\n`;
}

/** Returns by how much a value is more or less than the one before. */
function difference(before: number, now: number): string {
  if (now === before || Number.isNaN(now) || Number.isNaN(before)) return "";
  if (before === 0) return " (+)";
  const percent = (now / before - 1) * 100;
  return ` (${percent < 0 ? "" : "+"}${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)} %)`;
}

/** Returns what was retained over time, as curves of characters. */
async function plot(reports: readonly SimulateReport[], hasColors: boolean): Promise<string> {
  const [{ series }] = reports;
  if (series.time.length === 0) return "";
  const { plot: draw } = await import("simple-ascii-chart");
  const curves = reports.map((report) => curveOf(report.series, PLOT.width));
  const [first] = curves;
  const end = first[first.length - 1][0];
  const most = Math.max(...curves.flat().map(([, retained]) => retained));
  const text = draw(curves, {
    ...PLOT,
    yRange: [0, most],
    customXAxisTicks: TICKS.map((share) => share * end),
    customYAxisTicks: TICKS.map((share) => share * most),
    title: "MiB retained, by seconds",
    legend: { position: "bottom", series: reports.map(({ policy }) => policy) },
    formatter: (n) => String(Number(n.toPrecision(3))),
    color: hasColors ? reports.map((_, i) => COLORS[i % COLORS.length]) : undefined,
  });
  return `${text}\n`;
}

/** Returns a series at so many times, evenly spread: seconds from its beginning, and MiB. */
function curveOf({ time, retained }: SimulateReport["series"], points: number): Array<[number, number]> {
  const [start] = time;
  const step = (time[time.length - 1] - start) / Math.max(1, points - 1);
  let at = 0;
  return Array.from({ length: points }, (_, i) => {
    while (at + 1 < time.length && time[at + 1] <= start + i * step) at++;
    return [(i * step) / SECOND, retained[at] / 2 ** 20];
  });
}
