// The lock of a heap. Every public call that looks at bits takes it and gives it back on every way out. Hooks run
// without it, and so does what needs none: the walk, and the allocs of page caches.

import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import type { Memory, Region } from "../engine/memory.ts";
import { disposed, type State } from "../store/state.ts";

/** Work that needs the lock, and was left for the next call that has it. */
export interface Rest {
  readonly work: () => void;
  next: Rest | undefined;
}

/** What guards a heap's state. */
export interface Lock {
  /** Work that could not be done for want of the lock or of stack. The next call that takes the lock does it first. */
  rest: Rest | undefined;
  /**
   * Takes the lock, and mends the heap if a call was broken off. Throws PageAllocError ERR_LOCKED when another call of
   * this heap object holds the lock, or another object holds it for longer than this thread may wait; ERR_DISPOSED when
   * the heap is gone; ERR_CORRUPT when it cannot be mended.
   */
  acquire(): void;
  /** Releases the lock. */
  release(): void;
  /**
   * Takes the lock for `work` that must not be lost, and waits for it as long as a thread that may block. Throws as
   * `acquire` does, and what `work` throws.
   */
  finish(work: () => void): void;
  /**
   * If a thread has had to wait for the lock, spins for 20 µs so that others get it. For a caller that takes the lock
   * over and over and is in no hurry. Does nothing if `whenFree` has the lock already.
   */
  giveWay(): void;
  /**
   * Takes the lock, from `owner` if it has it, which has died. Wakes every thread that waits: `owner` may have been
   * about to.
   */
  seize(owner: number): void;
  /** Waits for the lock without blocking, then runs `work`. The first call in `work` has the lock already. */
  whenFree<T>(work: () => T): Promise<T>;
}

/** What a lock guards. */
export interface Guarded extends State {
  /**
   * Mends the heap if a call was broken off, and does what is in `rest`. Caller must hold the lock. If this throws, it
   * has released the lock.
   */
  catchUp(): void;
}

/** The lock of a heap that one thread uses: a word in the header, which moves with the heap's region. */
export class LocalLock implements Lock {
  rest: Rest | undefined;
  readonly #state: Guarded;
  readonly #memory: Memory;
  readonly #region: Region;

  constructor(state: Guarded) {
    this.#state = state;
    this.#memory = state.engine.memory;
    this.#region = state.region;
  }

  acquire(): void {
    const { at } = this.#region;
    if (!at) throw disposed();
    const { i32 } = this.#memory;
    const word = (at + layout.HEADER_LOCK) >>> 2;
    if (i32[word])
      throw new PageAllocError("ERR_LOCKED", "this heap object is in another call; let it return first");
    i32[word] = layout.LOCK_HELD;
    if (i32[word + (layout.JOURNAL_OP - layout.HEADER_LOCK) / 4] || this.rest) this.#state.catchUp();
  }

  release(): void {
    this.#memory.i32[(this.#region.at + layout.HEADER_LOCK) >>> 2] = 0;
  }

  giveWay(): void {}

  seize(): void {
    this.acquire();
  }

  finish(work: () => void): void {
    this.acquire();
    try {
      work();
    } finally {
      this.#memory.i32[(this.#region.at + layout.HEADER_LOCK) >>> 2] = 0;
    }
  }

  async whenFree<T>(work: () => T): Promise<T> {
    return work();
  }
}

/** How often a thread looks at the lock before it blocks. That takes longer than most calls hold it. */
const SPINS = 2000;
/**
 * How long a thread in no hurry leaves the lock to others, in ms. One call is too short: those that follow it find what
 * they need in their core's cache. With this, fewer than 1 call in 100 has to wait.
 */
const GIVE_WAY_MS = 0.02;
/** How long a thread that may not block tries to get the lock, in ms. */
const SPIN_MS = 2;
/** How long a thread waits before it looks again, in ms: whoever should have woken it may have died. */
const NAP_MS = 500;

