// `palloc convert`: reads a trace of any format, and writes it in the neutral form or as Go's page trace.

import { createWriteStream } from "node:fs";
import { realpath, rename, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import {
  openTrace,
  type PageTrace,
  type ReadOptions,
  type TraceStream,
  writePageTrace,
  writeTrace,
} from "palloc/trace";
import { complain, OutputError, print } from "./output.ts";
import { startProgress } from "./progress.ts";
import type { Output } from "./replay.ts";
import { isExpected, type Opened, openSource, removeAtEnd, spool } from "./source.ts";

/** The formats that are written. */
export const TARGETS = ["neutral", "go-page-trace"] as const;

/** Options of reading, as the commands take them. */
export interface ReadRequest extends Pick<ReadOptions, "format" | "device" | "limit" | "window"> {}

/** The arguments of `palloc convert`. */
export interface ConvertRequest extends ReadRequest {
  /** A path, or "-" for standard input. */
  readonly input: string;
  /** A path, or "-" for standard output. */
  readonly output: string;
  /** Default: told by the output's name. */
  readonly to?: (typeof TARGETS)[number];
}

/** What the commands that read a trace use of the process. */
export interface ReadHost extends Output {
  readonly stdin: Readable;
}

const STREAM = "-";

/** Converts a trace. Returns the exit status. Rejects with OutputError when standard output cannot be written. */
export async function convert(request: ConvertRequest, output: ReadHost): Promise<number> {
  const { name, opened, options, close } = begin(request.input, request, output);
  try {
    const { source } = await opened;
    const trace = await openTrace(source, options);
    let cutShort: string | undefined;
    const watched = watch(trace, (block) => {
      cutShort = block.cutShort ?? cutShort;
    });
    const target = request.to ?? targetOf(request.output);
    const bytes = target === "neutral" ? writeTrace(watched) : writePageTrace(watched);
    await (request.output === STREAM ? writeTo(output.stdout, bytes) : writeFile(request.output, bytes));
    close();
    if (cutShort) await complain(output.stderr, `${name}: warning: ${cutShort}`);
    return 0;
  } catch (error) {
    close();
    if (error instanceof OutputError || !isExpected(error)) throw error;
    await complain(output.stderr, `${name}: ${error.message}`);
    return 1;
  }
}

/** Opens an input that is a path or "-", and gives what `openTrace` gets. `close` is to be called at the end. */
export function begin(path: string, read: ReadRequest, host: ReadHost) {
  const { stderr } = host;
  const name = path === STREAM ? "standard input" : path;
  let progress: ReturnType<typeof startProgress> | undefined;
  let source: Opened | undefined;
  const onSpool = () => {
    if (stderr.isTTY) stderr.write(`palloc: ${name}: copied to a temporary file first\n`);
  };
  const opened = (path === STREAM ? spool(host.stdin, onSpool) : openSource(path, onSpool)).then((is) => {
    source = is;
    if (stderr.isTTY) progress = startProgress(stderr, name, is.size, "bytes");
    return is;
  });
  opened.catch(() => {});
  const { format, device, limit, window } = read;
  const onProgress = (done: number) => progress?.update(done);
  return {
    name,
    opened,
    options: { format, device, limit, window, onProgress },
    close() {
      progress?.stop();
      source?.close();
      if (path === STREAM) host.stdin.destroy();
    },
  };
}

/** Shows each block to `see`, and passes it on. */
function watch(trace: TraceStream, see: (block: PageTrace) => void): TraceStream {
  return {
    ...trace,
    async *[Symbol.asyncIterator]() {
      for await (const block of trace) {
        see(block);
        yield block;
      }
    },
  };
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
