// `palloc convert`: reads a trace of any format, and writes it in the neutral form or as Go's page trace.

import { createWriteStream } from "node:fs";
import { realpath, rename, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { writePageTrace, writeTrace } from "palloc/trace";
import { print } from "./output.ts";
import { type ReadHost, type ReadRequest, STREAM, warn, withTrace } from "./reading.ts";
import { findGcLog, removeAtEnd } from "./source.ts";

/** The formats that are written. */
export const TARGETS = ["neutral", "go-page-trace"] as const;

/** The arguments of `palloc convert`. */
export interface ConvertRequest extends ReadRequest {
  /** A path, or "-" for standard input. */
  readonly input: string;
  /** A path, or "-" for standard output. */
  readonly output: string;
  /** Default: told by the output's name. */
  readonly to?: (typeof TARGETS)[number];
}

/** Converts a trace. Returns the exit status. Rejects with OutputError when standard output cannot be written. */
export async function convert(request: ConvertRequest, host: ReadHost): Promise<number> {
  const gcLog = request.gcLog ?? (await findGcLog(request.input));
  const done = await withTrace(request.input, { ...request, gcLog }, host, async ({ trace }) => {
    const target = request.to ?? targetOf(request.output);
    const bytes = target === "neutral" ? writeTrace(trace) : writePageTrace(trace);
    await (request.output === STREAM ? writeTo(host.stdout, bytes) : writeFile(request.output, bytes));
  });
  if (!done) return 1;
  await warn(done, host);
  return 0;
}

function targetOf(path: string): (typeof TARGETS)[number] {
  return /\.pt(\.gz)?$/.test(path) ? "go-page-trace" : "neutral";
}

/** Writes bytes to standard output as they come. */
async function writeTo(stdout: Writable, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of bytes) await print(stdout, part);
}

/** Writes a file, gzipped if its name ends so. It appears when it is complete: an error leaves none. */
async function writeFile(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const isPacked = path.endsWith(".gz");
  const found = await stat(path).catch(() => undefined);
  // A device or a pipe must stay what it is.
  if (found && !found.isFile()) return pipe(bytes, createWriteStream(path), isPacked);
  const target = found ? await realpath(path) : path;
  const part = join(dirname(target), `.${basename(target)}.${process.pid}.part`);
  const file = createWriteStream(part, { flags: "wx" });
  const close = removeAtEnd(part);
  try {
    await pipe(bytes, file, isPacked);
    await rename(part, target);
  } finally {
    close();
  }
}

function pipe(bytes: AsyncIterable<Uint8Array>, to: Writable, isPacked: boolean): Promise<void> {
  const from = Readable.from(bytes, { objectMode: false });
  return isPacked ? pipeline(from, createGzip(), to) : pipeline(from, to);
}
