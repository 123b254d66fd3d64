// A batch of operations in linear memory, which WebAssembly carries out in one call. A call costs 4 to 10 ns. In a
// batch, an operation costs only the copy of a few bytes.

import type { Batch, BatchHeap, Scratch } from "../contract.ts";
import * as layout from "../layout.ts";
import type { Region } from "../memory.ts";

/** The module's `run`. It carries out the operations [from, to) of the batch at the given addresses. */
export type Run = (
  heap: number,
  ops: number,
  results: number,
  from: number,
  to: number,
  caches: number,
  ncaches: number,
) => number;

/** Makes the batch class of an engine. All batches use the same memory, since each is over before the next begins. */
export function batchesOf(
  runAt: Run,
): new (
  heap: BatchHeap,
  ops: Float64Array,
  results: Float64Array,
  refs: number[],
) => Batch {
  let shared: Region | undefined;

  /** Returns the address of memory for batches, of at least that many bytes. */
  function scratch(regions: Scratch, bytes: number): number {
    if (shared && shared.bytes < bytes) {
      regions.free(shared);
      shared = undefined;
    }
    shared ??= regions.alloc(bytes);
    return shared.at;
  }

  return class WasmBatch implements Batch {
    readonly #heap: BatchHeap;
    readonly #results: Float64Array;
    readonly #refs: number[];
    readonly #at: number;
    readonly #opsAt: number;
    readonly #resultsAt: number;

    constructor(heap: BatchHeap, ops: Float64Array, results: Float64Array, refs: number[]) {
      const opsOffset = 8 * refs.length;
      const resultsOffset = opsOffset + ops.byteLength;
      const { memory } = heap.engine;
      this.#heap = heap;
      this.#results = results;
      this.#refs = refs;
      const bytes = resultsOffset + (ops.length / layout.OP_NUMBERS) * layout.RESULT_NUMBERS * 8;
      this.#at = scratch(heap.regions as Scratch, bytes);
      this.#opsAt = this.#at + opsOffset;
      this.#resultsAt = this.#at + resultsOffset;
      memory.i32.set(refs, this.#at >>> 2);
      memory.f64.set(ops, this.#opsAt >>> 3);
      // A result that is still NaN is of an operation that was not carried out. Eight bytes of 0xff are a NaN, and a
      // fill of bytes is the fastest.
      memory.u8.fill(255, this.#resultsAt, this.#at + bytes);
    }

    run(from: number, to: number): number {
      const heap = this.#heap;
      const results = this.#results;
      const first = this.#resultsAt >>> 3;
      const begin = from * layout.RESULT_NUMBERS;
      let copied = false;
      try {
        const done = heap.locked(() =>
          runAt(heap.at, this.#opsAt, this.#resultsAt, from, to, this.#at, this.#refs.length),
        );
        const end = done * layout.RESULT_NUMBERS;
        results.set(heap.engine.memory.f64.subarray(first + begin, first + end), begin);
        copied = true;
        return done;
      } finally {
        // If the module has trapped or the stack has overflowed, copies the results of what was carried out before.
        const { f64 } = heap.engine.memory;
        for (let i = begin; !copied && i < to * layout.RESULT_NUMBERS; i += layout.RESULT_NUMBERS) {
          const value = f64[first + i];
          if (Number.isNaN(value)) break;
          results[i] = value;
          results[i + 1] = f64[first + i + 1];
        }
      }
    }

    note(i: number): void {
      const result = this.#results.subarray(i * layout.RESULT_NUMBERS, (i + 1) * layout.RESULT_NUMBERS);
      this.#heap.engine.memory.f64.set(result, (this.#resultsAt >>> 3) + i * layout.RESULT_NUMBERS);
    }
  };
}
