// The columns of a trace while it is read. They grow, and are sorted at the end.
//
// Columns grow by parts, each as long as all before it, so growing copies nothing. At the end two columns at a time are
// joined, and their parts are dropped before the next two. So memory never holds much more than the columns themselves.
// Small parts of one size would not do: the C library would keep their memory when they are dropped. Columns that are
// taken again and again, a block at a time, keep their parts: making them takes as long as filling them.

import type { PageTrace } from "../events.ts";

/** The columns of a trace that was read from a file, with none left out. */
export type Columns = Required<
  Pick<PageTrace, "length" | "time" | "proc" | "kind" | "base" | "npages" | "offset">
>;

/** Events in each of the first two parts. Later parts double. */
const FIRST_EVENTS = 2 ** 10;

/** Columns that grow. */
export class GrowingColumns {
  /** Number of events that fit in the parts that are in use. */
  #capacity = 0;
  /** How many of the parts are in use. */
  #used = 0;
  readonly #time: Float64Array[] = [];
  readonly #proc: Int32Array[] = [];
  readonly #kind: Uint8Array[] = [];
  readonly #base: Float64Array[] = [];
  readonly #npages: Uint32Array[] = [];
  readonly #offset: Float64Array[] = [];

  /** Returns a part for more events, with any values. Throws RangeError when memory is full. */
  grow(): Columns {
    const length = this.#capacity || FIRST_EVENTS;
    const kept = this.#used;
    if (kept < this.#time.length) {
      this.#capacity += length;
      this.#used++;
      return {
        length,
        time: this.#time[kept],
        proc: this.#proc[kept],
        kind: this.#kind[kept],
        base: this.#base[kept],
        npages: this.#npages[kept],
        offset: this.#offset[kept],
      };
    }
    // Events are numbered in 32 bits, here and in a replay.
    if (length === 2 ** 32) throw new RangeError("a trace can have 2 ** 32 events");
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
    this.#used++;
    this.#time.push(part.time);
    this.#proc.push(part.proc);
    this.#kind.push(part.kind);
    this.#base.push(part.base);
    this.#npages.push(part.npages);
    this.#offset.push(part.offset);
    return part;
  }

