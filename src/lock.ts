// The lock of a heap. Every public call takes it and gives it back on every way out; hooks run without it.

import { PageAllocError } from "./errors.ts";
import { HEADER_LOCK } from "./layout.ts";
import type { Memory } from "./memory.ts";
import type { Region } from "./regions.ts";

/** What guards a heap's state. */
export interface Lock {
  /**
   * Takes the lock. Throws PageAllocError ERR_LOCKED when another call has it, ERR_DISPOSED when there is no heap any more.
   */
  acquire(): void;
  /** Gives the lock back. */
  release(): void;
}

/** The lock of a heap that one thread uses: a word in the header, which moves with the heap's region. */
export class LocalLock implements Lock {
  readonly #memory: Memory;
  readonly #region: Region;

  constructor(memory: Memory, region: Region) {
    this.#memory = memory;
    this.#region = region;
  }

  acquire(): void {
    if (!this.#region.at) throw disposed();
    if (this.#swap(1))
      throw new PageAllocError("ERR_LOCKED", "another call is in the heap; let it return first");
  }

  release(): void {
    this.#swap(0);
  }

  /** Writes the lock's word. Returns what it was. */
  #swap(value: number): number {
    const word = (this.#region.at + HEADER_LOCK) >>> 2;
    const was = this.#memory.i32[word];
    this.#memory.i32[word] = value;
    return was;
  }
}

/** The error for any use of a heap after `dispose`. */
export function disposed(): PageAllocError {
  return new PageAllocError("ERR_DISPOSED", "the heap has been disposed of");
}
