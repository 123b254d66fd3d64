// The columns of a trace while it is read: made, cut to length, put in order.

import type { PageTrace } from "./format.ts";

/** A trace as it is read from a file: every column is there. */
export type Columns = Required<PageTrace>;

/** Columns of zeros. */
export function makeColumns(length: number): Columns {
  return {
    length,
    time: new Float64Array(length),
    proc: new Int32Array(length),
    kind: new Uint8Array(length),
    base: new Float64Array(length),
    npages: new Uint32Array(length),
    offset: new Float64Array(length),
  };
}

/** The first `length` events, in the same memory. */
export function firstEvents(columns: Columns, length: number): Columns {
  return {
    length,
    time: columns.time.subarray(0, length),
    proc: columns.proc.subarray(0, length),
    kind: columns.kind.subarray(0, length),
    base: columns.base.subarray(0, length),
    npages: columns.npages.subarray(0, length),
    offset: columns.offset.subarray(0, length),
  };
}

/** The events by time, those of the same time in the order they have. */
export function orderByTime(columns: Columns): Columns {
  const runs = ascendingRuns(columns.time);
  if (runs.length === 2) return columns;
  const order = mergeRuns(columns.time, runs);
  const ordered = makeColumns(columns.length);
  for (let i = 0; i < order.length; i++) {
    const event = order[i];
    ordered.time[i] = columns.time[event];
    ordered.proc[i] = columns.proc[event];
    ordered.kind[i] = columns.kind[event];
    ordered.base[i] = columns.base[event];
    ordered.npages[i] = columns.npages[event];
    ordered.offset[i] = columns.offset[event];
  }
  return ordered;
}

/** Where the runs of ascending times start, and after the last one where it ends. */
function ascendingRuns(time: Float64Array): number[] {
  const runs = [0];
  for (let i = 1; i < time.length; i++) if (time[i] < time[i - 1]) runs.push(i);
  runs.push(time.length);
  return runs;
}

/**
 * The events' numbers by time, with neighbouring runs merged two at a time until one is left. There are few runs, a few
 * for each buffer that a P filled, so that takes a handful of passes. Only neighbours meet, the earlier first: ties
 * stay in file order.
 */
function mergeRuns(time: Float64Array, runs: readonly number[]): Uint32Array {
  let from = new Uint32Array(time.length);
  for (let i = 0; i < from.length; i++) from[i] = i;
  let to = new Uint32Array(time.length);
  let starts = runs;
  while (starts.length > 2) {
    const merged: number[] = [];
    for (let r = 0; r < starts.length - 1; r += 2) {
      merged.push(starts[r]);
      const middle = starts[r + 1];
      mergePair(time, from, to, starts[r], middle, starts[r + 2] ?? middle);
    }
    merged.push(time.length);
    starts = merged;
    [from, to] = [to, from];
  }
  return from;
}

/** Merges from[start, middle) and from[middle, end) into to[start, end). */
function mergePair(
  time: Float64Array,
  from: Uint32Array,
  to: Uint32Array,
  start: number,
  middle: number,
  end: number,
): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takeLeft = right === end || (left < middle && time[from[left]] <= time[from[right]]);
    to[at] = takeLeft ? from[left++] : from[right++];
  }
}
