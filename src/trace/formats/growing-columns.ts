// The columns of a trace while it is read: they grow, and are put in order at the end.
//
// They grow by parts, each as long as all before it, so that nothing is copied for it; and they are put together two at
// a time, whose parts are given up before the next two's turn. So there is never much more in memory than the columns
// themselves. Parts of one small size would stay with the C library when they are given up.

import type { PageTrace } from "../events.ts";

/** The columns of a trace that was read from a file: all are there. */
export type Columns = Required<Omit<PageTrace, "cutShort">>;

/** Events of the first part and of the second; the later ones double. */
const FIRST_EVENTS = 2 ** 13;

/** Columns that grow. */
export class GrowingColumns {
  /** How many events there is room for. */
  #capacity = 0;
  readonly #time: Float64Array[] = [];
  readonly #proc: Int32Array[] = [];
  readonly #kind: Uint8Array[] = [];
  readonly #base: Float64Array[] = [];
  readonly #npages: Uint32Array[] = [];
  readonly #offset: Float64Array[] = [];

  /** Adds room for more events, which are zeros. Throws RangeError when there is no memory. */
  grow(): Columns {
    const length = this.#capacity || FIRST_EVENTS;
    // Events are numbered in 32 bits, here and in a replay.
    if (length === 2 ** 32) throw new RangeError("2 ** 32 events are the most");
    const part = {
      length,
      time: new Float64Array(length),
      proc: new Int32Array(length),
      kind: new Uint8Array(length),
      base: new Float64Array(length),
      npages: new Uint32Array(length),
      offset: new Float64Array(length),
    };
    this.#capacity += length;
    this.#time.push(part.time);
    this.#proc.push(part.proc);
    this.#kind.push(part.kind);
    this.#base.push(part.base);
    this.#npages.push(part.npages);
    this.#offset.push(part.offset);
    return part;
  }

  /** Address of an event's first page. */
  baseOf(event: number): number {
    const part = partOf(event);
    return this.#base[part][event - startOf(part)];
  }

