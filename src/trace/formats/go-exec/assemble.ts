// Makes the events of a trace from records, generation by generation.
//
// A trace may lack a free or an alloc. A replay must not allocate a page twice, nor free one that is not in use. So
// spans that a new one overlaps are freed first, and frees of unknown spans are passed over.

import * as layout from "../../../engine/layout.ts";
import { BlockWriter } from "../../columns/block-writer.ts";
import type { Columns } from "../../columns/growing-columns.ts";
import { ALLOC, EXISTS, FREE, GROW, type PageTrace } from "../../events.ts";
import { GcCycles } from "./gc-cycles.ts";
import { LiveSpans, type Span } from "./live-spans.ts";
import { type ObjectEvent, ObjectSizes } from "./object-sizes.ts";
import { type Extent, Kind, NO_CLASS } from "./records.ts";

/** Most bytes that the heap starts with as one piece. Spans farther apart get pieces of their own. */
const PIECE_BYTES = 2 ** 36;
const NO_P = -1;

/** The records of a generation, in order; times in ns. */
export interface Generation {
  readonly records: Columns;
  /** Time of its start. */
  readonly start: number;
}

/** Makes the events of one trace. */
export class Assembler {
  /** Spans that were freed because another took their pages, and frees that were passed over. */
  impliedFrees = 0;
  skippedFrees = 0;
  readonly #pageSize: number;
  readonly #extent: Extent;
  readonly #writer: BlockWriter;
  /** Blocks that are full. */
  readonly #full: PageTrace[] = [];
  readonly #spans: LiveSpans;
  readonly #cycles = new GcCycles();
  readonly #objects: ObjectSizes | undefined;
  #isFirstGeneration = true;
  /** Time of the latest event in ns. Threads enter a generation one by one, so the next may begin before it. */
  #now = 0;

  /**
   * @param pageSize bytes per page
   * @param extent of the whole trace
   * @param objects whether to count the objects
   */
  constructor(pageSize: number, extent: Extent, objects: boolean) {
    this.#pageSize = pageSize;
    this.#extent = extent;
    this.#writer = new BlockWriter("go-exec", pageSize);
    this.#spans = new LiveSpans(pageSize);
    if (objects) this.#objects = new ObjectSizes(pageSize);
  }

