// The heap of a simulation as a policy sees it, without a simulation: a list of pages, and a clock that a test sets.
import type { FreeRun, GcCycle, HugePage, Policy, PolicyHeap } from "../../src/lab/policy.ts";

export type PageState = "in use" | "free" | "released";

export interface Page {
  state: PageState;
  /** When it was freed last. */
  freedAt: number;
}

/** A run that was released: time, first page, pages. */
export type Release = [time: number, page: number, npages: number];

export interface FakeOptions {
  pages: number;
  /** Address of the first page. */
  base?: number;
  pageSize?: number;
  physPageSize?: number;
  physHugePageSize?: number;
  memoryLimit?: number;
}

interface WakeUp {
  time: number;
  wake: () => void;
}

export class FakePolicyHeap implements PolicyHeap {
  readonly pages: Page[];
  readonly base: number;
  readonly pageSize: number;
  readonly physPageSize: number;
  readonly physHugePageSize: number;
  readonly memoryLimit: number;
  now = 0;
  /** What was released, in order. */
  readonly releases: Release[] = [];
  /** How often the policy asked for lists that are slow to make. */
  lists = 0;
  #wakeUps: WakeUp[] = [];
  readonly #seen = {
    alloc: [] as ((base: number, nbytes: number, faultedBytes: number) => void)[],
    free: [] as ((base: number, nbytes: number) => void)[],
  };

  constructor(options: FakeOptions) {
    this.pages = Array.from({ length: options.pages }, () => ({ state: "released", freedAt: NaN }));
    this.base = options.base ?? 2 ** 30;
    this.pageSize = options.pageSize ?? 8192;
    this.physPageSize = options.physPageSize ?? 4096;
    this.physHugePageSize = options.physHugePageSize ?? 2 ** 21;
    this.memoryLimit = options.memoryLimit ?? Infinity;
  }

  /** Allocates pages at a time, which is that of the first event, or later than the last one's. */
  alloc(time: number, page: number, npages: number): void {
    this.#event(time, () => {
      const taken = this.#take(page, npages, "in use");
      const faulted = taken.filter((state) => state === "released").length;
      for (const seen of this.#seen.alloc) {
        seen(this.addressOf(page), npages * this.pageSize, faulted * this.pageSize);
      }
    });
  }

  free(time: number, page: number, npages: number): void {
    this.#event(time, () => {
      this.#take(page, npages, "free");
      for (const each of this.pages.slice(page, page + npages)) each.freedAt = time;
      for (const seen of this.#seen.free) seen(this.addressOf(page), npages * this.pageSize);
    });
  }

  /** Lets time pass. */
  idle(until: number): void {
    this.#wakeAllBefore(until + 1);
    this.now = until;
  }

  /** Starts a policy, and returns the heap. */
  with(policy: Policy): this {
    policy.start(this);
    return this;
  }

  addressOf(page: number): number {
    return this.base + page * this.pageSize;
  }

  get inUseBytes(): number {
    return this.#count("in use");
  }

  get freeBytes(): number {
    return this.#count("free");
  }

  get releasedBytes(): number {
    return this.#count("released");
  }

  get heapBytes(): number {
    return this.pages.length * this.pageSize;
  }

  wakeAt(time: number, wake: () => void): () => void {
    const wakeUp = { time, wake };
    this.#wakeUps.push(wakeUp);
    return () => {
      this.#wakeUps = this.#wakeUps.filter((each) => each !== wakeUp);
    };
  }

  onAlloc(seen: (base: number, nbytes: number, faultedBytes: number) => void): void {
    this.#seen.alloc.push(seen);
  }

  onFree(seen: (base: number, nbytes: number) => void): void {
    this.#seen.free.push(seen);
  }

  onGrow(_seen: (nbytes: number) => void): void {}
  onRecordedRelease(_seen: (base: number, nbytes: number) => void): void {}
  onGc(_seen: (cycle: GcCycle) => void): void {}

  freeRuns(): FreeRun[] {
    this.lists++;
    return this.#runs(0, this.pages.length).map(([page, npages]) => ({
      base: this.addressOf(page),
      nbytes: npages * this.pageSize,
      freedAt: Math.max(...this.pages.slice(page, page + npages).map((each) => each.freedAt)),
    }));
  }

  hugePages(): HugePage[] {
    this.lists++;
    const npages = this.physHugePageSize / this.pageSize;
    const found: HugePage[] = [];
    for (let page = 0; page < this.pages.length; page += npages) {
      const bytesOf = (state: PageState) => this.#count(state, page, page + npages);
      const huge = {
        base: this.addressOf(page),
        inUseBytes: bytesOf("in use"),
        freeBytes: bytesOf("free"),
        releasedBytes: bytesOf("released"),
      };
      if (huge.inUseBytes + huge.freeBytes > 0) found.push(huge);
    }
    return found;
  }

  release(base: number, nbytes: number): number {
    const first = Math.max(0, Math.ceil((base - this.base) / this.pageSize));
    const end = Math.min(this.pages.length, Math.floor((base + nbytes - this.base) / this.pageSize));
    let released = 0;
    for (const [page, count] of this.#runs(first, end)) {
      for (const each of this.pages.slice(page, page + count)) each.state = "released";
      this.releases.push([this.now, page, count]);
      released += count * this.pageSize;
    }
    return released;
  }

  releaseDown(): number {
    throw new Error("none of these policies releases downward");
  }

  costOf(): number {
    throw new Error("none of these policies asks what a release costs");
  }

  /** Runs of whole physical pages in [first, end) that are free. */
  #runs(first: number, end: number): [page: number, npages: number][] {
    const unit = Math.max(1, this.physPageSize / this.pageSize);
    const runs: [number, number][] = [];
    for (let page = Math.ceil(first / unit) * unit; page + unit <= end; page += unit) {
      if (this.pages.slice(page, page + unit).some(({ state }) => state !== "free")) continue;
      const last = runs.at(-1);
      if (last && last[0] + last[1] === page) last[1] += unit;
      else runs.push([page, unit]);
    }
    return runs;
  }

  #count(state: PageState, first = 0, end = this.pages.length): number {
    let count = 0;
    for (let page = first; page < end; page++) if (this.pages[page]?.state === state) count++;
    return count * this.pageSize;
  }

  /** Gives pages a state, and returns those that they had. */
  #take(page: number, npages: number, state: PageState): PageState[] {
    return this.pages.slice(page, page + npages).map((each) => {
      if ((each.state === "in use") === (state === "in use"))
        throw new Error(`a page was ${each.state} already`);
      const before = each.state;
      each.state = state;
      return before;
    });
  }

  #event(time: number, happen: () => void): void {
    this.#wakeAllBefore(time);
    this.now = time;
    happen();
  }

  #wakeAllBefore(time: number): void {
    for (;;) {
      const next = this.#wakeUps.filter((each) => each.time < time).sort((a, b) => a.time - b.time)[0];
      if (!next) return;
      this.#wakeUps = this.#wakeUps.filter((each) => each !== next);
      this.now = Math.max(this.now, next.time);
      next.wake();
    }
  }
}