/** The message for a thread that may not block and did not get the lock. */
const MAY_NOT_BLOCK =
  "the heap is in use elsewhere, and this thread may not block; use callAsync, allocAsync, freeAsync or " +
  "scavengeAsync, or a worker";

/**
 * The lock of a shared heap: the mutex of Ulrich Drepper's "Futexes Are Tricky" (its third), with the owner's number in
 * the word, so that one compare-exchange takes the lock and says who has it. Whoever has waited takes it as waited for,
 * as there may be others.
 */
export class SharedLock implements Lock {
  rest: Rest | undefined;
  readonly #state: Guarded;
  readonly #memory: Memory;
  readonly #region: Region;
  readonly #owner: number;
  readonly #timeoutMs: number;
  /** What the lock's word says when this object holds it, and nobody may be waiting. */
  readonly #held: number;
  /** The same when others may wait. */
  readonly #waited: number;
  /** Indices of the lock's word, of HEADER_WANTED and of HEADER_FREED; a shared heap is never moved. */
  readonly #word: number;
  readonly #wanted: number;
  readonly #freed: number;
  /** Whether the lock has been taken for the next call. */
  #granted = false;

  constructor(state: Guarded, owner: number, timeoutMs: number) {
    const { region } = state;
    this.#state = state;
    this.#memory = state.engine.memory;
    this.#region = region;
    this.#owner = owner;
    this.#held = (owner << layout.LOCK_OWNER_SHIFT) | layout.LOCK_HELD;
    this.#waited = (owner << layout.LOCK_OWNER_SHIFT) | layout.LOCK_WAITED;
    this.#timeoutMs = timeoutMs;
    this.#word = (region.at + layout.HEADER_LOCK) >>> 2;
    this.#wanted = (region.at + layout.HEADER_WANTED) >>> 2;
    this.#freed = (region.at + layout.HEADER_FREED) >>> 2;
  }

  acquire(): void {
    this.#acquire(false);
  }

