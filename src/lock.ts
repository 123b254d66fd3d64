// The lock of a heap. Every public call that looks at bits takes it and gives it back on every way out. Hooks run without
// it, and so does what needs none: the walk, and the allocs of page caches.

import { PageAllocError } from "./errors.ts";
import {
  HEADER_FREED,
  HEADER_LOCK,
  HEADER_USED,
  HEADER_WANTED,
  LOCK_HELD,
  LOCK_OWNER_SHIFT,
  LOCK_WAITED,
} from "./layout.ts";
import type { Memory } from "./memory.ts";
import type { Region } from "./regions.ts";

/** What guards a heap's state. */
export interface Lock {
  /**
   * Takes the lock. Throws PageAllocError ERR_LOCKED when another call of this heap object has it, or others have it for
   * longer than this thread may wait, and ERR_DISPOSED when there is no heap any more.
   */
  acquire(): void;
  /** Gives the lock back. */
  release(): void;
  /**
   * Runs `work`, on which others rely, with the lock held, and tries for it as a thread that may block does. If it is not
   * to be had, throws PageAllocError ERR_LOCKED, and the next call that has it first does `late`, or else `work`.
   */
  finish(work: () => void, late?: () => void): void;
  /**
   * If a thread has had to wait for the lock, leaves it to others for 20 µs, busily: for who takes it over and over, and is
   * in no hurry. Does nothing where `whenFree` has the lock already.
   */
  giveWay(): void;
  /** Takes the lock, also from `owner`, which has died. Wakes all who wait, since `owner` may have been about to. */
  seize(owner: number): void;
  /** Runs `work`, whose first call finds the lock taken, once it is to be had. */
  whenFree<T>(work: () => T): Promise<T>;
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
    if (this.#swap(LOCK_HELD))
      throw new PageAllocError("ERR_LOCKED", "another call is in the heap; let it return first");
  }

  release(): void {
    this.#swap(0);
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
      this.release();
    }
  }

  async whenFree<T>(work: () => T): Promise<T> {
    return work();
  }

  /** Writes the lock's word. Returns what it was. */
  #swap(value: number): number {
    const word = (this.#region.at + HEADER_LOCK) >>> 2;
    const was = this.#memory.i32[word];
    this.#memory.i32[word] = value;
    return was;
  }
}

/** How often a thread looks whether the lock is free before it blocks: for longer than most calls take. */
const SPINS = 2000;
/**
 * How long a thread in no hurry leaves the lock to others, in ms: not just until one has had it, as the calls after that
 * find all that they need in their own core's cache. Then fewer than 1 call in 100 has to wait.
 */
const GIVE_WAY_MS = 0.02;
/** How long a thread that may not block tries to get the lock, in ms. */
const SPIN_MS = 2;
/** How long a thread waits before it looks again, in ms: whoever should have woken it may have died. */
const NAP_MS = 500;

/**
 * The lock of a shared heap: the mutex of Ulrich Drepper's "Futexes Are Tricky" (its third), with the owner's number in
 * the word, so that one compare-exchange takes the lock and says who has it. Whoever has waited takes it as waited for, as
 * there may be others.
 */
export class SharedLock implements Lock {
  readonly #memory: Memory;
  readonly #region: Region;
  readonly #owner: number;
  readonly #timeoutMs: number;
  /** What the lock's word says when this object holds it, and nobody may be waiting. */
  readonly #held: number;
  /** The same when others may be waiting. */
  readonly #waited: number;
  /** Indices of the lock's word, of HEADER_WANTED and of HEADER_FREED; a shared heap is never moved. */
  readonly #word: number;
  readonly #wanted: number;
  readonly #freed: number;
  /** Whether the lock has been taken for the next call. */
  #granted = false;
  /** What `finish` has had to leave. */
  readonly #left: Array<() => void> = [];

  constructor(memory: Memory, region: Region, owner: number, timeoutMs: number) {
    this.#memory = memory;
    this.#region = region;
    this.#owner = owner;
    this.#held = (owner << LOCK_OWNER_SHIFT) | LOCK_HELD;
    this.#waited = (owner << LOCK_OWNER_SHIFT) | LOCK_WAITED;
    this.#timeoutMs = timeoutMs;
    this.#word = (region.at + HEADER_LOCK) >>> 2;
    this.#wanted = (region.at + HEADER_WANTED) >>> 2;
    this.#freed = (region.at + HEADER_FREED) >>> 2;
  }

