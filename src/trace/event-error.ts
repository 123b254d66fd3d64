// Errors about a trace. All name the place in one form: the event, the byte and the page.

import { PageAllocError } from "../base/errors.ts";
import type { PageTrace } from "./events.ts";

/** An address as messages show it. */
export function showAddress(address: number): string {
  return `0x${address.toString(16)}`;
}

/**
 * An error about one event of a trace.
 *
 * @param page address of the page that is the matter; the event's first page when left out
 */
export function eventError(trace: PageTrace, event: number, reason: string, page?: number): PageAllocError {
  const byte = trace.offset ? ` at byte ${trace.offset[event]}` : "";
  const named = `page ${showAddress(page ?? trace.base[event])}`;
  return new PageAllocError("ERR_TRACE", `event ${event}${byte}, ${named}: ${reason}`);
}
