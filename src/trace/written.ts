// What a writer of traces is given: a trace, whole or in blocks. Checks its columns and events.

import { integer, powerOfTwo, refuse, show } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import { showAddress } from "./event-error.ts";
import { ADDRESS_LIMIT, ALLOC, PAGE_BYTES, type PageTrace, UNMAP } from "./events.ts";

/** A trace in blocks, as `openTrace` gives it. One that you make yourself may leave out all but the blocks. */
export interface BlockSource extends AsyncIterable<PageTrace> {
  /** Format that the blocks were read from. */
  readonly format?: string;
  /** Format of the file that a neutral one was converted from. */
  readonly origin?: string;
  /** Bytes per page, in every block. Default 8192. */
  readonly pageSize?: number;
}

/** A trace to write. */
export interface Given {
  /** Bytes per page, in every block. */
  readonly pageSize: number;
  /** Format that the trace was first read from; "" if it does not say. */
  readonly origin: string;
  /** The blocks. Rejects with TypeError for a wrong column, with ERR_TRACE for an impossible event. */
  readonly blocks: AsyncGenerator<PageTrace>;
}

const COLUMNS = {
  time: Float64Array,
  proc: Int32Array,
  kind: Uint8Array,
  base: Float64Array,
  npages: Uint32Array,
};

/** Returns what there is to write of a trace. Throws TypeError or RangeError for what is not a trace. */
export function givenTrace(trace: PageTrace | BlockSource): Given {
  if (typeof trace !== "object" || trace === null) refuse("trace", trace, "a PageTrace or a TraceStream");
  const { format, pageSize = PAGE_BYTES, origin = format === "neutral" ? "" : (format ?? "") } = trace;
  powerOfTwo("trace.pageSize", pageSize, 16, 2 ** 30);
  if (typeof origin !== "string") refuse("trace.format", origin, "a string");
  const isStream = Symbol.asyncIterator in trace;
  if (!isStream) checkColumns("trace", trace);
  return { pageSize, origin, blocks: checked(isStream ? trace : [trace], pageSize) };
}

async function* checked(
  blocks: AsyncIterable<PageTrace> | readonly PageTrace[],
  pageSize: number,
): AsyncGenerator<PageTrace> {
  let before = 0;
  let time = Number.NEGATIVE_INFINITY;
  for await (const block of blocks) {
    checkColumns("a block of trace", block);
    checkEvents(block, pageSize, before, time);
    before += block.length;
    if (block.length > 0) time = block.time[block.length - 1];
    yield block;
  }
}

function checkColumns(name: string, block: PageTrace): void {
  if (typeof block !== "object" || block === null) refuse(name, block, "a PageTrace");
  integer(`${name}.length`, block.length, 0, 2 ** 32 - 1);
  for (const [column, type] of Object.entries(COLUMNS)) {
    const array = block[column as keyof typeof COLUMNS];
    if (array instanceof type && array.length >= block.length) continue;
    const must = `a ${type.name} with at least length (${block.length}) elements`;
    throw new TypeError(`${name}.${column} must be ${must}, got ${show(array)}`);
  }
}

/** Checks each event by itself, and that times ascend. `before` are the events before the block, `last` their time. */
function checkEvents(block: PageTrace, pageSize: number, before: number, last: number): void {
  const { length, time, kind, base, npages } = block;
  const limit = ADDRESS_LIMIT / pageSize;
  let latest = last;
  for (let event = 0; event < length; event++) {
    const page = base[event] / pageSize;
    const end = page + npages[event];
    const fits = page >= 0 && page === Math.floor(page) && page < end && end <= limit;
    const isKind = kind[event] >= ALLOC && kind[event] <= UNMAP;
    if (!fits || !isKind || !(time[event] >= latest) || time[event] === Infinity) {
      throw badEvent(block, event, pageSize, before);
    }
    latest = time[event];
  }
}

function badEvent(block: PageTrace, event: number, pageSize: number, before: number): PageAllocError {
  const { time, kind, base, npages } = block;
  const page = base[event] / pageSize;
  if (kind[event] < ALLOC || kind[event] > UNMAP) {
    return writeError(block, event, before, `kind must be 1 to 6, got ${kind[event]}`);
  }
  if (
    !(
      page >= 0 &&
      page === Math.floor(page) &&
      npages[event] > 0 &&
      page + npages[event] <= ADDRESS_LIMIT / pageSize
    )
  ) {
    const allowed = `pages start at multiples of ${pageSize} and end at 2^48 or below`;
    return writeError(block, event, before, `${npages[event]} pages cannot lie here; ${allowed}`);
  }
  return writeError(block, event, before, `times must be finite and ascend, got ${time[event]}`);
}

/** Returns the error for an event that cannot be written. `before` is the number of events before its block. */
export function writeError(block: PageTrace, event: number, before: number, reason: string): PageAllocError {
  const place = `event ${before + event}, page ${showAddress(block.base[event])}`;
  return new PageAllocError("ERR_TRACE", `${place}: ${reason}`);
}
