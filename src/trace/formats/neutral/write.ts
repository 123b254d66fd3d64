// Writes a trace in the neutral form.

import { integer, refuse } from "../../../base/arguments.ts";
import { addCorrections } from "../../corrections.ts";
import type { GcEvents, ObjectCounts, PageTrace, TraceCorrections } from "../../events.ts";
import { type BlockSource, givenTrace } from "../../written.ts";
import {
  type Entry,
  encodeCorrections,
  encodeCutShort,
  encodeCycles,
  encodeEnd,
  encodeEvents,
  encodeHeader,
  encodeIndex,
  encodeObjects,
} from "./encode.ts";
import { COUNT_MAX, ORIGIN_BYTES, TEXT_BYTES } from "./layout.ts";

/**
 * Writes a trace, whole or in blocks, as a file of palloc's own: the neutral form, which `readTrace` and `openTrace`
 * read. It holds every column but `offset`, exactly, in about half of the bytes of a gzipped page trace. Yields the
 * file's bytes piece by piece, as the events come, in bounded memory.
 *
 * Throws TypeError or RangeError for what is not a trace. The iteration rejects with whatever `trace` throws, with
 * TypeError for a wrong column, and with PageAllocError ERR_TRACE for an event that no trace can have.
 */
export function writeTrace(trace: PageTrace | BlockSource): AsyncGenerator<Uint8Array, void, undefined> {
  const { pageSize, origin, blocks } = givenTrace(trace);
  const name = textBytes("trace.format", origin, ORIGIN_BYTES);
  return new Writer(pageSize).write(name, blocks);
}

/** A cycle of the collector: start, time, sweepEnd, heapLive and heapGoal. */
type Cycle = readonly number[];

/** Writes one file. */
class Writer {
  readonly #pageSize: number;
  /** Bytes of the file so far. */
  #offset = 0;
  readonly #entries: Entry[] = [];
  /** Events that wait for more, until a frame is full. */
  readonly #events = {
    length: 0,
    time: new Float64Array(COUNT_MAX),
    proc: new Int32Array(COUNT_MAX),
    kind: new Uint8Array(COUNT_MAX),
    base: new Float64Array(COUNT_MAX),
    npages: new Uint32Array(COUNT_MAX),
  };
  /** Cycles that wait for the block in which they ended; undefined if the trace has shown none. */
  #cycles: Cycle[] | undefined;
  #wroteCycles = false;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  async *write(
    origin: Uint8Array,
    blocks: AsyncIterable<PageTrace>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    yield this.#counted(encodeHeader(this.#pageSize, origin));
    let objects: ObjectCounts | undefined;
    let cutShort: string | undefined;
    let corrections: TraceCorrections | undefined;
    for await (const block of blocks) {
      if (block.gc) this.#takeCycles(block.gc);
      objects = block.objects ?? objects;
      cutShort = block.cutShort ?? cutShort;
      corrections = addCorrections([corrections, block.corrections]);
      for (let event = 0; event < block.length; ) {
        event += this.#take(block, event);
        if (this.#events.length === COUNT_MAX) yield* this.#block();
      }
    }
    if (this.#events.length > 0) yield* this.#block();
    if (this.#cycles && (this.#cycles.length > 0 || !this.#wroteCycles))
      yield* this.#cycleFrames(this.#cycles);
    if (objects) {
      integer("trace.objects.length", objects.length, 0, COUNT_MAX);
      yield this.#counted(await encodeObjects(objects));
    }
    if (cutShort)
      yield this.#counted(await encodeCutShort(textBytes("trace.cutShort", cutShort, TEXT_BYTES)));
    if (corrections) yield this.#counted(await encodeCorrections(corrections));
    yield* this.#end();
  }

  #takeCycles({ length, start, time, sweepEnd, heapLive, heapGoal }: GcEvents): void {
    this.#cycles ??= [];
    for (let i = 0; i < length; i++) {
      this.#cycles.push([start[i], time[i], sweepEnd[i], heapLive[i], heapGoal[i]]);
    }
  }

  /** Copies as many events as there is room for, from event `start` of a block on. Returns their number. */
  #take(block: PageTrace, start: number): number {
    const { length, time, proc, kind, base, npages } = this.#events;
    const count = Math.min(COUNT_MAX - length, block.length - start);
    time.set(block.time.subarray(start, start + count), length);
    proc.set(block.proc.subarray(start, start + count), length);
    kind.set(block.kind.subarray(start, start + count), length);
    base.set(block.base.subarray(start, start + count), length);
    npages.set(block.npages.subarray(start, start + count), length);
    this.#events.length += count;
    return count;
  }

  /** Writes the events that wait, and the cycles that had ended by then. */
  async *#block(): AsyncGenerator<Uint8Array, void, undefined> {
    const { length, time } = this.#events;
    this.#entries.push({ offset: this.#offset, events: length, time: time[0] });
    const cycles = this.#cycles ?? [];
    const later = cycles.findIndex(([, end]) => end > time[length - 1]);
    const ended = cycles.splice(0, later < 0 ? cycles.length : later);
    if (ended.length > 0) yield* this.#cycleFrames(ended);
    yield this.#counted(await encodeEvents(this.#events, this.#pageSize));
    this.#events.length = 0;
  }

  async *#cycleFrames(cycles: readonly Cycle[]): AsyncGenerator<Uint8Array, void, undefined> {
    this.#wroteCycles = true;
    for (let at = 0; at === 0 || at < cycles.length; at += COUNT_MAX) {
      yield this.#counted(await encodeCycles(cycles.slice(at, at + COUNT_MAX)));
    }
  }

  async *#end(): AsyncGenerator<Uint8Array, void, undefined> {
    const index = this.#offset;
    for (let at = 0; at < this.#entries.length; at += COUNT_MAX) {
      yield this.#counted(await encodeIndex(this.#entries.slice(at, at + COUNT_MAX)));
    }
    yield encodeEnd(index, this.#entries.length);
  }

  #counted(bytes: Uint8Array): Uint8Array {
    this.#offset += bytes.length;
    return bytes;
  }
}

/** Encodes text. Throws RangeError if it takes more than `most` bytes. */
function textBytes(name: string, text: string, most: number): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > most) refuse(name, text, `at most ${most} bytes in UTF-8`, "string");
  return bytes;
}