  /**
   * The first `length` events by time, those of the same time in the order they were added. Nothing is left here.
   * Throws RangeError when there is no memory.
   */
  takeByTime(length: number): Columns {
    const time = join(this.#time, length);
    const order = orderByTime(time);
    const kind = new Uint8Array(length);
    arrange(order, this.#time, time, this.#kind, kind);
    const proc = new Int32Array(length);
    const npages = new Uint32Array(length);
    arrange(order, this.#proc, proc, this.#npages, npages);
    const base = new Float64Array(length);
    const offset = new Float64Array(length);
    arrange(order, this.#base, base, this.#offset, offset);
    return { length, time, proc, kind, base, npages, offset };
  }
}

/** Which part an event is in. */
function partOf(event: number): number {
  return event < FIRST_EVENTS ? 0 : Math.clz32(FIRST_EVENTS) + 1 - Math.clz32(event);
}

/** How many events come before a part. */
function startOf(part: number): number {
  return part === 0 ? 0 : FIRST_EVENTS * 2 ** (part - 1);
}

type Column = Float64Array | Int32Array | Uint8Array | Uint32Array;

/** A column out of its parts, in the order they have. */
function join(parts: readonly Float64Array[], length: number): Float64Array {
  const column = new Float64Array(length);
  parts.forEach((part, i) => {
    column.set(part.subarray(0, length - startOf(i)), startOf(i));
  });
  return column;
}

/**
 * Fills two columns in the given order out of their parts, which are given up. Two, as the many short stretches of
 * several Ps take half as long again when each column goes over them by itself.
 */
function arrange<A extends Column, B extends Column>(
  { count, first, last }: Stretches,
  partsA: A[],
  columnA: A,
  partsB: B[],
  columnB: B,
): void {
  let to = 0;
  // The parts that were looked up last, and their events.
  let partA = columnA;
  let partB = columnB;
  let start = 0;
  let end = 0;
  for (let stretch = 0; stretch < count; stretch++) {
    for (let event = first[stretch]; event < last[stretch]; ) {
      if (event < start || event >= end) {
        const part = partOf(event);
        partA = partsA[part];
        partB = partsB[part];
        start = startOf(part);
        end = start + partA.length;
      }
      const length = Math.min(last[stretch], end) - event;
      copy(partA, partB, event - start, columnA, columnB, to, length);
      event += length;
      to += length;
    }
  }
  partsA.length = 0;
  partsB.length = 0;
}

/** Copies so many elements of two arrays, from one place to another. */
function copy(
  fromA: Column,
  fromB: Column,
  from: number,
  toA: Column,
  toB: Column,
  to: number,
  length: number,
): void {
  // To set them at once takes as long as a loop over about so many.
  if (length > 64) {
    toA.set(fromA.subarray(from, from + length), to);
    toB.set(fromB.subarray(from, from + length), to);
    return;
  }
  for (let i = 0; i < length; i++) {
    toA[to + i] = fromA[from + i];
    toB[to + i] = fromB[from + i];
  }
}

/** Stretches of events that follow each other in the file, in any order. */
class Stretches {
  count = 0;
  /** The number of each stretch's first event, and of the one after its last. */
  first = new Uint32Array(64);
  last = new Uint32Array(64);

  add(first: number, last: number): void {
    if (this.count === this.first.length) {
      this.first = twiceAsLong(this.first);
      this.last = twiceAsLong(this.last);
    }
    this.first[this.count] = first;
    this.last[this.count++] = last;
  }
}

function twiceAsLong(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(2 * array.length);
  longer.set(array);
  return longer;
}

/**
 * The events by time: runs of ascending times, with neighbouring ones merged two at a time until one is left. There are
 * few runs, a few for each buffer that a P filled, and they rarely take turns, so that most events are passed over as
 * parts of a stretch. Only neighbours meet, the earlier first: ties stay in file order.
 */
function orderByTime(time: Float64Array): Stretches {
  let from = ascendingRuns(time);
  // Where the runs start among the stretches, and after the last one where it ends.
  let starts = Uint32Array.from({ length: from.count + 1 }, (_, i) => i);
  while (starts.length > 2) {
    const to = new Stretches();
    const merged = new Uint32Array(Math.ceil((starts.length - 1) / 2) + 1);
    for (let i = 1; i < merged.length; i++) {
      const middle = starts[2 * i - 1];
      mergePair(time, from, starts[2 * i - 2], middle, starts[2 * i] ?? middle, to);
      merged[i] = to.count;
    }
    from = to;
    starts = merged;
  }
  return from;
}

function ascendingRuns(time: Float64Array): Stretches {
  const runs = new Stretches();
  let first = 0;
  for (let i = 1; i < time.length; i++) {
    if (time[i] >= time[i - 1]) continue;
    runs.add(first, i);
    first = i;
  }
  runs.add(first, time.length);
  return runs;
}

/** Merges the run of stretches [start, middle) and that of [middle, end), and adds what comes out to `to`. */
function mergePair(
  time: Float64Array,
  { first, last }: Stretches,
  start: number,
  middle: number,
  end: number,
  to: Stretches,
): void {
  let left = start;
  let right = middle;
  let i = first[left];
  let j = first[right];
  while (left < middle && right < end) {
    const passed = i;
    while (i < last[left] && time[i] <= time[j]) i++;
    if (i > passed) to.add(passed, i);
    if (i === last[left]) i = first[++left];
    else {
      const passed = j;
      while (j < last[right] && time[j] < time[i]) j++;
      to.add(passed, j);
      if (j === last[right]) j = first[++right];
    }
  }
  for (; left < middle; i = first[++left]) to.add(i, last[left]);
  for (; right < end; j = first[++right]) to.add(j, last[right]);
}