  release(): void {
    if (Atomics.exchange(this.#memory.i32, this.#word, 0) & layout.LOCK_WAITED) {
      try {
        this.#wake(1);
      } catch {
        // No stack is left. Who waits looks again before long.
      }
    }
  }

  finish(work: () => void): void {
    this.#acquire(true);
    try {
      work();
    } finally {
      try {
        this.release();
      } catch {
        Atomics.store(this.#memory.i32, this.#word, 0);
      }
    }
  }

  giveWay(): void {
    const { i32 } = this.#memory;
    if (this.#granted || !i32[this.#wanted]) return;
    i32[this.#wanted] = 0;
    const end = performance.now() + GIVE_WAY_MS;
    while (performance.now() < end);
  }

  seize(owner: number): void {
    const { i32 } = this.#memory;
    const word = this.#word;
    let seen = Atomics.load(i32, word);
    while (ownerIn(seen) === owner && !this.#granted) {
      this.#granted = Atomics.compareExchange(i32, word, seen, this.#waited) === seen;
      seen = Atomics.load(i32, word);
    }
    this.#wake(Infinity);
    this.#take(true);
    // What the dead had begun may reach beyond what the heap says of itself.
    this.#memory.refresh();
  }

  async whenFree<T>(work: () => T): Promise<T> {
    if (this.#granted) return work();
    const deadline = performance.now() + this.#timeoutMs;
    for (;;) {
      if (!this.#region.at) throw disposed();
      const freed = Atomics.load(this.#memory.i32, this.#freed);
      const seen = this.#try();
      if (!seen) break;
      const left = deadline - performance.now();
      if (left <= 0) throw this.#tooLong(seen);
      await waitAsync(this.#memory.i32, this.#freed, freed, Math.min(left, NAP_MS));
    }
    this.#granted = true;
    try {
      return work();
    } finally {
      // `work` may have thrown before it asked for the lock.
      if (this.#granted) {
        this.#granted = false;
        this.release();
      }
    }
  }

  /** Takes the lock, and does the work that calls have left. */
  #acquire(patient: boolean): void {
    this.#take(patient);
    const { i32 } = this.#memory;
    if (i32[this.#word + (layout.JOURNAL_OP - layout.HEADER_LOCK) / 4] || this.rest) this.#state.catchUp();
  }

  /** Takes the lock, and makes the views cover the whole heap. */
  #take(patient: boolean): void {
    const { at } = this.#region;
    if (!at) throw disposed();
    const memory = this.#memory;
    if (this.#granted) this.#granted = false;
    else if (Atomics.compareExchange(memory.i32, this.#word, 0, this.#held)) this.#wait(patient);
    // Others may have grown the memory, and the heap into it.
    try {
      if (at + (memory.i32[(at + layout.HEADER_USED) >>> 2] >>> 0) > memory.size) memory.refresh();
    } catch (error) {
      Atomics.store(memory.i32, this.#word, 0);
      throw error;
    }
  }

  /** Wakes that many threads that block, and all that wait without blocking. */
  #wake(count: number): void {
    const { i32 } = this.#memory;
    Atomics.notify(i32, this.#word, count);
    Atomics.add(i32, this.#freed, 1);
    Atomics.notify(i32, this.#freed);
  }

  /** Takes the lock after finding it held. */
  #wait(patient: boolean): void {
    const { i32 } = this.#memory;
    i32[this.#wanted] = 1;
    for (let spin = 0; spin < SPINS; spin++) {
      const free = Atomics.load(i32, this.#word) === 0;
      if (free && !Atomics.compareExchange(i32, this.#word, 0, this.#held)) return;
    }
    const start = performance.now();
    const blocks = this.#mayBlock();
    const most = blocks || patient ? this.#timeoutMs : Math.min(SPIN_MS, this.#timeoutMs);
    for (let seen = this.#try(); seen; seen = this.#try()) {
      const left = start + most - performance.now();
      if (left <= 0) throw blocks ? this.#tooLong(seen) : new PageAllocError("ERR_LOCKED", MAY_NOT_BLOCK);
      if (blocks) Atomics.wait(i32, this.#word, seen, Math.min(left, NAP_MS));
    }
  }

  /** Takes the lock if it is free. Else marks it as waited for, and returns its word. */
  #try(): number {
    const { i32 } = this.#memory;
    const word = this.#word;
    for (;;) {
      const seen = Atomics.compareExchange(i32, word, 0, this.#waited);
      if (!seen) return 0;
      if (ownerIn(seen) === this.#owner) {
        throw new PageAllocError("ERR_LOCKED", "this heap object is in another call; let it return first");
      }
      const waited = (ownerIn(seen) << layout.LOCK_OWNER_SHIFT) | layout.LOCK_WAITED;
      if (seen === waited || Atomics.compareExchange(i32, word, seen, waited) === seen) return waited;
    }
  }

  /** Whether this thread may block: a page's main thread may not. */
  #mayBlock(): boolean {
    try {
      // Waits for nothing, as that is nobody's.
      Atomics.wait(this.#memory.i32, this.#word, -1, 0);
      return true;
    } catch {
      return false;
    }
  }

  #tooLong(seen: number): PageAllocError {
    const owner = ownerIn(seen);
    const message =
      `the lock was not free for ${this.#timeoutMs} ms, and owner ${owner} has it; if that worker has ended, call ` +
      `recover(${owner}), else raise lockTimeoutMs`;
    return new PageAllocError("ERR_LOCKED", message);
  }
}

/** The number of the heap object that a lock's word names. */
function ownerIn(word: number): number {
  return word >>> layout.LOCK_OWNER_SHIFT;
}

/** Waits until the word is woken, or is not `seen` any more, or for that many ms. */
async function waitAsync(i32: Int32Array, word: number, seen: number, ms: number): Promise<void> {
  // Some runtimes lack it. Node ends a process in which nothing else is left, but not one with a timer.
  const woken = Atomics.waitAsync?.(i32, word, seen, ms).value;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const nap = new Promise((resolve) => {
    timer = setTimeout(resolve, woken ? ms : 1);
  });
  await Promise.race([nap, woken ?? nap]);
  clearTimeout(timer);
}
