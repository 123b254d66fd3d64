// The lock of a heap. Every public call that reads bits takes it, and releases it however the call ends. Hooks, the
// scavenger's walk and the allocs of page caches run without it.

import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import type { Memory, Region } from "../engine/memory.ts";
import { disposed, type State } from "../store/state.ts";

/** Work that waits for the lock, as a list. */
export interface Pending {
  /** Does the work. Caller must hold the lock. */
  readonly work: () => void;
  next: Pending | undefined;
}

/** What guards a heap's state. */
export interface Lock {
  /** Work that `finish` could not do without the lock or with a full stack. The next call to take the lock does it. */
  pending: Pending | undefined;
  /**
   * Takes the lock, and mends the heap after an interrupted call. Throws PageAllocError ERR_LOCKED when another call of
   * this heap object has the lock, or another object has it for longer than this thread may wait; ERR_DISPOSED after
   * `dispose`; ERR_CORRUPT when the heap cannot be mended.
   */
  acquire(): void;
  /** Releases the lock. */
  release(): void;
  /**
   * Runs `work` with the lock held, for work that must not be lost: a thread that may not block tries for the lock as
   * long as any other. Throws what `acquire` and `work` throw.
   */
  finish(work: () => void): void;
  /**
   * Leaves the lock to others for 20 µs, in a busy loop, if a thread has had to wait for it. For callers that take the
   * lock over and over and are in no hurry. Does nothing if `whenFree` has taken the lock already.
   */
  giveWay(): void;
  /** Takes the lock, if need be from `owner`, which has died. Wakes all waiters, as `owner` may not have done so. */
  seize(owner: number): void;
  /** Waits for the lock without blocking, then runs `work`. The first call in `work` finds the lock taken for it. */
  whenFree<T>(work: () => T): Promise<T>;
}

/** What a lock guards. */
export interface Guarded extends State {
  /**
   * Mends the heap after an interrupted call, then does the pending work. Caller must hold the lock.
   */
  catchUp(): void;
}

/** The lock of a heap that one thread uses: a word in the header. The heap's region may move. */
export class LocalLock implements Lock {
  pending: Pending | undefined;
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
    if (i32[word + (layout.JOURNAL_OP - layout.HEADER_LOCK) / 4] || this.pending) {
      try {
        this.#state.catchUp();
      } catch (error) {
        // The stack may be too full even to enter catchUp.
        this.#memory.i32[(this.#region.at + layout.HEADER_LOCK) >>> 2] = 0;
        throw error;
      }
    }
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

/** How often a thread polls the lock before it blocks: for longer than most calls take. */
const SPINS = 2000;
/**
 * How long `giveWay` leaves the lock to others, in ms. That is enough for several calls, which find their data in their
 * own core's cache after the first. Then fewer than 1 call in 100 has to wait.
 */
const GIVE_WAY_MS = 0.02;
/** How long a thread that may not block polls the lock, in ms. */
const SPIN_MS = 2;
/** How long a thread sleeps before it looks again, in ms. The thread that should have woken it may have died. */
const NAP_MS = 500;

/** The message for a thread that may not block when the lock is taken. */
const MAY_NOT_BLOCK =
  "the heap is in use elsewhere, and this thread may not block; use callAsync, allocAsync, freeAsync or " +
  "scavengeAsync, or a worker";

/**
 * The lock of a shared heap: the third mutex in Ulrich Drepper's "Futexes Are Tricky", with the owner number in the
 * word. One compare-exchange takes the lock and says who has it. A thread that has waited marks the lock as waited for,
 * since there may be more waiters.
 */
export class SharedLock implements Lock {
  pending: Pending | undefined;
  readonly #state: Guarded;
  readonly #memory: Memory;
  readonly #region: Region;
  readonly #owner: number;
  readonly #timeoutMs: number;
  /** The lock's word when this object holds it and nobody waits. */
  readonly #held: number;
  /** The same when others may wait. */
  readonly #waited: number;
  /** Indices of the lock's word, HEADER_WANTED and HEADER_FREED. They are fixed, as a shared heap never moves. */
  readonly #word: number;
  readonly #wanted: number;
  readonly #freed: number;
  /** Whether `whenFree` or `seize` has taken the lock for the next call. */
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
        // The stack is full. Waiters look again by themselves within NAP_MS.
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
    // The dead worker may have written beyond the heap's recorded end.
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
      // `work` may not have asked for the lock.
      if (this.#granted) {
        this.#granted = false;
        this.release();
      }
    }
  }

  /** Takes the lock, and does what earlier calls have left. */
  #acquire(patient: boolean): void {
    this.#take(patient);
    const { i32 } = this.#memory;
    if (i32[this.#word + (layout.JOURNAL_OP - layout.HEADER_LOCK) / 4] || this.pending) {
      try {
        this.#state.catchUp();
      } catch (error) {
        Atomics.store(this.#memory.i32, this.#word, 0);
        throw error;
      }
    }
  }

  /** Takes the lock, and refreshes the views of memory if the heap has outgrown them. */
  #take(patient: boolean): void {
    const { at } = this.#region;
    if (!at) throw disposed();
    const memory = this.#memory;
    if (this.#granted) this.#granted = false;
    else if (Atomics.compareExchange(memory.i32, this.#word, 0, this.#held)) this.#wait(patient);
    // Another thread may have grown the memory, and the heap with it.
    try {
      if (at + (memory.i32[(at + layout.HEADER_USED) >>> 2] >>> 0) > memory.size) memory.refresh();
    } catch (error) {
      Atomics.store(memory.i32, this.#word, 0);
      throw error;
    }
  }

  /** Wakes up to `count` blocked threads, and all that wait without blocking. */
  #wake(count: number): void {
    const { i32 } = this.#memory;
    Atomics.notify(i32, this.#word, count);
    Atomics.add(i32, this.#freed, 1);
    Atomics.notify(i32, this.#freed);
  }

  /** Waits for the lock and takes it. */
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

  /** Takes the lock if it is free, and returns 0. Else marks it as waited for, and returns its word. */
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

  /** Reports whether this thread may block. A page's main thread may not. */
  #mayBlock(): boolean {
    try {
      // Returns at once, as the word is never -1.
      Atomics.wait(this.#memory.i32, this.#word, -1, 0);
      return true;
    } catch {
      return false;
    }
  }

  #tooLong(seen: number): PageAllocError {
    const owner = ownerIn(seen);
    const message =
      `the lock was not free for ${this.#timeoutMs} ms; owner ${owner} holds it. If its worker has ended, call ` +
      `recover(${owner}). If not, raise lockTimeoutMs`;
    return new PageAllocError("ERR_LOCKED", message);
  }
}

/** Returns the owner number in a lock's word. */
function ownerIn(word: number): number {
  return word >>> layout.LOCK_OWNER_SHIFT;
}

/** Waits up to `ms` ms until the word is notified or differs from `seen`. */
async function waitAsync(i32: Int32Array, word: number, seen: number, ms: number): Promise<void> {
  // Some runtimes lack waitAsync. The timer also keeps Node alive, which would exit with only this wait left.
  const woken = Atomics.waitAsync?.(i32, word, seen, ms).value;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const nap = new Promise((resolve) => {
    timer = setTimeout(resolve, woken ? ms : 1);
  });
  await Promise.race([nap, woken ?? nap]);
  clearTimeout(timer);
}
