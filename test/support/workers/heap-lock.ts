// The lock of a shared heap, as the layout has it, so that a test can hold it for a heap object for as long as it
// likes.
import * as layout from "../../../src/engine/layout.ts";
import type { PageAlloc } from "../subject.ts";

/** A shared heap's lock. */
export class HeapLock {
  readonly #words: Int32Array;
  readonly #at: number;

  constructor({ memory, at }: PageAlloc["handle"]) {
    this.#words = new Int32Array("buffer" in memory ? memory.buffer : memory);
    this.#at = at;
  }

  /** The number of the heap object that holds it; 0 when it is free. */
  get holder(): number {
    return Atomics.load(this.#words, (this.#at + layout.HEADER_LOCK) >>> 2) >>> layout.LOCK_OWNER_SHIFT;
  }

  /** Whether somebody may be waiting for it. */
  get isWaitedFor(): boolean {
    return (Atomics.load(this.#words, (this.#at + layout.HEADER_LOCK) >>> 2) & layout.LOCK_WAITED) !== 0;
  }

  /** Whether the call of the lock's holder is one that recovery has to finish, or to undo. */
  get journalOpen(): boolean {
    return Atomics.load(this.#words, (this.#at + layout.JOURNAL_OP) >>> 2) !== 0;
  }

  /** Takes the lock, which must be free, in the name of an object. */
  take(owner: number): void {
    const held = (owner << layout.LOCK_OWNER_SHIFT) | layout.LOCK_HELD;
    const word = (this.#at + layout.HEADER_LOCK) >>> 2;
    if (Atomics.compareExchange(this.#words, word, 0, held)) throw new Error("the lock is held");
  }

  /**
   * Gives it back, and wakes one of the threads that block for it, and all that wait without blocking. Returns how many
   * it has found that block, 0 or 1.
   */
  give(): number {
    const word = (this.#at + layout.HEADER_LOCK) >>> 2;
    const freed = (this.#at + layout.HEADER_FREED) >>> 2;
    Atomics.store(this.#words, word, 0);
    const woken = Atomics.notify(this.#words, word, 1);
    Atomics.add(this.#words, freed, 1);
    Atomics.notify(this.#words, freed);
    return woken;
  }
}
