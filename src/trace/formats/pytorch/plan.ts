// Makes events of a device's history that a heap can follow from its start.
//
// The history is a ring: it has the last entries only. What was there before them shows in frees of what the history
// did not allocate, in releases of segments that it did not get, and in the segments and blocks at the end. All that
// comes first.
//
// A ring loses nothing in its middle, but recording may have been paused. So a page that is used before it was grown is
// grown there, and what is still in use where something else begins was freed before.

import { BlockWriter } from "../../columns/block-writer.ts";
import type { Columns } from "../../columns/growing-columns.ts";
import { Corrections } from "../../corrections.ts";
import { ALLOC, EXISTS, FREE, GROW, type PageTrace, UNMAP } from "../../events.ts";
import { LiveRanges } from "../../live-ranges.ts";
import { type Range, Ranges } from "../../ranges.ts";
import { PAGE_BYTES, type Segments } from "./snapshot.ts";

/** Returns the events of a device, in blocks. `segments` are those of all devices. */
export function* eventsOf(
  history: Columns,
  device: number,
  segments: Segments | undefined,
): Generator<PageTrace> {
  const heap = new Heap();
  const full = heap.full;
  for (const _ of before(heap, history, device, segments)) if (full.length > 0) yield* full.splice(0);
  for (let event = 0; event < history.length; event++) {
    const { time, proc, kind, base, npages, offset } = history;
    heap.at(time[event], proc[event], offset[event]);
    const start = base[event];
    const end = start + npages[event] * PAGE_BYTES;
    if (kind[event] === ALLOC) heap.use(ALLOC, start, end);
    else if (kind[event] === FREE) heap.free(start);
    else if (kind[event] === GROW) heap.grow(start, end);
    else heap.unmap(start, end);
    if (full.length > 0) yield* full.splice(0);
  }
  yield heap.last();
}

/** Puts the heap into the state that it had before the history. Yields after every step. */
function* before(
  heap: Heap,
  history: Columns,
  device: number,
  segments: Segments | undefined,
): Generator<void> {
  const { length, time, proc, kind, base, npages, offset } = history;
  const [start] = time;
  // The memory that the history or the segments have told of.
  const known = new Ranges();
  function grow(from: number, to: number, byte: number): void {
    heap.at(start, -1, byte);
    for (const gap of known.missing(from, to)) heap.grow(...gap);
    known.add(from, to);
  }
  for (let event = 0; event < length; event++) {
    const end = base[event] + npages[event] * PAGE_BYTES;
    if (kind[event] === GROW) known.add(base[event], end);
    else if (kind[event] === UNMAP) grow(base[event], end, offset[event]);
    yield;
  }
  const isOf = (segment: number) => (segments?.device[segment] ?? device) === device;
  for (let i = 0; i < (segments?.base.length ?? 0); i++) {
    const { base, npages, offset } = segments as Segments;
    if (isOf(i)) grow(base[i], base[i] + npages[i] * PAGE_BYTES, offset[i]);
    yield;
  }
  // The pages that were in use at some time so far.
  const used = new Ranges();
  function exist(from: number, to: number, id: number, byte: number): void {
    if (used.overlaps(from, to)) return;
    heap.at(start, id, byte);
    heap.use(EXISTS, from, to);
    used.add(from, to);
  }
  for (let event = 0; event < length; event++) {
    const end = base[event] + npages[event] * PAGE_BYTES;
    if (kind[event] === ALLOC) used.add(base[event], end);
    else if (kind[event] === FREE) exist(base[event], end, proc[event], offset[event]);
    yield;
  }
  for (let i = 0; i < (segments?.blocks.base.length ?? 0); i++) {
    const { segment, base, npages, offset } = (segments as Segments).blocks;
    if (isOf(segment[i])) exist(base[i], base[i] + npages[i] * PAGE_BYTES, -1, offset[i]);
    yield;
  }
}

/** A device's memory, and the events that led to it. */
class Heap {
  /** Blocks of events that are complete. Whoever takes them empties the array. */
  readonly full: PageTrace[] = [];
  readonly #writer = new BlockWriter("pytorch", PAGE_BYTES);
  /** The memory that the device has, and the blocks in use, which lie in it. */
  readonly #mapped = new Ranges();
  readonly #live = new LiveRanges();
  readonly #corrections = new Corrections();
  #time = 0;
  #proc = -1;
  #offset = 0;

  /** Says when, and for which stream and byte of the file, the next events are. */
  at(time: number, proc: number, offset: number): void {
    this.#time = time;
    this.#proc = proc;
    this.#offset = offset;
  }

  /** Maps what is not mapped of [start, end). */
  grow(start: number, end: number): void {
    const gaps = this.#mapped.missing(start, end);
    if (sizeOf(gaps) < end - start) this.#corrections.skippedGrows++;
    for (const gap of gaps) this.#map(gap);
  }

  /** Unmaps what is mapped of [start, end), and first frees what is in use there. */
  unmap(start: number, end: number): void {
    this.#freeAll(start, end);
    const ranges = this.#mapped.remove(start, end);
    if (sizeOf(ranges) < end - start) this.#corrections.skippedUnmaps++;
    for (const range of ranges) this.#add(UNMAP, ...range);
  }

  /** Takes [start, end) into use, by an event of kind ALLOC or EXISTS. */
  use(kind: number, start: number, end: number): void {
    this.#freeAll(start, end);
    for (const gap of this.#mapped.missing(start, end)) {
      this.#corrections.impliedGrows++;
      this.#map(gap);
    }
    this.#live.seek(start);
    this.#live.insert(start, end - start);
    this.#add(kind, start, end);
  }

  /** Frees the block that starts at an address, if there is one. */
  free(start: number): void {
    this.#live.seek(start);
    if (this.#live.start === start) this.#free();
    else this.#corrections.skippedFrees++;
  }

  /** Returns the last block of events. */
  last(): PageTrace {
    return this.#take();
  }

  #map(range: Range): void {
    this.#mapped.add(...range);
    this.#add(GROW, ...range);
  }

  /** Frees the blocks that overlap [start, end), of which the history does not say so. */
  #freeAll(start: number, end: number): void {
    const live = this.#live;
    for (live.seek(start); live.start < end; live.seek(start)) {
      this.#corrections.impliedFrees++;
      this.#free();
    }
  }

  /** Frees the current block. */
  #free(): void {
    const { start, length } = this.#live;
    this.#live.remove();
    this.#add(FREE, start, start + length);
  }

  #add(kind: number, start: number, end: number): void {
    const npages = (end - start) / PAGE_BYTES;
    this.#writer.add(this.#time, this.#proc, kind, start, npages, this.#offset);
    if (this.#writer.full) this.full.push(this.#take());
  }

  #take(): PageTrace {
    return { ...this.#writer.take(), ...this.#corrections.take() };
  }
}

/** Returns how many bytes the ranges have together. */
function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}