  acquire(): void {
    this.#take(false);
    if (this.#left.length) this.#doLeft();
  }

  release(): void {
    const { i32 } = this.#memory;
    if (Atomics.exchange(i32, this.#word, 0) & LOCK_WAITED) this.#wake(1);
  }

  finish(work: () => void, late = work): void {
    try {
      this.#take(true);
    } catch (error) {
      this.#left.push(late);
      throw error;
    }
    this.#left.push(work);
    this.#doLeft();
    this.release();
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

  /** Takes the lock, and sees all of the heap. */
  #take(patient: boolean): void {
    const { at } = this.#region;
    if (!at) throw disposed();
    const memory = this.#memory;
    if (this.#granted) this.#granted = false;
    else if (Atomics.compareExchange(memory.i32, this.#word, 0, this.#held)) this.#wait(patient);
    // Others may have grown the memory, and the heap into it.
    if (at + memory.i32[(at + HEADER_USED) >>> 2] > memory.size) memory.refresh();
  }

  /** Does what `finish` has had to leave. */
  #doLeft(): void {
    try {
      while (this.#left.length) this.#left.shift()?.();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Wakes as many as that of the threads that block, and all that wait without blocking, each for itself. */
  #wake(count: number): void {
    const { i32 } = this.#memory;
    Atomics.notify(i32, this.#word, count);
    Atomics.add(i32, this.#freed, 1);
    Atomics.notify(i32, this.#freed);
  }

  /** Takes the lock, which was held. */
  #wait(patient: boolean): void {
    const { i32 } = this.#memory;
    i32[this.#wanted] = 1;
    for (let spin = 0; spin < SPINS; spin++) {
      const free = Atomics.load(i32, this.#word) === 0;
      if (free && !Atomics.compareExchange(i32, this.#word, 0, this.#held)) return;
    }
    const start = performance.now();
    const blocks = mayBlock();
    const most = blocks || patient ? this.#timeoutMs : Math.min(SPIN_MS, this.#timeoutMs);
    for (let seen = this.#try(); seen; seen = this.#try()) {
      const left = start + most - performance.now();
      if (left <= 0) throw blocks ? this.#tooLong(seen) : inUse();
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
      const waited = (ownerIn(seen) << LOCK_OWNER_SHIFT) | LOCK_WAITED;
      if (seen === waited || Atomics.compareExchange(i32, word, seen, waited) === seen) return waited;
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
  return word >>> LOCK_OWNER_SHIFT;
}

/** What `mayBlock` has found out. */
let blocking: boolean | undefined;

/** Whether this thread may block: a page's main thread may not. */
function mayBlock(): boolean {
  if (blocking === undefined) {
    try {
      // Waits for nothing, as the word is not 1.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
      blocking = true;
    } catch {
      blocking = false;
    }
  }
  return blocking;
}

/** Waits until the word is woken, or is not `seen` any more, or for that many ms. */
async function waitAsync(i32: Int32Array, word: number, seen: number, ms: number): Promise<void> {
  // Node ends a process in which only an Atomics.waitAsync is left, but not one with a timer. Some runtimes lack it.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const nap = new Promise((resolve) => {
    timer = setTimeout(resolve, "waitAsync" in Atomics ? ms : 1);
  });
  await Promise.race([nap, "waitAsync" in Atomics ? Atomics.waitAsync(i32, word, seen, ms).value : nap]);
  clearTimeout(timer);
}

/** The error for a lock that is not to be had, in a thread that may not block. */
function inUse(): PageAllocError {
  const message =
    "the heap is in use elsewhere, and this thread may not block; use callAsync, allocAsync, freeAsync or scavengeAsync, " +
    "or a worker";
  return new PageAllocError("ERR_LOCKED", message);
}

/** The error for any use of a heap after `dispose`. */
export function disposed(): PageAllocError {
  return new PageAllocError("ERR_DISPOSED", "the heap has been disposed of");
}
