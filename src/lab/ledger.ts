// Keeps account of a heap's pages over time: what is in use, free or released, what was touched again, and what the
// pages of other systems would hold.

import { Ranges } from "../trace/ranges.ts";
import type { Observer } from "../trace/replay/observer.ts";
import { Groups } from "./groups.ts";
import { indexOf, PageTable } from "./page-table.ts";

/** States of a page: not mapped or never touched; released; in use, or free and not released. */
const UNTOUCHED = 0;
const RELEASED = 1;
const TOUCHED = 2;

/** Bytes per page of the systems for which trapped pages are counted. */
const TRAP_SIZES = [2 ** 14, 2 ** 16, 2 ** 21] as const;

/** Sizes of pages, in bytes. */
export interface PageSizes {
  readonly pageSize: number;
  readonly physPageSize: number;
  /** 0 for none. */
  readonly physHugePageSize: number;
}

/** A change of pages: taken, or freed. */
export interface Change {
  readonly isTaken: boolean;
  readonly page: number;
  readonly npages: number;
  /** Pages of it that were released or never touched. */
  readonly faulted: number;
}

/** The account of one heap. It counts in pages of the heap. Times are in ns. */
export class Ledger implements Observer {
  time = 0;
  stopsAfterGrowth = false;
  grown = 0;
  /** In use; free, and released or never touched; mapped. */
  inUse = 0;
  released = 0;
  sys = 0;
  /** Pages of the latest allocation that were released or never touched. 0 if the heap has grown since. */
  lastFaulted = 0;
  /** Pages touched for the first time, and touched again after a release; and how long those were released, in all. */
  firstTouched = 0;
  refaulted = 0;
  #delay = 0;
  /** Runs that were released, and their pages. */
  releaseCalls = 0;
  releasedEver = 0;
  /** Releases that have left a huge page, which was whole, in parts. */
  #broken = 0;
  /** Where changes are noted for those who listen, if any does. */
  changes: Change[] | undefined;
  readonly #sizes: PageSizes;
  readonly #mapped = new Ranges();
  readonly #state = new PageTable(Uint8Array);
  /** Of free pages: when they were freed or released. */
  readonly #since = new PageTable(Float64Array);
  /** By bytes per page of a system that has larger pages than the heap. Empty without details. */
  readonly #groups = new Map<number, Groups>();
  readonly #allGroups: readonly Groups[];
  readonly #huge: Groups | undefined;
  /** Whether means and percentiles are kept. */
  readonly #details: boolean;
  /** Time up to which sums are known, and when they began. */
  #summed = 0;
  #start = 0;
  #retainedSum = 0;
  #wholeSum = 0;
  #rssHugeSum = 0;
  /** Groups of the sizes for which trapped pages are counted; undefined if those are no larger than the heap's. */
  readonly #traps: ReadonlyArray<Groups | undefined>;
  readonly #trappedSums = new Float64Array(TRAP_SIZES.length);
  /** By number of pages: for how long so many were retained. And since when the current number is. */
  readonly #held = new PageTable(Float64Array);
  #heldSince = 0;

  /** @param details whether to keep what takes time for each event */
  constructor(sizes: PageSizes, details: boolean) {
    this.#sizes = sizes;
    this.#details = details;
    const { pageSize, physPageSize, physHugePageSize } = sizes;
    const wanted = [...(details ? TRAP_SIZES : []), physPageSize, physHugePageSize];
    for (const size of wanted) if (size > pageSize) this.#groups.set(size, new Groups(size / pageSize));
    this.#allGroups = [...this.#groups.values()];
    this.#huge = this.#groups.get(physHugePageSize);
    this.#traps = TRAP_SIZES.map((size) => this.#groups.get(size));
  }

  /** Pages in use, or free and not released. */
  get retained(): number {
    return this.sys - this.released;
  }

  /** Begins at a time. */
  begin(time: number): void {
    this.time = time;
    this.#start = time;
    this.#summed = time;
    this.#heldSince = time;
  }

