// Reads a page trace: unpacks and decodes the bytes as they arrive, then sorts the events by time.

import { countOrInfinity, readOptions } from "../../../base/arguments.ts";
import { PAGE_BYTES, type PageTrace } from "../../events.ts";
import type { Input } from "../../source/input.ts";
import {
  type Blocks,
  blocksOf,
  blocksOfBytes,
  bytesNow,
  isBytes,
  type TraceSource,
} from "../../source/source.ts";
import { packingOf, UnpackError, unpacked } from "../../source/unpack.ts";
import { Decoder } from "./decode.ts";
import { FirstLook, type Look } from "./late-buffers.ts";

/** Options of `readPageTrace`. */
export interface ReadPageTraceOptions {
  /**
   * Most bytes to read, counted after unpacking, so that a small file cannot unpack to more than fits in memory. An
   * integer from 0, or Infinity. Default 2 ** 32 (4 GiB). An event of 8 or 16 bytes takes 33 bytes of memory.
   */
  limit?: number;
}

const LIMIT = 2 ** 32;

/**
 * Reads Go's page trace format: plain, gzip or zstd. Events are sorted by time; events of the same time keep their file
 * order. Does not change `data`. A Uint8Array is read as it is at the moment of the call. Blocks of a stream, an async
 * iterable or a Blob are decoded as they arrive; after the first bad word no more are requested.
 *
 * Rejects with TypeError when `data` is none of these, has lost its bytes or yields anything but Uint8Arrays; with
 * TypeError or RangeError for a wrong option; with whatever error the stream, iterable or Blob throws. Rejects with
 * PageAllocError ERR_TRACE when the data is not a whole trace of one program, is longer than the limit, or does not fit
 * in memory. The message names the event by its index in the file, its byte (after unpacking) and the page. A page that
 * is allocated twice, or freed when not in use, is found only by the replay.
 */
export async function readPageTrace(data: TraceSource, options?: ReadPageTraceOptions): Promise<PageTrace> {
  const { limit = LIMIT } = readOptions("options", options, ["limit"]);
  const decoder = new Decoder(countOrInfinity("options.limit", limit));
  if (!isBytes(data)) return readBlocks(decoder, blocksOf("data", data));
  const bytes = bytesNow("data", data);
  if (packingOf(bytes)) return readBlocks(decoder, blocksOfBytes(bytes.slice(), bytes.length));
  decoder.take(bytes);
  return decoder.end();
}

async function readBlocks(decoder: Decoder, source: Blocks): Promise<PageTrace> {
  let blocks = source;
  try {
    blocks = await unpacked(source);
    for (let block = await blocks.next(); block; block = await blocks.next()) decoder.take(block);
  } catch (error) {
    if (error instanceof UnpackError) return decoder.end(error.message);
    throw error;
  } finally {
    // Also needed at the end: bytes after gzip data may be left unread.
    blocks.close();
  }
  return decoder.end();
}

/** What every trace and block of this format has. */
const ABOUT = { format: "go-page-trace", pageSize: PAGE_BYTES } as const;
/** Events to collect before some are sorted and given. */
const BATCH_EVENTS = 2 ** 15;

/** Reads all of a page trace. Memory holds little more than its columns. */
export async function readInput(input: Input): Promise<PageTrace> {
  const decoder = new Decoder(Infinity);
  const blocks = await input.open();
  for (let block = await blocks.next(); block; block = await blocks.next()) decoder.take(block);
  return { ...ABOUT, ...decoder.end() };
}

/**
 * Reads a page trace in blocks. If the input can be read twice, a first look tells which events can be given. Otherwise
 * up to `window` events are held.
 */
export async function* readBlocksOf(input: Input, window: number): AsyncGenerator<PageTrace> {
  if (input.rereadable) input.passes = 2;
  const look = input.rereadable ? await lookAt(input, window) : undefined;
  const decoder = new Decoder(Infinity, look?.starts);
  for (const columns of look?.late ?? []) decoder.add(columns);
  const blocks = await input.open();
  let enough = BATCH_EVENTS;
  for (let block = await blocks.next(); block; block = await blocks.next()) {
    decoder.take(block);
    if (decoder.pending < (look ? enough : 1.5 * window) || decoder.isWithin) continue;
    const horizon = look ? look.horizonAt(decoder.bufferStart) : -Infinity;
    const columns = decoder.takeUpTo(horizon, look ? 0 : decoder.pending - window);
    // What stays is sorted again with what comes, so as much must come as stays.
    enough = BATCH_EVENTS + 2 * decoder.pending;
    if (columns.length > 0) yield { ...ABOUT, ...columns };
  }
  yield { ...ABOUT, ...decoder.end() };
}

async function lookAt(input: Input, window: number): Promise<Look> {
  const look = new FirstLook(window);
  const blocks = await input.open();
  for (let block = await blocks.next(); block; block = await blocks.next()) look.take(block);
  return look.end();
}
