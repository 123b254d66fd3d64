// Errors about a trace. All name the event, the byte and the page, in the same form.

import { PageAllocError } from "../base/errors.ts";
import type { PageTrace } from "./events.ts";

/** Formats an address for messages. */
export function showAddress(address: number): string {
  return `0x${address.toString(16)}`;
}

/**
 * Returns the error for one event of a trace.
 *
 * @param trace the trace, or a block of it
 * @param event index in the trace or block
 * @param before number of events before the block
 * @param page address of the offending page; default: the event's first page
 */
export function eventError(
  trace: PageTrace,
  event: number,
  before: number,
  reason: string,
  page?: number,
): PageAllocError {
  const byte = trace.offset ? ` at byte ${trace.offset[event]}` : "";
  const named = `page ${showAddress(page ?? trace.base[event])}`;
  return new PageAllocError("ERR_TRACE", `event ${before + event}${byte}, ${named}: ${reason}`);
}
