// Operations for a heap, gathered to be run at once, with the page caches that they use.

import { Op } from "../../api/operations.ts";
import type { PageAlloc } from "../../api/page-alloc.ts";
import type { PageCache } from "../../api/page-cache.ts";
import { OP_NUMBERS, RESULT_NUMBERS } from "../../engine/layout.ts";

/** Most operations of a batch: enough to hide the cost of the call, few enough for the processor's caches. */
export const BATCH = 1024;

/** The operations of some events. */
export class Batch {
  /** As `PageAlloc.run` has them. Results are NaN from the first operation on that has failed. */
  readonly ops = new Float64Array(BATCH * OP_NUMBERS);
  readonly results = new Float64Array(BATCH * RESULT_NUMBERS);
  /** The event of each operation, as an index in its block, and a number that the driver keeps with it. */
  readonly events = new Uint32Array(BATCH);
  readonly numbers = new Int32Array(BATCH);
  /** Operations in the batch. */
  count = 0;
  /** Page caches by P. */
  readonly #caches: Array<PageCache | undefined> = [];
  /** By P: the index of its page cache in the batch, plus 1; 0 or undefined if the batch does not use it. */
  readonly #slots: number[] = [];
  /** The Ps whose page caches the batch uses, by that index. */
  readonly #used = new Uint32Array(BATCH);
  #usedCount = 0;
  /** The P that `slotOf` was last called for in this batch, -1 if none, and what it returned. */
  #proc = -1;
  #slot = -1;

  /** Adds an operation. The batch must have room for it. */
  push(event: number, code: number, npages: number, where: number, offset: number, number: number): void {
    const at = this.count * OP_NUMBERS;
    const { ops } = this;
    ops[at] = code;
    ops[at + 1] = npages;
    ops[at + 2] = where;
    ops[at + 3] = offset;
    this.numbers[this.count] = number;
    this.events[this.count++] = event;
  }

  /** Returns the index of a P's page cache in the batch. */
  slotOf(proc: number): number {
    if (proc === this.#proc) return this.#slot;
    if (!this.#slots[proc]) {
      this.#used[this.#usedCount] = proc;
      this.#slots[proc] = ++this.#usedCount;
    }
    this.#proc = proc;
    this.#slot = this.#slots[proc] - 1;
    return this.#slot;
  }

  /** Whether a P has a page cache, or will have one after the batch. */
  hasCache(proc: number): boolean {
    return proc === this.#proc || this.#slots[proc] > 0 || this.#caches[proc] !== undefined;
  }

  /** Returns a P's page cache, if it has one. */
  cacheOf(proc: number): PageCache | undefined {
    return this.#caches[proc];
  }

  /** Gives a P its page cache. The batch must be empty. */
  setCache(proc: number, cache: PageCache): void {
    this.#caches[proc] = cache;
  }

  /** Runs the operations on a heap, which grows if it must. They stay until `clear`. Throws what the heap throws. */
  run(heap: PageAlloc): void {
    if (this.count === 0) return;
    const caches = new Array<PageCache | undefined>(this.#usedCount);
    for (let slot = 0; slot < caches.length; slot++) caches[slot] = this.#caches[this.#used[slot]];
    this.results.fill(Number.NaN, 0, this.count * RESULT_NUMBERS);
    heap.run(this.ops.subarray(0, this.count * OP_NUMBERS), this.results, { caches, grow: true });
    for (let slot = 0; slot < caches.length; slot++) this.#caches[this.#used[slot]] ??= caches[slot];
  }

  /** Returns the address of the pages that a free of the batch has freed. The batch must have run. */
  placeOf(i: number): number {
    const [where, offset] = this.ops.subarray(i * OP_NUMBERS + 2, i * OP_NUMBERS + 4);
    return this.ops[i * OP_NUMBERS] === Op.freeResult ? this.results[where * RESULT_NUMBERS] + offset : where;
  }

  /** The first operation that has no result. */
  get failed(): number {
    return this.results.findIndex(Number.isNaN) / RESULT_NUMBERS;
  }

  /** Removes all operations. */
  clear(): void {
    for (let slot = 0; slot < this.#usedCount; slot++) this.#slots[this.#used[slot]] = 0;
    this.#usedCount = 0;
    this.#proc = -1;
    this.count = 0;
  }
}
