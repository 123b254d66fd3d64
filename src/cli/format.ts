// Formats a report: as a table for people, as JSON or CSV for programs.

import type { ReplayReport, TraceCorrections } from "palloc/trace";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const COLUMNS = ["time_ns", "in_use_bytes", "retained_bytes", "sys_bytes"];

const CORRECTIONS: Record<keyof TraceCorrections, string> = {
  impliedFrees: "frees added",
  impliedGrows: "growth added",
  skippedFrees: "frees left out",
  skippedGrows: "growth left out",
  skippedUnmaps: "unmaps left out",
  movedAllocs: "allocations moved",
};

/** Returns rows of what the reader of a trace had to change. */
export function correctionRows(
  corrections: Partial<TraceCorrections>,
): Array<[label: string, value: string]> {
  return Object.entries(corrections).map(([name, n]) => [
    CORRECTIONS[name as keyof TraceCorrections],
    count(n),
  ]);
}

/** Formats an integer with thousands separators. Intl does too, but takes a fifth of the time of an empty process. */
export function count(value: number): string {
  return grouped(value.toFixed(0));
}

/** Puts separators between the thousands of a number of at most two decimals. */
function grouped(digits: string): string {
  return digits.replace(/\d(?=(\d{3})+(\.|$))/g, "$&,");
}

/** Formats bytes as MiB, or as KiB if they are few, for people. */
export function mebibytes(bytes: number): string {
  if (bytes > 0 && bytes < MIB) return `${(bytes / KIB).toFixed(1)} KiB`;
  return `${grouped((bytes / MIB).toFixed(1))} MiB`;
}

/**
 * Formats a report as a short table for people: what the trace has.
 *
 * @param corrections what the reader had to change
 * @param isFitted whether to compare where the allocations are with where the trace recorded them
 */
export function table(
  name: string,
  engine: string,
  report: ReplayReport,
  corrections: Partial<TraceCorrections>,
  isFitted: boolean,
): string {
  const { allocs, exists, addressMatches, firstMismatch, beyondRange } = report;
  const rows: Array<[label: string, value: string]> = [
    ["events", count(report.events)],
    ...correctionRows(corrections),
  ];
  if (isFitted)
    rows.push(["allocations at the recorded address", `${count(addressMatches)} of ${count(allocs)}`]);
  if (isFitted && firstMismatch) rows.push(["first allocation elsewhere", mismatch(firstMismatch)]);
  if (exists > 0) rows.push(["ranges in use before the trace", count(exists)]);
  if (beyondRange > 0)
    rows.push(["addresses beyond the range", `${count(beyondRange)}, placed by first fit`]);
  rows.push(
    ["peak in use", mebibytes(report.peakInUseBytes)],
    ["peak retained", mebibytes(report.peakRetainedBytes)],
    ["peak heap size", mebibytes(report.peakHeapBytes)],
    ["heap size", mebibytes(report.heapBytes)],
  );
  if (report.scavenges > 0) rows.push(["scavenged", mebibytes(report.scavengedBytes)]);
  rows.push(
    ["events per second", grouped(String(Number(report.eventsPerSecond.toPrecision(3))))],
    ["engine", engine],
  );
  return labelled(name, rows);
}

function mismatch({ event, recorded, placed }: NonNullable<ReplayReport["firstMismatch"]>): string {
  return `event ${count(event)}, at ${hex(placed)} instead of ${hex(recorded)}`;
}

/** Formats an address. */
export function hex(address: number): string {
  return `0x${address.toString(16)}`;
}

/** Formats a name, and values with their labels below it. */
export function labelled(name: string, rows: ReadonlyArray<readonly [label: string, value: string]>): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return `${name}\n${rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}\n`).join("")}`;
}

/** Formats a report, with the trace's name, the engine and what the reader had to change, as one line of JSON. */
export function jsonLine(
  trace: string,
  engine: string,
  report: ReplayReport,
  corrections: Partial<TraceCorrections>,
): string {
  return jsonOf({ trace, engine, ...report, corrections });
}

/** Returns a value as one line of JSON, with its columns as arrays. */
export function jsonOf(value: object): string {
  const plain = (_: string, part: unknown) => (part instanceof Float64Array ? Array.from(part) : part);
  return `${JSON.stringify(value, plain)}\n`;
}

/** Returns the line of column names. With several traces, the last column is the trace. */
export function csvHeader(several: boolean): string {
  return `${[...COLUMNS, ...(several ? ["trace"] : [])].join(",")}\n`;
}

/** Formats the series, one line per sample. `trace` is the value of the last column; undefined for no such column. */
export function csvRows(trace: string | undefined, report: ReplayReport): string {
  const { time, inUse, retained, sys } = report.series;
  const ending = trace === undefined ? "\n" : `,${csvText(trace)}\n`;
  return Array.from(time, (_, i) => `${time[i]},${inUse[i]},${retained[i]},${sys[i]}${ending}`).join("");
}

/** Quotes text for CSV if needed. */
export function csvText(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
