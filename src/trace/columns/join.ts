// Joins the blocks of a trace.

import { addCorrections } from "../corrections.ts";
import type { GcEvents, ObjectCounts, PageTrace, TraceFormat } from "../events.ts";

/** Returns the blocks as one trace. The last `objects`, `origin` and `cutShort` of a block are the trace's. */
export async function joinBlocks(
  format: TraceFormat,
  pageSize: number,
  blocks: AsyncIterable<PageTrace>,
): Promise<PageTrace> {
  const parts: PageTrace[] = [];
  let length = 0;
  let cutShort: string | undefined;
  let objects: ObjectCounts | undefined;
  let origin: string | undefined;
  let hasOffsets = false;
  for await (const block of blocks) {
    parts.push(block);
    length += block.length;
    cutShort = block.cutShort ?? cutShort;
    objects = block.objects ?? objects;
    origin = block.origin ?? origin;
    hasOffsets ||= block.offset !== undefined;
  }
  const gc = joinGc(parts.flatMap((part) => part.gc ?? []));
  const corrections = addCorrections(parts.map((part) => part.corrections));
  return {
    format,
    pageSize,
    ...(origin && { origin }),
    ...(gc && { gc }),
    ...(objects && { objects }),
    ...(corrections && { corrections }),
    length,
    time: join(new Float64Array(length), parts, (part) => part.time),
    proc: join(new Int32Array(length), parts, (part) => part.proc),
    kind: join(new Uint8Array(length), parts, (part) => part.kind),
    base: join(new Float64Array(length), parts, (part) => part.base),
    npages: join(new Uint32Array(length), parts, (part) => part.npages),
    ...(hasOffsets && { offset: join(new Float64Array(length), parts, (part) => part.offset) }),
    ...(cutShort && { cutShort }),
  };
}

/** Joins columns of collector cycles; undefined if there are none. */
export function joinGc(parts: readonly GcEvents[]): GcEvents | undefined {
  if (parts.length === 0) return undefined;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const column = (of: (part: GcEvents) => Float64Array) => join(new Float64Array(length), parts, of);
  return {
    length,
    start: column((part) => part.start),
    time: column((part) => part.time),
    sweepEnd: column((part) => part.sweepEnd),
    heapLive: column((part) => part.heapLive),
    heapGoal: column((part) => part.heapGoal),
  };
}

/** Fills a column from those of the parts, and returns it. */
function join<
  Part extends { readonly length: number },
  Column extends Float64Array | Int32Array | Uint8Array | Uint32Array,
>(column: Column, parts: readonly Part[], of: (part: Part) => Column | undefined): Column {
  let at = 0;
  for (const part of parts) {
    const from = of(part);
    if (from) column.set(from.subarray(0, part.length), at);
    at += part.length;
  }
  return column;
}
