// The lock of a heap. Every public call takes it and gives it back on every way out; hooks run without it.

import { PageAllocError } from "./errors.ts";
import { HEADER_LOCK } from "./layout.ts";
import type { Memory } from "./memory.ts";
import type { Region } from "./regions.ts";

/** What guards a heap's state. */
export interface Lock {
  /**
   * Takes the lock. Throws PageAllocError ERR_LOCKED when this thread holds it already, or does not get it in time;
   * ERR_DISPOSED when there is no heap any more.
   */
  acquire(): void;
  /** Gives the lock back. */
  release(): void;
}

/** The lock of a heap that one thread uses: a word in the header. */
export class LocalLock implements Lock {
  readonly #memory: Memory;
  readonly #region: Region;

  constructor(memory: Memory, region: Region) {
    this.#memory = memory;
    this.#region = region;
  }

  acquire(): void {
    const { at } = this.#region;
    if (!at) throw disposed();
    const word = (at + HEADER_LOCK) >>> 2;
    if (this.#memory.i32[word]) {
      throw new PageAllocError(
        "ERR_LOCKED",
        "another call of this thread is in the heap; let it return first",
      );
    }
    this.#memory.i32[word] = 1;
  }

  release(): void {
    this.#memory.i32[(this.#region.at + HEADER_LOCK) >>> 2] = 0;
  }
}

/** The error for any use of a heap after `dispose`. */
export function disposed(): PageAllocError {
  return new PageAllocError("ERR_DISPOSED", "the heap has been disposed of");
}
