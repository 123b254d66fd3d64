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
import type { ThreadTrace } from "./read-thread.ts";
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
  /** The built read-worker.js. Without it, all is read in this thread. */
  readonly readWorker?: URL;
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
  readonly opened: Opened;
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
/** Bytes of a file that is read in a thread of its own. To start one takes as long as to read so many. */
const THREAD_BYTES = 2 ** 22;
/** Most bytes of a pipe to look at. A format is known by 4,096, or by few blocks of packed ones. */
const KEPT_BYTES = 2 ** 20;

/**
 * Opens a trace, has it used, and lets go of it. Reports an error about the trace in one line, and returns undefined.
 * Rejects with any other error.
 *
 * @param path "-" is standard input. It and other pipes are copied to a temporary file first, since some formats must
 * be read twice, and others take less memory then.
 */
export async function withTrace<T>(
  path: string | URL,
  request: ReadRequest,
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
  let thread: ThreadTrace | undefined;
  const { format, device, limit, window, gcLog } = request;
  const onProgress = (done: number, total: number | undefined) => {
    progress ??= bars?.startProgress(stderr, name, opened?.size, "bytes");
    // The bar goes once over the file, even if it is read twice.
    progress?.update(opened && total ? Math.floor((done / total) * opened.size) : done);
  };
  const options = { format, device, limit, window };
  const open = async ({ path: file, size, source }: Opened) => {
    if (host.readWorker && size >= THREAD_BYTES) {
      const task = { path: file, gcLog: gcLog || undefined, options };
      const { openInThread } = await import("./read-thread.ts");
      thread = await openInThread(host.readWorker, task, onProgress);
      return thread;
    }
    const log = gcLog ? (await openFile(gcLog)).source : undefined;
    return openTrace(source, { ...options, gcLog: log, onProgress });
  };
  const close = () => {
    progress?.stop();
    thread?.close();
    opened?.close();
    // An open pipe would keep the process alive.
    stream?.destroy();
  };
  try {
    if (path === STREAM || (await isPipe(path))) {
      stream = path === STREAM ? host.stdin : createReadStream(path);
      const trusted = await recognised(stream, options);
      if (stderr.isTTY) stderr.write(`palloc: ${name}: copied to a temporary file first\n`);
      opened = await spool(trusted);
    } else {
      opened = await openFile(path);
    }
    const trace = await open(opened);
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

/**
 * Returns the bytes of a pipe, once the library has recognised the first of them. Rejects with its error if they are of
 * no trace, even if the pipe goes on.
 */
async function recognised(stream: Readable, options: ReadOptions): Promise<Readable> {
  const blocks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]();
  const kept: Uint8Array[] = [];
  const enough = new AbortController();
  let room = KEPT_BYTES;
  let last: Promise<unknown> | undefined;
  const take = async () => {
    const result = await blocks.next();
    if (result.done) return result;
    kept.push(result.value);
    room -= result.value.length;
    if (room < 0) enough.abort();
    return result;
  };
  const next = () => {
    const result = take();
    last = result;
    return result;
  };
  async function* whole() {
    // The library may still be waiting for a block.
    await last;
    yield* kept.splice(0);
    yield* { [Symbol.asyncIterator]: () => blocks };
  }
  try {
    // There is no return(), as the stream must stay open.
    const source = { [Symbol.asyncIterator]: () => ({ next }) };
    await openTrace(source, { ...options, signal: enough.signal });
  } catch (error) {
    const isTrace = enough.signal.aborted || (isExpected(error) && error.message.includes("is read twice"));
    if (!isTrace) throw error;
  } finally {
    // A gunzipper would take more blocks, which `whole` has to give.
    enough.abort();
  }
  return Readable.from(whole());
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
