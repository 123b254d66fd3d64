// The policy of jemalloc: free pages may stay for some seconds, fewer of them by the age, along an S-shaped curve.

import { integer, readOptions, refuse } from "../../base/arguments.ts";
import type { Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";
import { Random } from "../random.ts";
import { releaseAtOnce } from "./simple.ts";

/** Steps of the curve, and intervals that the backlog remembers (SMOOTHSTEP_NSTEPS). */
const STEPS = 200;
/** The curve's weights are fixed-point numbers with so many binary places. */
const ONE = 2 ** 24;
/** Events from one look to the next, on average (ARENA_DECAY_NTICKS_PER_UPDATE). */
const LOOK_EVENTS = 1000;
/** How often the background thread looks. */
const LOOK_NS = 100e6;
const MS = 1e6;

/** Options of `jemalloc`. */
export interface JemallocOptions {
  /** opt.dirty_decay_ms: ms until all pages of a time are released; 0: at once; -1: never. Default: 10,000. */
  dirtyDecayMs?: number;
  /** opt.background_thread: a thread looks every 100 ms, not the program every 1,000 events. Default: false. */
  backgroundThread?: boolean;
  /** Of the random numbers: events between looks, jitter of epochs. 0 to 2^32 - 1. Default: 1. */
  seed?: number;
}

/**
 * The policy of jemalloc 5 (decay.c, pac.c, arena.c, at commit 295e489; muzzy_decay_ms is 0, as is the default). Pages
 * count as dirty while they are free and not released. Their number may not stay above what the curve allows those of
 * each age; then whole free runs are released, the one of the oldest last free first.
 *
 * An event of the trace counts as a call of the allocator. jemalloc counts those that its thread caches serve too, so
 * it looks more often than this. Left out: several arenas; where allocations go (jemalloc reuses dirty pages first; a
 * policy chooses releases alone); that the background thread sleeps longer when little is due, and releases between
 * ends of epochs too, which matters for decays of more than 10 s.
 *
 * Throws TypeError or RangeError.
 */
export function jemalloc(options: JemallocOptions = {}): Policy {
  const given = readOptions("options", options, ["dirtyDecayMs", "backgroundThread", "seed"]);
  const { dirtyDecayMs = 10_000, backgroundThread = false, seed = 1 } = given;
  integer("options.dirtyDecayMs", dirtyDecayMs, -1, 2 ** 31 - 1);
  if (typeof backgroundThread !== "boolean")
    refuse("options.backgroundThread", backgroundThread, "a boolean");
  integer("options.seed", seed, 0, 2 ** 32 - 1);
  const name = policyName("jemalloc", {
    dirtyDecayMs,
    backgroundThread: backgroundThread || undefined,
    seed: seed === 1 ? undefined : seed,
  });
  return {
    name,
    start(heap) {
      if (dirtyDecayMs === 0) releaseAtOnce(heap);
      else if (dirtyDecayMs > 0) decayOn(heap, dirtyDecayMs * MS, backgroundThread, new Random(seed));
    },
  };
}

/** Keeps the dirty pages of a heap under their limit. */
function decayOn(heap: PolicyHeap, decayNs: number, backgroundThread: boolean, random: Random): void {
  const decay = new Decay(decayNs, heap.now, (n) => random.below(n));
  const look = () => {
    if (heap.now < decay.deadline) return;
    const dirty = Math.floor(heap.freeBytes / heap.pageSize);
    const limit = decay.advance(heap.now, dirty);
    if (dirty > limit) releaseOldest(heap, (dirty - limit) * heap.pageSize);
  };
  if (backgroundThread) {
    const run = () => {
      look();
      heap.wakeAt(heap.now + LOOK_NS, run);
    };
    heap.wakeAt(heap.now + LOOK_NS, run);
    return;
  }
  let left = eventsToLook(random.next());
  const count = () => {
    if (--left > 0) return;
    left = eventsToLook(random.next());
    look();
  };
  heap.onAlloc(count);
  heap.onFree(count);
}

/** Releases whole free runs, the one of the oldest last free first, until there are `nbytes`. */
function releaseOldest(heap: PolicyHeap, nbytes: number): void {
  let left = nbytes;
  for (const run of heap.freeRuns().sort((a, b) => a.freedAt - b.freedAt)) {
    if (left <= 0) return;
    left -= heap.release(run.base, run.nbytes);
  }
}

/**
 * Returns the events from one look to the next: each event is a look with the same probability, one in 1,000.
 *
 * @param uniform a random number from 0 to less than 1
 */
export function eventsToLook(uniform: number): number {
  return Math.max(1, Math.ceil(Math.log(1 - uniform) / Math.log(1 - 1 / LOOK_EVENTS)));
}

/**
 * Returns what part of pages may still be dirty at each age, oldest first, in units of 2^-24: 6x^5 - 15x^4 + 10x^3
 * for x = 1/200, 2/200 ... 1, rounded down.
 */
export function decayWeights(): Float64Array {
  // With x = k/200, and 200^5 = 2^15 5^10, this is exact: the numerator is an integer below 2^53.
  return Float64Array.from({ length: STEPS }, (_, i) => {
    const k = i + 1;
    return Math.floor(
      ((ONE / 2 ** 15) * k ** 3 * (6 * k * k - 15 * STEPS * k + 10 * STEPS * STEPS)) / 5 ** 10,
    );
  });
}

const WEIGHTS = decayWeights();

/** How many pages may be dirty, from how many became so in each of the last 200 intervals (decay.c). Times in ns. */
export class Decay {
  /** When the epoch ends: the first look after it calls `advance`. */
  deadline = 0;
  readonly #interval: number;
  readonly #jitter: (n: number) => number;
  /** Pages that became dirty in each interval, oldest first. */
  readonly #backlog = new Float64Array(STEPS);
  #epoch: number;
  /** Dirty pages when the epoch began, or the limit if that was more. */
  #unpurged = 0;

  /**
   * @param decayNs how long pages may stay
   * @param jitter returns a random integer from 0 to less than `n`, by which an epoch is longer
   */
  constructor(decayNs: number, now: number, jitter: (n: number) => number) {
    this.#interval = decayNs / STEPS;
    this.#jitter = jitter;
    this.#epoch = now;
    this.#schedule();
  }

  /** Begins an epoch, with so many pages dirty, and returns how many may be. */
  advance(now: number, dirty: number): number {
    const passed = Math.floor((now - this.#epoch) / this.#interval);
    this.#epoch += passed * this.#interval;
    this.#schedule();
    const backlog = this.#backlog;
    backlog.copyWithin(0, passed);
    backlog.fill(0, Math.max(0, STEPS - passed));
    backlog[STEPS - 1] = Math.max(0, dirty - this.#unpurged);
    let sum = 0;
    for (let i = 0; i < STEPS; i++) sum += backlog[i] * WEIGHTS[i];
    const limit = Math.floor(sum / ONE);
    this.#unpurged = Math.max(limit, dirty);
    return limit;
  }

  #schedule(): void {
    this.deadline = this.#epoch + this.#interval + this.#jitter(this.#interval);
  }
}
