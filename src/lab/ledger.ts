// Keeps account of a heap's pages over time: what is in use, free or released, what was touched again, and what the
// pages of other systems would hold.

import { Ranges } from "../trace/ranges.ts";
import type { Observer } from "../trace/replay/observer.ts";
import { Groups } from "./groups.ts";
import { indexOf, PageTable } from "./page-table.ts";
import { SMALL_PAGES, SmallGroups } from "./small-groups.ts";

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
  /** By bytes per page of a system that has larger pages than the heap. */
  readonly #groups = new Map<number, Groups>();
  readonly #allGroups: readonly Groups[];
  /** Those of up to 8 pages for which only trapped pages are counted. */
  readonly #small: SmallGroups | undefined;
  readonly #huge: Groups | undefined;
  /** Time up to which sums are known, and when they began. */
  #summed = 0;
  #start = 0;
  #wholeSum = 0;
  #rssHugeSum = 0;
  /** Bytes per page of the systems whose trapped pages #small counts, and then of those whose groups are here. */
  readonly #trapSizes: readonly number[];
  readonly #trapGroups: readonly Groups[];
  readonly #trappedSums = new Float64Array(TRAP_SIZES.length);
  /** By number of pages: for how long so many were retained. And since when the current number is. */
  readonly #held = new PageTable(Float64Array);
  #heldSince = 0;

  constructor(sizes: PageSizes) {
    this.#sizes = sizes;
    const { pageSize, physPageSize, physHugePageSize } = sizes;
    const larger = TRAP_SIZES.filter((size) => size > pageSize);
    const small = larger.filter((size) => size / pageSize <= SMALL_PAGES);
    const large = larger.filter((size) => size / pageSize > SMALL_PAGES);
    this.#small = small.length > 0 ? new SmallGroups(small.map((size) => size / pageSize)) : undefined;
    for (const size of new Set([...large, physPageSize, physHugePageSize])) {
      if (size > pageSize) this.#groups.set(size, new Groups(size / pageSize));
    }
    this.#allGroups = [...this.#groups.values()];
    this.#huge = this.#groups.get(physHugePageSize);
    this.#trapSizes = [...small, ...large];
    this.#trapGroups = large.map((size) => this.#groups.get(size) as Groups);
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
        this.#touchGroups(at, at + 1, -1);
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
    this.#sum();
    if (scavenged > 0) this.#touch(page, page + npages, scavenged);
    this.inUse += npages;
    this.lastFaulted = scavenged;
    this.#useGroups(page, page + npages, 1);
    this.changes?.push({ isTaken: true, page, npages, faulted: scavenged });
  }

  freed(page: number, npages: number): void {
    this.#sum();
    this.inUse -= npages;
    this.#since.fill(page, page + npages, this.time);
    this.#useGroups(page, page + npages, -1);
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
    this.#touchGroups(page, page + npages, -1);
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
    if (areAll) this.#touchGroups(start, end, 1);
    for (let page = start; page < end; page++) {
      const states = this.#state.partOf(page);
      const state = states[indexOf(page)];
      states[indexOf(page)] = TOUCHED;
      if (state === TOUCHED) continue;
      if (!areAll) this.#touchGroups(page, page + 1, 1);
      if (state === UNTOUCHED) {
        this.firstTouched++;
      } else {
        this.refaulted++;
        this.#delay += this.time - this.#since.get(page);
      }
    }
  }

  // The kinds of groups have a call each. One for both could not be inlined, and would take twice as long.

  #useGroups(start: number, end: number, sign: 1 | -1): void {
    this.#small?.use(start, end, sign);
    for (const groups of this.#allGroups) groups.use(start, end, sign);
  }

  #touchGroups(start: number, end: number, sign: 1 | -1): void {
    this.#small?.touch(start, end, sign);
    for (const groups of this.#allGroups) groups.touch(start, end, sign);
  }

  /** Adds to the sums over time, before one of the numbers changes. */
  #sum(): void {
    const ns = this.time - this.#summed;
    if (ns === 0) return;
    this.#summed = this.time;
    const huge = this.#huge;
    if (huge) {
      this.#wholeSum += ns * huge.whole;
      this.#rssHugeSum += ns * huge.touched;
    }
    const sums = this.#trappedSums;
    let i = 0;
    if (this.#small) {
      const { trapped } = this.#small;
      for (; i < trapped.length; i++) sums[i] += ns * trapped[i];
    }
    for (const groups of this.#trapGroups) sums[i++] += ns * groups.trapped;
  }

  /** Notes for how long so many pages were retained, before that changes. */
  #beforeRetained(): void {
    this.#sum();
    const ns = this.time - this.#heldSince;
    if (ns === 0) return;
    this.#heldSince = this.time;
    const { retained } = this;
    this.#held.partOf(retained)[indexOf(retained)] += ns;
  }

  /** Returns the account up to a time, in bytes. */
  close(time: number): LedgerReport {
    this.time = time;
    this.#beforeRetained();
    const { pageSize, physPageSize } = this.#sizes;
    const ns = time - this.#start;
    const bytes = (pages: number) => pages * pageSize;
    // All at one time: what holds then is the mean.
    const mean = (sum: number, now: number) => (ns > 0 ? sum / ns : now);
    const huge = this.#huge;
    const phys = this.#groups.get(physPageSize);
    const perPage = pageSize / physPageSize;
    const { sum, at } = this.#retainedOver(ns);
    const retained = bytes(mean(sum, this.retained));
    const trapped: Record<number, number> = Object.fromEntries(TRAP_SIZES.map((size) => [size, 0]));
    const counts = [...(this.#small?.trapped ?? []), ...this.#trapGroups.map((groups) => groups.trapped)];
    this.#trapSizes.forEach((size, i) => {
      trapped[size] = bytes(mean(this.#trappedSums[i], counts[i]));
    });
    return {
      retainedMeanBytes: retained,
      retainedP50Bytes: bytes(at(0.5)),
      retainedP99Bytes: bytes(at(0.99)),
      retainedByteSeconds: bytes(sum) / 1e9,
      releasedBytes: bytes(this.releasedEver),
      releaseCalls: this.releaseCalls,
      refaultedBytes: bytes(this.refaulted),
      refaultDelayMeanNs: this.refaulted > 0 ? this.#delay / this.refaulted : Number.NaN,
      firstFaults: phys ? phys.firstFaults : this.firstTouched * perPage,
      refaults: phys ? phys.refaults : this.refaulted * perPage,
      hugePagesWholeMean: huge ? mean(this.#wholeSum, huge.whole) : 0,
      hugePagesBroken: this.#broken,
      rssHugeMeanBytes: huge ? bytes(mean(this.#rssHugeSum, huge.touched) * huge.pages) : retained,
      trappedMeanBytes: trapped,
    };
  }

  /** Returns the integral over so many ns of the pages that were retained, and percentiles of their number. */
  #retainedOver(ns: number): { sum: number; at(share: number): number } {
    const held = this.#held.parts();
    let sum = 0;
    for (const [first, times] of held) {
      for (let i = 0; i < times.length; i++) sum += (first + i) * times[i];
    }
    const at = (share: number) => {
      let time = 0;
      for (const [first, times] of held) {
        for (let i = 0; i < times.length; i++) {
          time += times[i];
          if (times[i] > 0 && time >= share * ns) return first + i;
        }
      }
      return this.retained;
    };
    return { sum, at };
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
