// Joins the blocks of a trace.

import { addCorrections } from "../corrections.ts";
import type { GcEvents, ObjectCounts, PageTrace, TraceFormat } from "../events.ts";
import { memoryError } from "../memory-error.ts";

/**
 * Returns the blocks as one trace. The last `objects`, `origin` and `cutShort` of a block are the trace's.
 *
 * Rejects with whatever the blocks reject with; with PageAllocError ERR_TRACE when memory is full.
 */
export async function joinBlocks(
  format: TraceFormat,
  pageSize: number,
  blocks: AsyncIterable<PageTrace>,
): Promise<PageTrace> {
  const parts = new Parts();
  const cycles: GcEvents[] = [];
  const corrections: PageTrace["corrections"][] = [];
  let cutShort: string | undefined;
  let objects: ObjectCounts | undefined;
  let origin: string | undefined;
  for await (const block of blocks) {
    parts.add(block);
    if (block.gc) cycles.push(block.gc);
    corrections.push(block.corrections);
    cutShort = block.cutShort ?? cutShort;
    objects = block.objects ?? objects;
    origin = block.origin ?? origin;
  }
  const { length, where } = parts;
  try {
    const gc = joinGc(cycles);
    const corrected = addCorrections(corrections);
    return {
      format,
      pageSize,
      ...(origin && { origin }),
      ...(gc && { gc }),
      ...(objects && { objects }),
      ...(corrected && { corrections: corrected }),
      length,
      ...parts.take(),
      ...(cutShort && { cutShort }),
    };
  } catch (error) {
    throw memoryError(error, where);
  }
}

/** The columns of all blocks. Each is joined by itself, and its parts are dropped, before the next takes memory. */
class Parts {
  /** Number of events. */
  length = 0;
  /** The last event, for messages. */
  where = "event 0";
  readonly #lengths: number[] = [];
  readonly #time: Float64Array[] = [];
  readonly #proc: Int32Array[] = [];
  readonly #kind: Uint8Array[] = [];
  readonly #base: Float64Array[] = [];
  readonly #npages: Uint32Array[] = [];
  readonly #offset: Array<Float64Array | undefined> = [];

  add({ length, time, proc, kind, base, npages, offset }: PageTrace): void {
    this.#lengths.push(length);
    this.#time.push(time);
    this.#proc.push(proc);
    this.#kind.push(kind);
    this.#base.push(base);
    this.#npages.push(npages);
    this.#offset.push(offset);
    this.length += length;
    if (length === 0) return;
    this.where = `event ${this.length - 1}${offset ? ` at byte ${offset[length - 1]}` : ""}`;
  }

  /** Returns the columns, and drops their parts. Throws RangeError when memory is full. */
  take() {
    const lengths = this.#lengths;
    const { length } = this;
    const hasOffsets = this.#offset.some((part) => part !== undefined);
    return {
      time: join(new Float64Array(length), lengths, this.#time.splice(0)),
      proc: join(new Int32Array(length), lengths, this.#proc.splice(0)),
      kind: join(new Uint8Array(length), lengths, this.#kind.splice(0)),
      base: join(new Float64Array(length), lengths, this.#base.splice(0)),
      npages: join(new Uint32Array(length), lengths, this.#npages.splice(0)),
      ...(hasOffsets && { offset: join(new Float64Array(length), lengths, this.#offset.splice(0)) }),
    };
  }
}

/** Joins columns of collector cycles; undefined if there are none. */
export function joinGc(parts: readonly GcEvents[]): GcEvents | undefined {
  if (parts.length === 0) return undefined;
  const lengths = parts.map((part) => part.length);
  const length = lengths.reduce((sum, part) => sum + part, 0);
  const column = (of: (part: GcEvents) => Float64Array) =>
    join(new Float64Array(length), lengths, parts.map(of));
  return {
    length,
    start: column((part) => part.start),
    time: column((part) => part.time),
    sweepEnd: column((part) => part.sweepEnd),
    heapLive: column((part) => part.heapLive),
    heapGoal: column((part) => part.heapGoal),
  };
}

/** Fills a column from its parts, which have these lengths, and returns it. */
function join<Column extends Float64Array | Int32Array | Uint8Array | Uint32Array>(
  column: Column,
  lengths: readonly number[],
  parts: ReadonlyArray<Column | undefined>,
): Column {
  let at = 0;
  for (const [i, part] of parts.entries()) {
    if (part) column.set(part.subarray(0, lengths[i]), at);
    at += lengths[i];
  }
  return column;
}
