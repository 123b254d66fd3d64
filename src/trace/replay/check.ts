// Checks a trace, or a block of one, before it is replayed.

import { integer, powerOfTwo, show } from "../../base/arguments.ts";
import { eventError } from "../event-error.ts";
import {
  ADDRESS_LIMIT,
  ALLOC,
  EXISTS,
  FREE,
  PAGE_BYTES,
  type PageTrace,
  SCAVENGE,
  UNMAP,
} from "../events.ts";

import type { Geometry } from "./geometry.ts";

/** Most bytes per page of a trace. */
const MOST_PAGE_BYTES = 2 ** 30;
const LEAST_PAGE_BYTES = 16;

/** Number of events of some kinds. */
export class EventCounts {
  allocs = 0;
  frees = 0;
  scavenges = 0;
  exists = 0;
  /** Events, other than frees, with addresses that the heap cannot have. */
  beyondRange = 0;
}

/** Returns the bytes per page of a trace. Throws TypeError or RangeError. */
export function pageSizeOf(trace: { readonly pageSize?: number }): number {
  const { pageSize = PAGE_BYTES } = trace;
  return powerOfTwo("trace.pageSize", pageSize, LEAST_PAGE_BYTES, MOST_PAGE_BYTES);
}

/** Throws TypeError unless a trace has all its columns, at least as long as it says. */
export function checkColumns(trace: PageTrace): void {
  const columns = {
    time: Float64Array,
    proc: Int32Array,
    kind: Uint8Array,
    base: Float64Array,
    npages: Uint32Array,
  };
  if (typeof trace !== "object" || trace === null)
    throw new TypeError(`trace must be a PageTrace or a TraceStream, got ${show(trace)}`);
  integer("trace.length", trace.length, 0, 2 ** 32 - 1);
  for (const [name, type] of Object.entries(columns)) {
    const column = trace[name as keyof typeof columns];
    if (column instanceof type && column.length >= trace.length) continue;
    throw new TypeError(
      `trace.${name} must be a ${type.name} with at least trace.length (${trace.length}) elements`,
    );
  }
}

/**
 * Checks each event by itself, and adds it to the counts. Throws PageAllocError ERR_TRACE.
 *
 * @param before number of events before this block
 */
export function checkEvents(trace: PageTrace, geometry: Geometry, before: number, counts: EventCounts): void {
  const ofKind = new Uint32Array(UNMAP + 1);
  const beyond = checkEach(trace, geometry, before, ofKind);
  counts.allocs += ofKind[ALLOC];
  counts.frees += ofKind[FREE];
  counts.scavenges += ofKind[SCAVENGE];
  counts.exists += ofKind[EXISTS];
  counts.beyondRange += beyond;
}

/**
 * Checks each event, and counts it by its kind. Returns how many are beyond the heap's range. A function of its own:
 * code after such a loop had not run when V8 compiled the loop, and would make it leave the compiled code at each end.
 */
function checkEach(
  trace: PageTrace,
  { tracePage, perTracePage, limit }: Geometry,
  before: number,
  ofKind: Uint32Array,
): number {
  const { length, kind, base, npages } = trace;
  const most = ADDRESS_LIMIT * perTracePage;
  const heapEnd = limit * perTracePage;
  let beyond = 0;
  for (let event = 0; event < length; event++) {
    const page = base[event] * perTracePage;
    const end = page + npages[event];
    const fits = page >= 0 && page === Math.floor(page) && page < end && end <= most;
    if (!fits || kind[event] < ALLOC || kind[event] > UNMAP)
      throw impossible(trace, event, tracePage, before);
    ofKind[kind[event]]++;
    if (end > heapEnd && kind[event] !== FREE) beyond++;
  }
  return beyond;
}

/** Returns the error for an impossible event. */
function impossible(trace: PageTrace, event: number, pageSize: number, before: number) {
  const kind = trace.kind[event];
  const npages = trace.npages[event];
  if (kind < ALLOC || kind > UNMAP)
    return eventError(trace, event, before, `kind must be ${ALLOC} to ${UNMAP}, got ${kind}`);
  if (npages === 0) return eventError(trace, event, before, "the event has no pages");
  const allowed = `pages start at multiples of ${pageSize} and end at 2^48 or below`;
  return eventError(trace, event, before, `${npages} pages cannot lie here; ${allowed}`);
}
