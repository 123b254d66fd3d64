// The policy of tcmalloc: a thread releases so many bytes a second, whole huge pages first, and breaks others only as
// far as the demand of the last minutes allows.

import { readOptions, refuse } from "../../base/arguments.ts";
import type { HugePage, Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";

const SECOND = 1e9;
/** How often the thread runs. */
const PERIOD_NS = SECOND;
/** Length of an epoch, and how many of them count for the peak, for the trend and for the fluctuation. */
const EPOCH_NS = SECOND;
const PEAK_EPOCHS = 600;
const TREND_EPOCHS = 300;
const FLUCTUATION_EPOCHS = 60;

/** Options of `tcmalloc`. */
export interface TcmallocOptions {
  /** The background release rate; a number of 0 or more. Default: 0, which releases nothing, as in tcmalloc. */
  bytesPerSecond?: number;
  /** Whether huge pages that are in use in part are broken. Default: true. */
  subrelease?: boolean;
}

/**
 * The policy of Google's tcmalloc (background.cc, huge_page_filler.h, huge_page_subrelease.h, at commit fce3f55). A
 * thread wakes each second and releases what the rate has come to. What it released too much counts for the next
 * times; what it did not find is forgotten. First go huge pages without a page in use. Then, with `subrelease`, the
 * free pages of others: those that are broken already before those that are whole, those with the fewest bytes in use
 * first. Of these it does not take what the demand of the last minutes may want back.
 *
 * Demand is the bytes in use of the whole heap. Memory that was never touched makes a huge page a broken one. Left out:
 * separate fillers for sparse and dense spans; the huge-page cache's own shrinking; limits of memory.
 *
 * Throws TypeError or RangeError. `start` throws RangeError if the system has no huge pages and the rate is not 0.
 */
export function tcmalloc(options: TcmallocOptions = {}): Policy {
  const given = readOptions("options", options, ["bytesPerSecond", "subrelease"]);
  const { bytesPerSecond = 0, subrelease = true } = given;
  if (!(Number.isFinite(bytesPerSecond) && bytesPerSecond >= 0)) {
    refuse("options.bytesPerSecond", bytesPerSecond, "a finite number of 0 or more", "number");
  }
  if (typeof subrelease !== "boolean") refuse("options.subrelease", subrelease, "a boolean");
  return {
    name: policyName("tcmalloc", { bytesPerSecond, subrelease: subrelease ? undefined : false }),
    start(heap) {
      if (bytesPerSecond > 0) releaseAtRate(heap, bytesPerSecond, subrelease);
    },
  };
}

/** Releases from a heap each second. */
function releaseAtRate(heap: PolicyHeap, bytesPerSecond: number, subrelease: boolean): void {
  if (heap.physHugePageSize === 0) {
    throw new RangeError("options.physHugePageSize must be above 0 for the policy tcmalloc, got 0");
  }
  const demand = new DemandHistory();
  const budget = new ReleaseBudget(bytesPerSecond, heap.now);
  if (subrelease) {
    const report = () => demand.report(heap.now, heap.inUseBytes);
    heap.onAlloc(report);
    heap.onFree(report);
  }
  const run = () => {
    const wanted = budget.wanted(heap.now);
    if (wanted > 0) budget.spend(wanted, release(heap, wanted, subrelease ? demand : undefined));
    heap.wakeAt(heap.now + PERIOD_NS, run);
  };
  heap.wakeAt(heap.now + PERIOD_NS, run);
}

/** Releases whole huge pages' free bytes until there are `nbytes`, and returns how many there were. */
function release(heap: PolicyHeap, nbytes: number, demand: DemandHistory | undefined): number {
  if (heap.freeBytes === 0) return 0;
  const candidates = heap.hugePages().filter((page) => page.freeBytes > 0);
  const unused = candidates.filter((page) => page.inUseBytes === 0);
  const released = releaseEach(heap, unused, nbytes);
  if (!demand || released >= nbytes) return released;
  const spare = heap.inUseBytes + heap.freeBytes - demand.required(heap.now);
  const used = candidates.filter((page) => page.inUseBytes > 0).sort(subreleaseOrder);
  return released + releaseEach(heap, used, Math.min(nbytes - released, spare));
}

/** Releases all of one huge page after the other, until there are `nbytes`. Returns how many there were. */
function releaseEach(heap: PolicyHeap, pages: readonly HugePage[], nbytes: number): number {
  let released = 0;
  for (const page of pages) {
    if (released >= nbytes) break;
    released += heap.release(page.base, heap.physHugePageSize);
  }
  return released;
}

/** Orders huge pages in use: the broken ones first, then by bytes in use. */
export function subreleaseOrder(a: HugePage, b: HugePage): number {
  return Number(a.releasedBytes === 0) - Number(b.releasedBytes === 0) || a.inUseBytes - b.inUseBytes;
}

/** How many bytes the rate has come to. Times in ns. */
export class ReleaseBudget {
  readonly #bytesPerSecond: number;
  #last: number;
  #credit = 0;

  constructor(bytesPerSecond: number, now: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#last = now;
  }

  /** Returns how many bytes to release for the time since it was last asked. Uses up what was too much before. */
  wanted(now: number): number {
    const due = (this.#bytesPerSecond * (now - this.#last)) / SECOND;
    this.#last = now;
    const covered = Math.min(due, this.#credit);
    this.#credit -= covered;
    return due - covered;
  }

  /** Notes how many bytes were released, when so many were wanted. */
  spend(wanted: number, released: number): void {
    this.#credit = Math.max(0, released - wanted);
  }
}

/** The least and most demand in each epoch of the last 10 minutes. Epochs without a report do not count. */
export class DemandHistory {
  /** At the epoch's number modulo their count: the number, and the two demands. */
  readonly #epochs = new Float64Array(PEAK_EPOCHS).fill(-Infinity);
  readonly #least = new Float64Array(PEAK_EPOCHS);
  readonly #most = new Float64Array(PEAK_EPOCHS);

  /** Notes the demand, in bytes, at a time in ns, 0 or more. Times do not decrease. */
  report(now: number, demand: number): void {
    const epoch = Math.floor(now / EPOCH_NS);
    const slot = epoch % PEAK_EPOCHS;
    if (this.#epochs[slot] !== epoch) {
      this.#epochs[slot] = epoch;
      this.#least[slot] = demand;
      this.#most[slot] = demand;
    } else if (demand < this.#least[slot]) {
      this.#least[slot] = demand;
    } else if (demand > this.#most[slot]) {
      this.#most[slot] = demand;
    }
  }

  /**
   * Returns how many bytes the program may soon want: the most that it fluctuated in an epoch of the last 60 s, and on
   * top of the largest least demand of the last 300 s; but no more than the peak of the last 10 minutes.
   */
  required(now: number): number {
    const current = Math.floor(now / EPOCH_NS);
    let peak = 0;
    let trend = 0;
    let fluctuation = 0;
    for (let slot = 0; slot < PEAK_EPOCHS; slot++) {
      const age = current - this.#epochs[slot];
      if (age >= PEAK_EPOCHS) continue;
      const most = this.#most[slot];
      const least = this.#least[slot];
      peak = Math.max(peak, most);
      if (age < TREND_EPOCHS) trend = Math.max(trend, least);
      if (age < FLUCTUATION_EPOCHS) fluctuation = Math.max(fluctuation, most - least);
    }
    return Math.min(peak, trend + fluctuation);
  }
}