  /**
   * Returns the first `length` events, sorted by time. Events of the same time keep their order, or are sorted by their
   * offset if `mixed` is set. The columns are empty afterwards. If `keep` is set, they keep their memory. Throws
   * RangeError when memory is full.
   */
  takeByTime(length: number, mixed = false, keep = false): Columns {
    const time = join(this.#time, length);
    const order = orderByTime(time, mixed ? join(this.#offset, length) : undefined);
    const kind = new Uint8Array(length);
    arrange(order, this.#time, time, this.#kind, kind, keep);
    const proc = new Int32Array(length);
    const npages = new Uint32Array(length);
    arrange(order, this.#proc, proc, this.#npages, npages, keep);
    const base = new Float64Array(length);
    const offset = new Float64Array(length);
    arrange(order, this.#base, base, this.#offset, offset, keep);
    this.#capacity = 0;
    this.#used = 0;
    return { length, time, proc, kind, base, npages, offset };
  }
}

/** Returns the columns of the events [start, end). They are views. */
export function partOfColumns(columns: Columns, start: number, end: number): Columns {
  return {
    length: end - start,
    time: columns.time.subarray(start, end),
    proc: columns.proc.subarray(start, end),
    kind: columns.kind.subarray(start, end),
    base: columns.base.subarray(start, end),
    npages: columns.npages.subarray(start, end),
    offset: columns.offset.subarray(start, end),
  };
}

/** Returns the part that an event is in. */
function partOf(event: number): number {
  return event < FIRST_EVENTS ? 0 : Math.clz32(FIRST_EVENTS) + 1 - Math.clz32(event);
}

/** Returns the number of events before a part. */
function startOf(part: number): number {
  return part === 0 ? 0 : FIRST_EVENTS * 2 ** (part - 1);
}

type Column = Float64Array | Int32Array | Uint8Array | Uint32Array;

/** Joins the parts of a column. */
function join(parts: readonly Float64Array[], length: number): Float64Array {
  const column = new Float64Array(length);
  for (let i = 0; startOf(i) < length; i++) {
    column.set(parts[i].subarray(0, length - startOf(i)), startOf(i));
  }
  return column;
}

/**
 * Fills two columns from their parts in the given order, and drops the parts unless they are to be kept. Several Ps
 * make many short stretches, and one column at a time would take half as long again.
 */
function arrange<A extends Column, B extends Column>(
  { count, first, last }: Stretches,
  partsA: A[],
  columnA: A,
  partsB: B[],
  columnB: B,
  keep: boolean,
): void {
  let to = 0;
  // The current parts, and the range of their events.
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
  if (keep) return;
  partsA.length = 0;
  partsB.length = 0;
}

/** Copies `length` elements of two arrays. */
function copy(
  fromA: Column,
  fromB: Column,
  from: number,
  toA: Column,
  toB: Column,
  to: number,
  length: number,
): void {
  // The fixed cost of `set` is that of a loop over about 64 elements.
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

/** A list of stretches. Each is a range of events that follow each other in the file. */
class Stretches {
  count = 0;
  /** Of each stretch, the index of the first event, and that after the last. */
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
 * Sorts the events by time with a natural merge sort: finds sequences of ascending times, and merges neighbours until
 * one is left. There are few sequences, a few per buffer of a P, and they rarely interleave. So most events move as
 * part of a stretch. Only neighbours merge, the earlier one first, so events of the same time keep their order. With
 * offsets, these decide between events of the same time.
 */
function orderByTime(time: Float64Array, offset: Float64Array | undefined): Stretches {
  let from = ascendingSequences(time, offset);
  // The index of each sequence's first stretch, and the number of all stretches. At first each sequence is one stretch.
  let starts = Uint32Array.from({ length: from.count + 1 }, (_, i) => i);
  while (starts.length > 2) {
    const to = new Stretches();
    const merged = new Uint32Array(Math.ceil((starts.length - 1) / 2) + 1);
    for (let i = 1; i < merged.length; i++) {
      const middle = starts[2 * i - 1];
      mergePair(time, offset, from, starts[2 * i - 2], middle, starts[2 * i] ?? middle, to);
      merged[i] = to.count;
    }
    from = to;
    starts = merged;
  }
  return from;
}

/** Returns the sequences of ascending times, each as one stretch. */
function ascendingSequences(time: Float64Array, offset: Float64Array | undefined): Stretches {
  const sequences = new Stretches();
  let first = 0;
  for (let i = 1; i < time.length; i++) {
    if (time[i] > time[i - 1]) continue;
    if (time[i] === time[i - 1] && (!offset || offset[i] > offset[i - 1])) continue;
    sequences.add(first, i);
    first = i;
  }
  sequences.add(first, time.length);
  return sequences;
}

/** Merges the sequence in stretches [start, middle) with that in [middle, end), and adds the result to `to`. */
function mergePair(
  time: Float64Array,
  offset: Float64Array | undefined,
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
    const before = i;
    while (
      i < last[left] &&
      (time[i] < time[j] || (time[i] === time[j] && !(offset && offset[i] > offset[j])))
    )
      i++;
    if (i > before) to.add(before, i);
    if (i === last[left]) i = first[++left];
    else {
      const before = j;
      while (
        j < last[right] &&
        (time[j] < time[i] || (offset && time[j] === time[i] && offset[j] < offset[i]))
      )
        j++;
      to.add(before, j);
      if (j === last[right]) j = first[++right];
    }
  }
  for (; left < middle; i = first[++left]) to.add(i, last[left]);
  for (; right < end; j = first[++right]) to.add(j, last[right]);
}
