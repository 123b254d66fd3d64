// A trace in memory that threads share.

import type { GcEvents, PageTrace, TraceStream } from "palloc/trace";

type Column = Float64Array | Int32Array | Uint8Array | Uint32Array;

/** Reads a trace whole. With `shared`, its columns are in memory that threads share. */
export async function wholeOf(trace: TraceStream, shared = false): Promise<PageTrace> {
  const blocks: PageTrace[] = [];
  for await (const block of trace) blocks.push(block);
  const { format, origin, pageSize } = trace;
  const joined = <Type extends Column>(type: ColumnType<Type>, parts: readonly Type[]) =>
    joinedIn(type, parts, shared);
  const cycles: readonly GcEvents[] = blocks.flatMap(({ gc }) => gc ?? []);
  const ofCycles = (name: Exclude<keyof GcEvents, "length">) =>
    joined(
      Float64Array,
      cycles.map((part) => part[name].subarray(0, part.length)),
    );
  const ofBlocks = <Name extends "time" | "proc" | "kind" | "base" | "npages">(name: Name) =>
    blocks.map((block) => block[name].subarray(0, block.length) as PageTrace[Name]);
  return {
    format,
    origin,
    pageSize,
    length: blocks.reduce((sum, { length }) => sum + length, 0),
    time: joined(Float64Array, ofBlocks("time")),
    proc: joined(Int32Array, ofBlocks("proc")),
    kind: joined(Uint8Array, ofBlocks("kind")),
    base: joined(Float64Array, ofBlocks("base")),
    npages: joined(Uint32Array, ofBlocks("npages")),
    ...(blocks.some(({ gc }) => gc) && {
      gc: {
        length: cycles.reduce((sum, { length }) => sum + length, 0),
        start: ofCycles("start"),
        time: ofCycles("time"),
        sweepEnd: ofCycles("sweepEnd"),
        heapLive: ofCycles("heapLive"),
        heapGoal: ofCycles("heapGoal"),
      },
    }),
  };
}

interface ColumnType<Type extends Column> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): Type;
  new (buffer: ArrayBufferLike): Type;
}

/** Returns the parts of a column as one. */
function joinedIn<Type extends Column>(
  type: ColumnType<Type>,
  parts: readonly Type[],
  shared: boolean,
): Type {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const column = shared ? new type(new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT)) : new type(length);
  let at = 0;
  for (const part of parts) {
    column.set(part, at);
    at += part.length;
  }
  return column;
}