  mapped(page: number, npages: number): void {
    this.grown += npages;
    this.lastFaulted = 0;
    this.#mapped.add(page, page + npages);
    this.sys += npages;
    this.released += npages;
  }

  unmapped(page: number, npages: number): void {
    this.#beforeRetained();
    for (let at = page; at < page + npages; at++) {
      if (this.#state.get(at) === TOUCHED) {
        for (const groups of this.#allGroups) groups.touch(at, at + 1, -1);
      } else {
        this.released--;
      }
    }
    this.#state.fill(page, page + npages, UNTOUCHED);
    for (const groups of this.#allGroups) groups.forget(page, page + npages);
    this.sys -= npages;
    this.#mapped.remove(page, page + npages);
  }

  taken(page: number, npages: number, scavenged: number): void {
    if (this.#details) this.#sum();
    if (scavenged > 0) this.#touch(page, page + npages, scavenged);
    this.inUse += npages;
    this.lastFaulted = scavenged;
    for (const groups of this.#allGroups) groups.use(page, page + npages, 1);
    this.changes?.push({ isTaken: true, page, npages, faulted: scavenged });
  }

  freed(page: number, npages: number): void {
    if (this.#details) this.#sum();
    this.inUse -= npages;
    this.#since.fill(page, page + npages, this.time);
    for (const groups of this.#allGroups) groups.use(page, page + npages, -1);
    this.changes?.push({ isTaken: false, page, npages, faulted: 0 });
  }

  /** Counts a run of free and touched pages as released. */
  releasedRun(page: number, npages: number): void {
    this.#beforeRetained();
    this.#state.fill(page, page + npages, RELEASED);
    this.#since.fill(page, page + npages, this.time);
    this.released += npages;
    this.releasedEver += npages;
    this.releaseCalls++;
    const whole = this.#huge?.whole ?? 0;
    for (const groups of this.#allGroups) groups.touch(page, page + npages, -1);
    this.#broken += whole - (this.#huge?.whole ?? 0);
  }

  /** Returns when one of free pages was freed last. */
  freedAt(page: number, npages: number): number {
    let latest = -Infinity;
    for (let at = page; at < page + npages; at++) latest = Math.max(latest, this.#since.get(at));
    return latest;
  }

  /** Returns what is in each huge page that has a touched page, lowest first, in pages of the heap. */
  *hugePages(): IterableIterator<{ page: number; inUse: number; touched: number; mapped: number }> {
    if (!this.#huge) return;
    const { pages } = this.#huge;
    for (const { group, inUse, touched } of this.#huge.counts()) {
      const page = group * pages;
      const parts = this.#mapped.parts(page, page + pages);
      yield { page, inUse, touched, mapped: parts.reduce((sum, [start, end]) => sum + end - start, 0) };
    }
  }

  /** Counts pages of which so many were not touched. */
  #touch(start: number, end: number, untouched: number): void {
    this.#beforeRetained();
    this.released -= untouched;
    const areAll = untouched === end - start;
    if (areAll) for (const groups of this.#allGroups) groups.touch(start, end, 1);
    for (let page = start; page < end; page++) {
      const states = this.#state.partOf(page);
      const state = states[indexOf(page)];
      states[indexOf(page)] = TOUCHED;
      if (state === TOUCHED) continue;
      if (!areAll) for (const groups of this.#allGroups) groups.touch(page, page + 1, 1);
      if (state === UNTOUCHED) {
        this.firstTouched++;
      } else {
        this.refaulted++;
        this.#delay += this.time - this.#since.get(page);
      }
    }
  }

  /** Adds to the sums over time, before one of the numbers changes. */
  #sum(): void {
    const ns = this.time - this.#summed;
    if (ns === 0) return;
    this.#summed = this.time;
    this.#retainedSum += ns * (this.sys - this.released);
    if (this.#huge) {
      this.#wholeSum += ns * this.#huge.whole;
      this.#rssHugeSum += ns * this.#huge.touched * this.#huge.pages;
    }
    for (let i = 0; i < TRAP_SIZES.length; i++) {
      const groups = this.#traps[i];
      if (groups) this.#trappedSums[i] += ns * groups.trapped;
    }
  }

  /** Notes for how long so many pages were retained, before that changes. */
  #beforeRetained(): void {
    if (!this.#details) return;
    this.#sum();
    const ns = this.time - this.#heldSince;
    if (ns === 0) return;
    this.#heldSince = this.time;
    const { retained } = this;
    this.#held.partOf(retained)[indexOf(retained)] += ns;
  }

  /** Returns the account up to a time, in bytes. What needs details is NaN without them. */
  close(time: number): LedgerReport {
    this.time = time;
    this.#beforeRetained();
    const { pageSize, physPageSize } = this.#sizes;
    const ns = time - this.#start;
    const bytes = (pages: number) => pages * pageSize;
    const isKept = this.#details;
    const mean = (sum: number, now: number) => (isKept ? (ns > 0 ? sum / ns : now) : Number.NaN);
    const huge = this.#huge;
    const phys = this.#groups.get(physPageSize);
    const perPage = pageSize / physPageSize;
    const [p50, p99] = this.#percentiles([0.5, 0.99], ns);
    const trapped: Record<number, number> = {};
    TRAP_SIZES.forEach((size, i) => {
      trapped[size] = bytes(mean(this.#trappedSums[i], this.#traps[i]?.trapped ?? 0));
    });
    return {
      retainedMeanBytes: bytes(mean(this.#retainedSum, this.retained)),
      retainedP50Bytes: bytes(p50),
      retainedP99Bytes: bytes(p99),
      retainedByteSeconds: isKept ? bytes(this.#retainedSum) / 1e9 : Number.NaN,
      releasedBytes: bytes(this.releasedEver),
      releaseCalls: this.releaseCalls,
      refaultedBytes: bytes(this.refaulted),
      refaultDelayMeanNs: this.refaulted > 0 ? this.#delay / this.refaulted : Number.NaN,
      firstFaults: phys ? phys.firstFaults : this.firstTouched * perPage,
      refaults: phys ? phys.refaults : this.refaulted * perPage,
      hugePagesWholeMean: mean(this.#wholeSum, huge?.whole ?? 0),
      hugePagesBroken: isKept ? this.#broken : Number.NaN,
      rssHugeMeanBytes: bytes(
        huge ? mean(this.#rssHugeSum, huge.touched * huge.pages) : mean(this.#retainedSum, this.retained),
      ),
      trappedMeanBytes: trapped,
    };
  }

  /** Returns numbers of retained pages: each such that no more were retained for these shares of the time. */
  #percentiles(shares: readonly number[], ns: number): number[] {
    if (!this.#details) return shares.map(() => Number.NaN);
    return shares.map((share) => {
      let sum = 0;
      for (const [first, times] of this.#held.parts()) {
        for (let i = 0; i < times.length; i++) {
          sum += times[i];
          if (times[i] > 0 && sum >= share * ns) return first + i;
        }
      }
      return this.retained;
    });
  }
}

/** The account of a heap. Means and percentiles are over time. */
export interface LedgerReport {
  /** Bytes in use, or free and not released. */
  retainedMeanBytes: number;
  retainedP50Bytes: number;
  retainedP99Bytes: number;
  /** Their integral over time. */
  retainedByteSeconds: number;
  /** Bytes that were released, and runs: each is one call of the system. */
  releasedBytes: number;
  releaseCalls: number;
  /** Bytes of them that were touched again, and for how long those had been released, on average. NaN if none were. */
  refaultedBytes: number;
  refaultDelayMeanNs: number;
  /** Pages of the system that were touched for the first time, and again after a release. */
  firstFaults: number;
  refaults: number;
  /** Huge pages of which all is retained, and something is in use. 0 if the system has none. */
  hugePagesWholeMean: number;
  /** Releases that have left such a huge page in parts. */
  hugePagesBroken: number;
  /** Bytes retained if the system gave a whole huge page for the first touched byte of each. */
  rssHugeMeanBytes: number;
  /** Bytes that are free and not released, in pages of the system that have a page in use; by bytes per such page. */
  trappedMeanBytes: Record<number, number>;
}
