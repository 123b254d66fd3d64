// Reads a page trace: gunzip, decode, order by time, all but the last as the bytes arrive.

import { countOrInfinity, readOptions } from "../../../base/arguments.ts";
import type { PageTrace } from "../../events.ts";
import { GunzipError, isGzip, unpacked } from "../inflate.ts";
import { type Blocks, blockOfBytes, blocksOf, bytesNow, isBytes, type TraceSource } from "../source.ts";
import { Decoder } from "./decode.ts";

/** How a trace is read. */
export interface ReadPageTraceOptions {
  /**
   * Most bytes of words to read, so that a small file can't unpack to more than there is memory for: an integer from 0,
   * or Infinity. Default 2 ** 32, which is 4 GiB. An event takes 33 bytes of memory for its 8 or 16.
   */
  limit?: number;
}

const LIMIT = 2 ** 32;

/**
 * Reads Go's page trace format, plain or gzipped. The events come in order of time, those of the same time in the
 * order of the file. `data` is not changed. What a Uint8Array holds is read as it is at the moment of the call; the
 * blocks of a stream, an async iterable or a Blob are decoded as they arrive, and no more of them is asked for after
 * the first bad word.
 *
 * Throws TypeError when `data` is none of these, has lost its bytes, or gives anything but Uint8Arrays, and TypeError
 * or RangeError for a wrong option. What a stream, an iterable or a Blob throws is thrown as it is. Throws
 * PageAllocError ERR_TRACE when the data is not a whole trace of one program, is longer than the limit or than there is
 * memory for: the message names the event (as many come before it in the file), its byte (when gzipped: of what the
 * file unpacks to) and the page. That a page is in use already, or not in use, shows when the trace is replayed.
 */
export async function readPageTrace(data: TraceSource, options?: ReadPageTraceOptions): Promise<PageTrace> {
  const { limit = LIMIT } = readOptions("options", options, ["limit"]);
  const decoder = new Decoder(countOrInfinity("options.limit", limit));
  if (!isBytes(data)) return readBlocks(decoder, blocksOf("data", data));
  const bytes = bytesNow("data", data);
  if (isGzip(bytes)) return readBlocks(decoder, blockOfBytes(bytes.slice()));
  decoder.take(bytes);
  return decoder.end();
}

async function readBlocks(decoder: Decoder, source: Blocks): Promise<PageTrace> {
  let blocks = source;
  try {
    blocks = await unpacked(source);
    for (let block = await blocks.next(); block; block = await blocks.next()) decoder.take(block);
  } catch (error) {
    if (error instanceof GunzipError) return decoder.end(error.message);
    throw error;
  } finally {
    // Whatever comes after gzip data has ended is left as well.
    blocks.close();
  }
  return decoder.end();
}
