// Makes the events of a trace from records, generation by generation.
//
// A trace may lack a free or an alloc. A replay must not allocate a page twice, nor free one that is not in use. So
// spans that a new one overlaps are freed first, and frees of unknown spans are passed over.

import * as layout from "../../../engine/layout.ts";
import { BlockWriter } from "../../columns/block-writer.ts";
import type { Columns } from "../../columns/growing-columns.ts";
import { Corrections } from "../../corrections.ts";
import { ALLOC, EXISTS, FREE, GROW, type PageTrace } from "../../events.ts";
import { LiveRanges } from "../../live-ranges.ts";
import { GcCycles } from "./gc-cycles.ts";
import type { GcRecord } from "./gc-records.ts";
import { type ObjectEvent, ObjectSizes } from "./object-sizes.ts";
import { type Extent, type Generation, Kind, NO_CLASS } from "./records.ts";

/** Most bytes that the heap starts with as one piece. Spans farther apart get pieces of their own. */
const PIECE_BYTES = 2 ** 36;
const NO_P = -1;
/** What happened to an object, by its record's kind. */
const EVENTS: readonly ObjectEvent[] = ["existing", "allocs", "frees"];

/** Makes the events of one trace. */
export class Assembler {
  readonly #pageSize: number;
  readonly #extent: Extent;
  readonly #writer: BlockWriter;
  /** Blocks that are full. */
  readonly #full: PageTrace[] = [];
  readonly #live = new LiveRanges();
  readonly #cycles = new GcCycles();
  readonly #corrections = new Corrections();
  readonly #objects: ObjectSizes | undefined;
  /** The generation's records about the collector, and the index and the time of the next. */
  #gc: readonly GcRecord[] = [];
  #gcNext = 0;
  #gcTime = Infinity;
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
    if (objects) this.#objects = new ObjectSizes(pageSize);
  }

  /** Returns the blocks that a generation fills. */
  *take({ records, gc, start }: Generation): Generator<PageTrace> {
    this.#gc = gc;
    this.#gcNext = 0;
    this.#gcTime = gc[0]?.time ?? Infinity;
    if (this.#isFirstGeneration) this.#begin(records, start);
    for (let i = 0; i < records.length; ) {
      i = this.#takeSome(records, i);
      yield* this.#full.splice(0);
    }
    this.#takeGc(Infinity);
    this.#isFirstGeneration = false;
  }

  /** Returns the last block. */
  end(cutShort: string | undefined): PageTrace {
    const block = {
      ...this.#writer.take({ gc: this.#cycles.takeLast(), ...(cutShort && { cutShort }) }),
      ...this.#corrections.take(),
    };
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
    for (const i of existing) this.#exists(base[i], npages[i], kind[i] - Kind.exists, offset[i]);
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

  /** Takes records from index `from` on, up to the one that fills a block. Returns the index of the next. */
  #takeSome({ length, time, kind: kinds, base, npages, proc, offset }: Columns, from: number): number {
    for (let i = from; i < length; i++) {
      if (this.#full.length > 0) return i;
      if (time[i] >= this.#gcTime) this.#takeGc(time[i]);
      if (time[i] > this.#now) this.#now = time[i];
      const kind = kinds[i];
      if (kind > Kind.free) this.#object(kind, base[i]);
      else if (kind === Kind.free) this.#freeAt(base[i], proc[i], offset[i]);
      else if (kind >= Kind.alloc) {
        this.#place(ALLOC, base[i], npages[i], kind - Kind.alloc, proc[i], offset[i]);
      } else if (!this.#isFirstGeneration) this.#exists(base[i], npages[i], kind - Kind.exists, offset[i]);
    }
    return length;
  }

  /** Takes the records about the collector up to a time. */
  #takeGc(until: number): void {
    while (this.#gcTime <= until && this.#gcNext < this.#gc.length) {
      const { kind, value } = this.#gc[this.#gcNext];
      this.#now = Math.max(this.#now, this.#gcTime);
      this.#cycles.add(kind, this.#now, value);
      this.#gcTime = this.#gc[++this.#gcNext]?.time ?? Infinity;
    }
  }

  /** Adds a span that existed before, unless it is known. */
  #exists(base: number, npages: number, sizeClass: number, offset: number): void {
    const page = base / this.#pageSize;
    const live = this.#live;
    live.seek(page);
    if (live.start === page && live.length === npages) return;
    this.#place(EXISTS, base, npages, sizeClass, NO_P, offset);
  }

  /** Adds a span. */
  #place(kind: number, base: number, npages: number, sizeClass: number, proc: number, offset: number): void {
    const page = base / this.#pageSize;
    const live = this.#live;
    live.seek(page);
    while (live.start < page + npages) {
      this.#free(proc, offset);
      this.#corrections.impliedFrees++;
      live.seek(page);
    }
    live.insert(page, npages);
    this.#objects?.setClass(page, sizeClass);
    this.#add(kind, base, npages, proc, offset);
  }

  /** Frees the span that starts at an address, if there is one. */
  #freeAt(base: number, proc: number, offset: number): void {
    const page = base / this.#pageSize;
    this.#live.seek(page);
    if (this.#live.start === page) this.#free(proc, offset);
    else this.#corrections.skippedFrees++;
  }

  /** Frees the current span. */
  #free(proc: number, offset: number): void {
    const { start, length: npages } = this.#live;
    this.#live.remove();
    this.#objects?.forgetClass(start);
    this.#add(FREE, start * this.#pageSize, npages, proc, offset);
  }

  /** Adds an event of the current time. */
  #add(kind: number, base: number, npages: number, proc: number, offset: number): void {
    if (this.#writer.full) {
      this.#full.push({ ...this.#writer.take({ gc: this.#cycles.take() }), ...this.#corrections.take() });
    }
    this.#writer.add(this.#now, proc, kind, base, npages, offset);
  }

  /** Takes a record of an object. */
  #object(kind: number, address: number): void {
    // Later ones exist because they were allocated, or are in the first generation too.
    if (kind === Kind.objectExists && !this.#isFirstGeneration) return;
    const page = Math.floor(address / this.#pageSize);
    const live = this.#live;
    live.seek(page);
    if (live.start <= page) this.#objects?.count(live.start, live.length, EVENTS[kind - Kind.objectExists]);
  }
}
