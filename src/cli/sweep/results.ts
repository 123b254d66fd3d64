// The results of a sweep: one line of JSON a run. A file of them can be gone on with, and joined with others.

import { createHash } from "node:crypto";
import { appendFileSync, closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import type { SimulateReport } from "palloc/lab";
import type { RunSpec } from "./grid.ts";

/** What a run gives. */
export interface Result
  extends Omit<RunSpec, "trace">,
    Omit<SimulateReport, "series" | "policy" | "elapsedMs" | "eventsPerSecond"> {
  /** Of all that the result depends on: trace, policy, options and version. */
  readonly key: string;
  /** Of all runs of the sweep. */
  readonly sweep: string;
  /** How many runs the sweep has. */
  readonly runs: number;
  /** The trace's name, and the hash of its events. */
  readonly trace: string;
  readonly traceHash: string;
  readonly costs: string;
  /** Version of the package. */
  readonly version: string;
}

/** How each line begins. */
const START = '{"index":';
/** Bytes of a results file to read at a time. */
const BLOCK = 2 ** 20;

/** Returns the hash of some values. */
export function hashOf(...values: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(values)).digest("hex").slice(0, 32);
}

/** Returns the hash of columns. */
export function hashOfColumns(columns: readonly ArrayBufferView[]): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of columns)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex").slice(0, 32);
}

/** A line of a results file that is none, and where it is. */
export class ResultsError extends Error {
  readonly code = "ERR_RESULTS";
}

/**
 * Returns the results of a file; none if there is no file. With `mend`, removes a last line that was cut short, as it
 * is when a sweep is killed. Throws ResultsError for any other line that is no result; the system's error.
 */
export function readResults(path: string, mend: boolean): Result[] {
  let file: number;
  try {
    file = openSync(path, mend ? "r+" : "r");
  } catch (error) {
    if (mend && (error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size; ) {
      const read = readSync(file, bytes, at, Math.min(BLOCK, size - at), at);
      if (read === 0) break;
      at += read;
    }
    const whole = bytes.lastIndexOf(0x0a) + 1;
    const lines = bytes.toString("utf8", 0, mend ? whole : size).split("\n");
    const results = lines.flatMap((line, i) => (line === "" ? [] : [parse(path, line, i + 1)]));
    if (mend && whole < size) {
      const rest = bytes.toString("utf8", whole, whole + START.length);
      if (!START.startsWith(rest)) throw notOurs(path, lines.length);
      ftruncateSync(file, whole);
    }
    return results;
  } finally {
    closeSync(file);
  }
}

function parse(path: string, line: string, number: number): Result {
  let value: Partial<Result> | undefined;
  try {
    value = JSON.parse(line);
  } catch {
    // Told below.
  }
  if (typeof value?.key === "string" && typeof value.sweep === "string") return value as Result;
  throw notOurs(path, number);
}

function notOurs(path: string, line: number): ResultsError {
  return new ResultsError(
    `${path}: line ${line} is no result of palloc sweep; if it was cut short, remove it`,
  );
}

/** Appends a result to a file. */
export function appendResult(path: string, result: Result): void {
  appendFileSync(path, lineOf(result));
}

/** Returns a result as a line. */
export function lineOf(result: Result): string {
  return `${JSON.stringify(result)}\n`;
}
