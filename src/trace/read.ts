// Reads a page trace: gunzip, decode, order by time.

import { show } from "../args.ts";
import { orderByTime } from "./columns.ts";
import { decode } from "./decode.ts";
import type { PageTrace } from "./format.ts";
import { inflate } from "./inflate.ts";

/**
 * Reads Go's page trace format, plain or gzipped. The events come in order of time, those of the same time in the
 * order of the file.
 *
 * Throws TypeError when `data` is no Uint8Array. Throws PageAllocError ERR_TRACE when it is not a whole trace of one
 * program: the message names the event (as many come before it in the file), its byte (when gzipped: of what the
 * file unpacks to) and the page. That a page is in use already, or not in use, shows when the trace is replayed.
 */
export async function readPageTrace(data: Uint8Array): Promise<PageTrace> {
  if (!(data instanceof Uint8Array)) throw new TypeError(`data must be a Uint8Array, got ${show(data)}`);
  return orderByTime(decode(await inflate(data)));
}
