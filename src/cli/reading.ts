// What the commands that read traces share: opening one, with progress on a terminal, and reporting a bad one.

import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { Readable, type Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import {
  openTrace,
  type PageTrace,
  type ReadOptions,
  type TraceCorrections,
  type TraceStream,
} from "palloc/trace";
import { complain, OutputError } from "./output.ts";
import type { Progress } from "./progress.ts";
import { isPipe, type Opened, openFile, spool } from "./source.ts";

/** Where a command writes. */
export interface Output {
  readonly stdout: Writable;
  /** Gets a progress bar if it is a terminal. */
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

/** What the commands that read a trace use of the process. */
export interface ReadHost extends Output {
  readonly stdin: Readable;
}

/** Options of reading, as the commands take them. */
export interface ReadRequest extends Pick<ReadOptions, "format" | "device" | "limit" | "window"> {
  /** Path of the GC log beside a page trace; false for none. */
  readonly gcLog?: string | false;
}

/** A trace that is being read. */
export interface Reading {
  readonly name: string;
  readonly trace: TraceStream;
  /** Undefined if it is read from a pipe. */
  readonly opened: Opened | undefined;
}

/** What came of a trace. */
export interface Outcome<T> {
  readonly name: string;
  readonly result: T;
  /** Why the file seems to be cut short, if it does. */
  readonly cutShort: string | undefined;
  /** What the reader had to change; nothing that is 0. */
  readonly corrections: Partial<TraceCorrections>;
}

/** The path that is standard input, or standard output. */
export const STREAM = "-";
/** Most bytes of a pipe to keep until its format is known. That takes 4,096, or few blocks of packed ones. */
const KEPT_BYTES = 2 ** 20;

/**
 * Opens a trace, has it used, and lets go of it. Reports an error about the trace in one line, and returns undefined.
 * Rejects with any other error.
 *
 * @param path "-" is standard input
 * @param pipes "read": a pipe is read as it comes, or copied to a temporary file if its format is read twice. "copy":
 * it is always copied.
 */
export async function withTrace<T>(
  path: string | URL,
  request: ReadRequest,
  pipes: "read" | "copy",
  host: ReadHost,
  use: (reading: Reading) => Promise<T>,
): Promise<Outcome<T> | undefined> {
  const { stderr } = host;
  const name = nameOf(path);
  // Loaded only if it is needed, since that takes time.
  const bars = stderr.isTTY ? await import("./progress.ts") : undefined;
  let progress: Progress | undefined;
  let opened: Opened | undefined;
  let stream: Readable | undefined;
  const { format, device, limit, window } = request;
  const onProgress = (done: number, total: number | undefined) => {
    progress ??= bars?.startProgress(stderr, name, opened?.size, "bytes");
    // The bar goes once over the file, even if it is read twice.
    progress?.update(opened && total ? Math.floor((done / total) * opened.size) : done);
  };
  const options: ReadOptions = { format, device, limit, window, onProgress };
  const copy = async (from: Readable) => {
    if (stderr.isTTY) stderr.write(`palloc: ${name}: copied to a temporary file first\n`);
    opened = await spool(from);
    return openTrace(opened.source, options);
  };
  const close = () => {
    progress?.stop();
    opened?.close();
    // An open pipe would keep the process alive.
    stream?.destroy();
  };
  try {
    if (request.gcLog) options.gcLog = (await openFile(request.gcLog)).source;
    let trace: TraceStream;
    if (path === STREAM || (await isPipe(path))) {
      stream = path === STREAM ? host.stdin : createReadStream(path);
      trace = pipes === "copy" ? await copy(stream) : await openPipe(stream, options, copy);
    } else {
      opened = await openFile(path);
      trace = await openTrace(opened.source, options);
    }
    let cutShort: string | undefined;
    const corrections: Record<string, number> = {};
    const watched = watch(trace, (block) => {
      cutShort = block.cutShort ?? cutShort;
      addCorrections(corrections, block);
    });
    const result = await use({ name, trace: watched, opened });
    return { name, result, cutShort, corrections };
  } catch (error) {
    if (error instanceof OutputError || !isExpected(error)) throw error;
    close();
    await complain(stderr, `${name}: ${error.message}`);
    return undefined;
  } finally {
    close();
  }
}

/** Warns that a trace seems to be cut short, if it does. */
export async function warn({ name, cutShort }: Outcome<unknown>, { stderr }: Output): Promise<void> {
  if (cutShort !== undefined) await complain(stderr, `${name}: warning: ${cutShort}`);
}

/** Opens a pipe as it comes. If the library says that it has to be read twice, hands it to `copy`. */
async function openPipe(
  stream: Readable,
  options: ReadOptions,
  copy: (from: Readable) => Promise<TraceStream>,
): Promise<TraceStream> {
  const blocks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]();
  const kept: Uint8Array[] = [];
  let room = KEPT_BYTES;
  let last: Promise<unknown> | undefined;
  const take = async () => {
    const result = await blocks.next();
    if (result.done) return result;
    room -= result.value.length;
    if (room < 0) kept.length = 0;
    else kept.push(result.value);
    return result;
  };
  const next = () => {
    const result = take();
    last = result;
    return result;
  };
  async function* whole() {
    // The library may still have been waiting for a block.
    await last;
    yield* kept;
    yield* { [Symbol.asyncIterator]: () => blocks };
  }
  try {
    // There is no return(), as the stream must stay open if it is refused.
    const trace = await openTrace({ [Symbol.asyncIterator]: () => ({ next }) }, options);
    room = 0;
    kept.length = 0;
    return trace;
  } catch (error) {
    if (room < 0 || !isExpected(error) || !error.message.includes("is read twice")) throw error;
  }
  return copy(Readable.from(whole()));
}

/** Adds what the reader had to change in a block. */
function addCorrections(sums: Record<string, number>, { corrections }: PageTrace): void {
  for (const [name, more] of Object.entries(corrections ?? {})) {
    if (more > 0) sums[name] = (sums[name] ?? 0) + more;
  }
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

function nameOf(path: string | URL): string {
  if (path === STREAM) return "standard input";
  return typeof path === "string" ? path : basename(fileURLToPath(path));
}

/** Reports whether an error is about the trace. Errors of the library and the file system have a code. */
function isExpected(error: unknown): error is Error {
  return error instanceof Error && "code" in error;
}
