// Reads a trace of any known format, whole or in blocks.

import { countOrInfinity, integer, readOptions, refuse, show } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import type { Abort } from "../base/platform.ts";
import { joinBlocks } from "./columns/join.ts";
import type { PageTrace, TraceFormat } from "./events.ts";
import type { Format, FormatOptions, OpenTrace } from "./format.ts";
import { FORMATS } from "./formats/index.ts";
import { Input, type InputOptions } from "./source/input.ts";
import type { TraceSource } from "./source/source.ts";
import { describeUnknown } from "./unknown.ts";

/** Options of `readTrace` and `openTrace`. */
export interface ReadOptions {
  /** Format of the file. Default: told by its first bytes. */
  format?: TraceFormat;
  /**
   * Go page traces: the log of the scavenger and the collector beside the trace, a JSON object a line. It gives the
   * trace its `gc`, except for when cycles began. `limit` and `signal` hold for it too.
   */
  gcLog?: TraceSource;
  /** PyTorch snapshots: the device whose trace is read, from 0. Default: the only one that has events. */
  device?: number;
  /**
   * Most bytes to read, counted after unpacking, so that a small file cannot unpack to more than fits in memory. An
   * integer from 0, or Infinity. Default 2 ** 32 (4 GiB) for `readTrace`, Infinity for `openTrace`.
   */
  limit?: number;
  /** Go execution traces: count objects by size, as `objects`. Default false. */
  objects?: boolean;
  /**
   * Go page traces that cannot be read twice: most events to hold, 1 to 2^31. Each P writes a buffer when it is full,
   * so events come out of order. Default 2^20, which takes up to 100 MB. `readTrace` has room for all.
   */
  window?: number;
  /** Stops the reading: the call rejects with the signal's reason. */
  signal?: Abort;
  /** Called now and then, with the bytes of the source read so far, and in all if that is known. */
  onProgress?(bytesRead: number, bytesTotal: number | undefined): void;
}

/** A trace in blocks. It can be iterated once. */
export interface TraceStream extends AsyncIterable<PageTrace> {
  /** Format that is read. */
  readonly format: TraceFormat;
  /** Of the neutral form: the format that it was converted from. */
  readonly origin?: string;
  /** Bytes per page, in every block. */
  readonly pageSize: number;
}

const OPTIONS = ["format", "gcLog", "device", "limit", "objects", "window", "signal", "onProgress"] as const;
const LIMIT = 2 ** 32;
const WINDOW = 2 ** 20;

/**
 * Reads a trace whole. `data` is an array, a stream, an async iterable or a Blob of bytes: plain, gzip or zstd. Does
 * not change it. Its first bytes tell the format.
 *
 * Rejects with TypeError or RangeError for a wrong argument; with whatever the source throws; with the signal's reason.
 * Rejects with PageAllocError ERR_TRACE when the data is no trace that can be read, or is longer than the limit. The
 * message names the byte, after unpacking, or what the file seems to be and what to record instead.
 */
export async function readTrace(data: TraceSource, options?: ReadOptions): Promise<PageTrace> {
  const { input, format, rest, close } = await begin(data, options, LIMIT);
  try {
    if (format.read) return await format.read(input, rest);
    const { blocks, pageSize } = await format.open(input, rest);
    return await joinBlocks(format.name, pageSize, blocks);
  } finally {
    close();
  }
}

/**
 * Begins to read a trace in blocks, in bounded memory. `data` is as for `readTrace`. Some formats need a look at the
 * whole first: an array or a Blob is then read twice, and a stream is refused with ERR_TRACE.
 *
 * Rejects as `readTrace` does, and so does the iteration. Leaving the iteration early stops the source.
 */
export async function openTrace(data: TraceSource, options?: ReadOptions): Promise<TraceStream> {
  const { input, format, rest, close } = await begin(data, options, Infinity);
  try {
    const opened = await format.open(input, rest);
    return streamOf(format, opened, close);
  } catch (error) {
    close();
    throw error;
  }
}

function streamOf({ name }: Format, { pageSize, origin, blocks }: OpenTrace, close: () => void): TraceStream {
  let iterated = false;
  return {
    format: name,
    ...(origin && { origin }),
    pageSize,
    async *[Symbol.asyncIterator]() {
      if (iterated) throw new TypeError("a TraceStream can be iterated once; open the trace again");
      iterated = true;
      try {
        yield* blocks;
      } finally {
        close();
      }
    },
  };
}

/** Checks the options, and finds the format. */
async function begin(data: TraceSource, options: ReadOptions | undefined, defaultLimit: number) {
  const given = readOptions("options", options, OPTIONS);
  const { format: name, device, limit = defaultLimit, objects = false, window = WINDOW, signal } = given;
  if (name !== undefined && !FORMATS.some((format) => format.name === name)) {
    refuse("options.format", name, FORMATS.map((format) => `"${format.name}"`).join(", "), "string");
  }
  if (device !== undefined) integer("options.device", device, 0, 2 ** 31 - 1);
  countOrInfinity("options.limit", limit);
  if (typeof objects !== "boolean") refuse("options.objects", objects, "a boolean");
  integer("options.window", window, 1, 2 ** 31);
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    refuse("options.signal", signal, "an AbortSignal");
  }
  if (given.onProgress !== undefined && typeof given.onProgress !== "function") {
    throw new TypeError(`options.onProgress must be a function or undefined, got ${show(given.onProgress)}`);
  }
  const opened: Input[] = [];
  const open = (name: string, source: TraceSource, more: Partial<InputOptions>) => {
    const input = new Input(name, source, { limit, signal, ...more } as InputOptions);
    opened.push(input);
    return input;
  };
  const close = () => {
    for (const input of opened) input.close();
  };
  try {
    const input = open("data", data, { onProgress: given.onProgress });
    const gcLog = given.gcLog === undefined ? undefined : open("options.gcLog", given.gcLog, {});
    const start = await input.start();
    const format = FORMATS.find((format) => (name ? format.name === name : format.recognises(start)));
    if (!format) throw new PageAllocError("ERR_TRACE", describeUnknown(start));
    if (gcLog && !format.takesGcLog) {
      throw new TypeError(
        `options.gcLog is for Go page traces, and this is a trace of format ${format.name}; leave it out`,
      );
    }
    const rest: FormatOptions = { device, objects, window, gcLog };
    return { input, format, rest, close };
  } catch (error) {
    close();
    throw error;
  }
}