  /** Returns the blocks that a generation fills. */
  *take({ records, start }: Generation): Generator<PageTrace> {
    const isFirst = this.#isFirstGeneration;
    if (isFirst) this.#begin(records, start);
    this.#isFirstGeneration = false;
    for (let i = 0; i < records.length; i++) {
      this.#now = Math.max(this.#now, records.time[i]);
      if (records.kind[i] <= Kind.free) this.#spanRecord(records, i, isFirst);
      else this.#otherRecord(records.kind[i], records.base[i], isFirst);
      if (this.#full.length > 0) yield* this.#full.splice(0);
    }
  }

  /** Returns the last block. */
  end(cutShort: string | undefined): PageTrace {
    const block = this.#writer.take({ gc: this.#cycles.takeLast(), ...(cutShort && { cutShort }) });
    return this.#objects ? { ...block, objects: this.#objects.take() } : block;
  }

  /** Grows the heap, and adds the spans that existed when the trace began. */
  #begin({ length, kind, base, npages, offset }: Columns, start: number): void {
    this.#now = start;
    const existing: number[] = [];
    for (let i = 0; i < length; i++) if (kind[i] <= Kind.exists + NO_CLASS) existing.push(i);
    existing.sort((a, b) => base[a] - base[b]);
    this.#grow(
      existing.map((i) => base[i]),
      existing.map((i) => npages[i]),
    );
    for (const i of existing) {
      const span = { base: base[i], npages: npages[i], sizeClass: kind[i] - Kind.exists };
      this.#exists(span, offset[i]);
    }
  }

  /**
   * Grows the heap from the lowest page of the trace to the end of the chunk of the highest existing span. Go's heap
   * starts at a random page of a chunk, and nothing below it is ever used.
   */
  #grow(bases: readonly number[], npages: readonly number[]): void {
    const { lowest, offset, existingEnd } = this.#extent;
    if (lowest === Infinity) return;
    const chunkBytes = layout.CHUNK_PAGES * this.#pageSize;
    const chunkEnd = (end: number) => Math.ceil(end / chunkBytes) * chunkBytes;
    let to = chunkEnd(Math.max(existingEnd, lowest + 1));
    const isOnePiece = to - lowest <= PIECE_BYTES;
    if (!isOnePiece) to = chunkEnd(lowest + 1);
    this.#add(GROW, lowest, (to - lowest) / this.#pageSize, NO_P, offset);
    if (isOnePiece) return;
    for (let i = 0; i < bases.length; i++) {
      const from = Math.max(to, Math.floor(bases[i] / chunkBytes) * chunkBytes);
      const end = chunkEnd(bases[i] + npages[i] * this.#pageSize);
      if (end <= from) continue;
      this.#add(GROW, from, (end - from) / this.#pageSize, NO_P, offset);
      to = end;
    }
  }

  /** Adds a span that existed before, unless it is known. */
  #exists(span: Span, offset: number): void {
    const known = this.#spans.at(span.base);
    if (known?.base === span.base && known.npages === span.npages) return;
    this.#place(EXISTS, span, NO_P, offset);
  }

  /** Adds a span. */
  #place(kind: number, span: Span, proc: number, offset: number): void {
    for (;;) {
      const old = this.#spans.overlapping(span.base, span.npages);
      if (!old) break;
      this.impliedFrees++;
      this.#free(old, proc, offset);
    }
    this.#spans.add(span);
    this.#add(kind, span.base, span.npages, proc, offset);
  }

  #free(span: Span, proc: number, offset: number): void {
    this.#spans.remove(span);
    this.#add(FREE, span.base, span.npages, proc, offset);
  }

  /** Adds an event of the current time. */
  #add(kind: number, base: number, npages: number, proc: number, offset: number): void {
    if (this.#writer.full) this.#full.push(this.#writer.take({ gc: this.#cycles.take() }));
    this.#writer.add(this.#now, proc, kind, base, npages, offset);
  }

  #spanRecord({ kind, base: bases, npages, proc, offset }: Columns, i: number, isFirst: boolean): void {
    const base = bases[i];
    if (kind[i] === Kind.free) {
      const span = this.#spans.at(base);
      if (span?.base === base) this.#free(span, proc[i], offset[i]);
      else this.skippedFrees++;
    } else if (kind[i] >= Kind.alloc) {
      const span = { base, npages: npages[i], sizeClass: kind[i] - Kind.alloc };
      this.#place(ALLOC, span, proc[i], offset[i]);
    } else if (!isFirst) {
      const span = { base, npages: npages[i], sizeClass: kind[i] - Kind.exists };
      this.#exists(span, offset[i]);
    }
  }

  /** Takes a record of an object or of the collector. `base` is an address, or bytes. */
  #otherRecord(kind: number, base: number, isFirst: boolean): void {
    if (kind === Kind.gcBegin) this.#cycles.begin(this.#now);
    else if (kind === Kind.gcEnd) this.#cycles.end(this.#now);
    else if (kind === Kind.sweepEnd) this.#cycles.sweepEnd(this.#now);
    else if (kind === Kind.heapAlloc) this.#cycles.heapAlloc(base);
    else if (kind === Kind.heapGoal) this.#cycles.heapGoal(base);
    else if (kind === Kind.objectAlloc) this.#object(base, "allocs");
    else if (kind === Kind.objectFree) this.#object(base, "frees");
    // Later ones exist because they were allocated, or are in the first generation too.
    else if (isFirst) this.#object(base, "existing");
  }

  #object(address: number, event: ObjectEvent): void {
    const span = this.#spans.at(address);
    if (span) this.#objects?.count(span, event);
  }
}
