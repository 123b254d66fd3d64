// Prepares a trace for replay, so that the replay's loop does nothing but allocate and free.
//
// The loop keeps one number per recorded page. Addresses are sparse, so pages get *cells*. The chunks that the trace
// touches are numbered upward, and a page's cell is its chunk's number times 512, plus its index in the chunk.
// Neighbouring pages have neighbouring cells, and a run of pages is a run of cells.

import { integer, show } from "../../base/arguments.ts";
import { PageAllocError } from "../../base/errors.ts";
import * as layout from "../../engine/layout.ts";
import { eventError } from "../event-error.ts";
import { ADDRESS_LIMIT, ALLOC, FREE, PAGE_BYTES, type PageTrace, SCAVENGE } from "../events.ts";

/** Bytes per chunk. */
export const CHUNK_BYTES = layout.CHUNK_PAGES * PAGE_BYTES;
/** Most chunks that a trace may touch: 1 TiB of heap, for which the loop's table takes 512 MiB of memory. */
const CHUNKS_MAX = 2 ** 18;

/** A trace, prepared for replay. */
export interface Plan {
  readonly trace: PageTrace;
  /** Address of the first event's chunk, where the heap starts. */
  readonly heapBase: number;
  /** Pages from heapBase to the first event's page. They were in use before the trace began. */
  readonly prefixPages: number;
  /** Cell of the page at heapBase. */
  readonly heapCell: number;
  /** Number of cells. */
  readonly cellCount: number;
  /** By event: the cell of its first page. */
  readonly cell: Int32Array;
  /** Number of events of each kind. */
  readonly counts: { readonly allocs: number; readonly frees: number; readonly scavenges: number };
}

/**
 * Checks the columns and numbers the cells. Throws TypeError when a column is missing or too short. Throws
 * PageAllocError ERR_TRACE for an impossible event, or when the trace touches more than 1 TiB.
 */
export function planReplay(trace: PageTrace): Plan {
  checkColumns(trace);
  const counts = checkEvents(trace);
  const chunks = touchedChunks(trace);
  const numbers = new Map(Array.from(chunks, (chunk, number) => [chunk, number]));
  const first = trace.length > 0 ? trace.base[0] : 0;
  const heapBase = first - (first % CHUNK_BYTES);
  return {
    trace,
    heapBase,
    prefixPages: (first - heapBase) / PAGE_BYTES,
    heapCell: (numbers.get(heapBase / CHUNK_BYTES) ?? 0) * layout.CHUNK_PAGES,
    cellCount: chunks.length * layout.CHUNK_PAGES,
    cell: cellsOf(trace, numbers),
    counts,
  };
}

function checkColumns(trace: PageTrace): void {
  const columns = {
    time: Float64Array,
    proc: Int32Array,
    kind: Uint8Array,
    base: Float64Array,
    npages: Uint32Array,
  };
  if (typeof trace !== "object" || trace === null)
    throw new TypeError(`trace must be a PageTrace, got ${show(trace)}`);
  integer("trace.length", trace.length, 0, 2 ** 32 - 1);
  for (const [name, type] of Object.entries(columns)) {
    const column = trace[name as keyof typeof columns];
    if (column instanceof type && column.length >= trace.length) continue;
    throw new TypeError(
      `trace.${name} must be a ${type.name} with at least trace.length (${trace.length}) elements`,
    );
  }
}

/** Checks each event by itself. Returns the number of events of each kind. */
function checkEvents(trace: PageTrace): Plan["counts"] {
  const { length, kind, base, npages } = trace;
  const counts = new Uint32Array(SCAVENGE + 1);
  for (let event = 0; event < length; event++) {
    const page = base[event] / PAGE_BYTES;
    const end = page + npages[event];
    const fits = page >= 0 && page === Math.floor(page) && page < end && end <= ADDRESS_LIMIT / PAGE_BYTES;
    if (!fits || kind[event] < ALLOC || kind[event] > SCAVENGE) throw impossible(trace, event);
    counts[kind[event]]++;
  }
  return { allocs: counts[ALLOC], frees: counts[FREE], scavenges: counts[SCAVENGE] };
}

/** Returns the error for an impossible event. */
function impossible(trace: PageTrace, event: number): PageAllocError {
  const kind = trace.kind[event];
  const npages = trace.npages[event];
  if (kind < ALLOC || kind > SCAVENGE) return eventError(trace, event, `kind must be 1 to 3, got ${kind}`);
  if (npages === 0) return eventError(trace, event, "the event has no pages");
  const allowed = `pages start at multiples of ${PAGE_BYTES} and end at 2^48 or below`;
  return eventError(trace, event, `${npages} pages cannot lie here; ${allowed}`);
}

/** Returns the indices of all chunks that events have pages in, ascending. */
function touchedChunks(trace: PageTrace): Float64Array {
  const { length, base: bases, npages } = trace;
  const touched = new Set<number>();
  let low = 0;
  let high = -1;
  for (let event = 0; event < length; event++) {
    const base = bases[event];
    const end = base + npages[event] * PAGE_BYTES;
    // Most events stay in [low, high), the chunks of the last event that was looked up.
    if (base >= low && end <= high) continue;
    const first = Math.floor(base / CHUNK_BYTES);
    const last = Math.ceil(end / CHUNK_BYTES) - 1;
    if (last - first >= CHUNKS_MAX) throw tooLarge(trace, event);
    for (let chunk = first; chunk <= last; chunk++) touched.add(chunk);
    if (touched.size > CHUNKS_MAX) throw tooLarge(trace, event);
    low = first * CHUNK_BYTES;
    high = (last + 1) * CHUNK_BYTES;
  }
  return Float64Array.from(touched).sort();
}

function tooLarge(trace: PageTrace, event: number): PageAllocError {
  return eventError(
    trace,
    event,
    "the trace has touched more than 1 TiB by this event; a replay can hold 1 TiB",
  );
}

/** Returns the cell of each event's first page. */
function cellsOf({ length, base: bases }: PageTrace, numbers: ReadonlyMap<number, number>): Int32Array {
  const cells = makeTable(length);
  let low = 0;
  let high = -1;
  let firstCell = 0;
  for (let event = 0; event < length; event++) {
    const base = bases[event];
    if (base < low || base >= high) {
      const chunk = Math.floor(base / CHUNK_BYTES);
      firstCell = (numbers.get(chunk) as number) * layout.CHUNK_PAGES;
      low = chunk * CHUNK_BYTES;
      high = low + CHUNK_BYTES;
    }
    cells[event] = firstCell + (base - low) / PAGE_BYTES;
  }
  return cells;
}

/** Makes a table of zeros. Throws PageAllocError ERR_TRACE when memory is full. */
export function makeTable(length: number): Int32Array {
  try {
    return new Int32Array(length);
  } catch (cause) {
    const reason = `the trace is too long to replay: no memory for a table of ${length} numbers`;
    throw new PageAllocError("ERR_TRACE", reason, { cause });
  }
}
