// A heap on virtual time, as a policy sees it. It acts between the events of a replay.

import type { PageAlloc } from "../api/page-alloc.ts";
import { refuse } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { firstOf, secondOf } from "../engine/packed.ts";
import { CORE, type Core } from "../heap/core.ts";
import { ALLOC, FREE, type GcEvents, type PageTrace, SCAVENGE } from "../trace/events.ts";
import type { Between, Run } from "../trace/replay/run.ts";
import { Clock } from "./clock.ts";
import type { Costs } from "./costs.ts";
import type { OnRelease, Scavenger } from "./go/scavenger.ts";
import type { Ledger, PageSizes } from "./ledger.ts";
import type { FreeRun, GcCycle, HugePage, Policy, PolicyHeap } from "./policy.ts";

/** Allocations after which a free is taken for the sweeping of a new cycle, where a trace does not tell its cycles. */
const CYCLE_ALLOCS = 50;

/** What a simulation has of its options. */
export interface Conditions {
  readonly sizes: PageSizes;
  /** Bytes per page of the trace. */
  readonly tracePage: number;
  readonly memoryLimit: number;
  readonly costs: Costs;
  /** Whether cycles of the collector are to be guessed from the events. */
  guessesCycles(): boolean;
  onRelease?(base: number, nbytes: number, time: number): void;
}

/** The heap of a simulation. */
export class SimulatedHeap implements PolicyHeap, Between {
  readonly pageSize: number;
  readonly physPageSize: number;
  readonly physHugePageSize: number;
  readonly memoryLimit: number;
  readonly heap: PageAlloc;
  /** The scavenger of Go that watches the heap, if the policy wants one. */
  readonly scavenger: Scavenger | undefined;
  readonly #core: Core;
  readonly #run: Run;
  readonly #ledger: Ledger;
  readonly #conditions: Conditions;
  readonly #policy: Policy;
  readonly #clock = new Clock();
  #hasStarted = false;
  #onAlloc: Array<Parameters<PolicyHeap["onAlloc"]>[0]> = [];
  #onFree: Array<Parameters<PolicyHeap["onFree"]>[0]> = [];
  #onGrow: Array<Parameters<PolicyHeap["onGrow"]>[0]> = [];
  #onRecordedRelease: Array<Parameters<PolicyHeap["onRecordedRelease"]>[0]> = [];
  #onGc: Array<Parameters<PolicyHeap["onGc"]>[0]> = [];
  /** Events of the block whose changes were told. */
  #told = 0;
  /** Where cycles are guessed: allocations since the latest. */
  #allocs = 0;

  constructor(run: Run, ledger: Ledger, policy: Policy, conditions: Conditions, scavenger?: Scavenger) {
    this.scavenger = scavenger;
    const { sizes, memoryLimit } = conditions;
    this.pageSize = sizes.pageSize;
    this.physPageSize = sizes.physPageSize;
    this.physHugePageSize = sizes.physHugePageSize;
    this.memoryLimit = memoryLimit;
    this.heap = run.heap;
    this.#core = run.heap[CORE];
    this.#run = run;
    this.#ledger = ledger;
    this.#policy = policy;
    this.#conditions = conditions;
  }

  get now(): number {
    return this.#clock.now;
  }

  get inUseBytes(): number {
    return this.#ledger.inUse * this.pageSize;
  }

  get freeBytes(): number {
    const { sys, inUse, released } = this.#ledger;
    return (sys - inUse - released) * this.pageSize;
  }

  get releasedBytes(): number {
    return this.#ledger.released * this.pageSize;
  }

  get heapBytes(): number {
    return this.#ledger.sys * this.pageSize;
  }

  /** Bytes of the latest allocation that were released or never touched. 0 if the heap has grown since. */
  get lastFaultedBytes(): number {
    return this.#ledger.lastFaulted * this.pageSize;
  }

  wakeAt(time: number, wake: () => void): () => void {
    if (typeof time !== "number" || Number.isNaN(time)) refuse("time", time, "a number of ns");
    mustBeFunction("wake", wake);
    return this.#clock.at(Math.max(time, this.now), wake);
  }

  onAlloc(seen: Parameters<PolicyHeap["onAlloc"]>[0]): void {
    mustBeFunction("seen", seen);
    this.#onAlloc.push(seen);
    this.#ledger.changes ??= [];
  }

  onFree(seen: Parameters<PolicyHeap["onFree"]>[0]): void {
    mustBeFunction("seen", seen);
    this.#onFree.push(seen);
    this.#ledger.changes ??= [];
  }

  onGrow(seen: Parameters<PolicyHeap["onGrow"]>[0]): void {
    mustBeFunction("seen", seen);
    this.#onGrow.push(seen);
    this.#ledger.stopsAfterGrowth = true;
  }

  onRecordedRelease(seen: Parameters<PolicyHeap["onRecordedRelease"]>[0]): void {
    mustBeFunction("seen", seen);
    this.#onRecordedRelease.push(seen);
  }

  onGc(seen: Parameters<PolicyHeap["onGc"]>[0]): void {
    mustBeFunction("seen", seen);
    this.#onGc.push(seen);
  }

  freeRuns(): FreeRun[] {
    const runs: Array<{ page: number; npages: number }> = [];
    this.#eachCandidate(0, Infinity, (chunk, index, npages) => {
      const page = chunk * layout.CHUNK_PAGES + index;
      const above = runs.at(-1);
      if (above?.page === page + npages) {
        above.page = page;
        above.npages += npages;
      } else {
        runs.push({ page, npages });
      }
      return true;
    });
    const { pageSize } = this;
    return runs.reverse().map(({ page, npages }) => ({
      base: page * pageSize,
      nbytes: npages * pageSize,
      freedAt: this.#ledger.freedAt(page, npages),
    }));
  }

  hugePages(): HugePage[] {
    const { pageSize } = this;
    return Array.from(this.#ledger.hugePages(), ({ page, inUse, touched, mapped }) => ({
      base: page * pageSize,
      inUseBytes: inUse * pageSize,
      freeBytes: (touched - inUse) * pageSize,
      releasedBytes: (mapped - touched) * pageSize,
    }));
  }

  release(base: number, nbytes: number): number {
    notNegative("base", base);
    notNegative("nbytes", nbytes);
    const first = Math.ceil(base / this.pageSize);
    const end = Math.floor((base + nbytes) / this.pageSize);
    let released = 0;
    this.#eachCandidate(first, end, (chunk, index, npages) => {
      released += this.#release(chunk, index, npages);
      return true;
    });
    return released;
  }

  releaseDown(from: number, nbytes: number): number {
    notNegative("from", from);
    notNegative("nbytes", nbytes);
    let released = 0;
    const pagesLeft = () => Math.ceil((nbytes - released) / this.pageSize);
    if (nbytes === 0) return 0;
    this.#eachCandidate(
      0,
      Math.floor(from / this.pageSize),
      (chunk, index, npages) => {
        released += this.#release(chunk, index, npages);
        return released < nbytes;
      },
      pagesLeft,
    );
    return released;
  }

  costOf(calls: number, nbytes: number): number {
    const { perCall, perByte } = this.#conditions.costs;
    return calls * perCall + nbytes * perByte;
  }

  /** Counts a run that was released. */
  readonly account: OnRelease = (base, nbytes) => {
    const npages = nbytes / this.pageSize;
    this.#ledger.time = this.now;
    this.#ledger.releasedRun(base / this.pageSize, npages);
    this.#run.countReleased(npages);
    this.#conditions.onRelease?.(base, nbytes, this.now);
  };

  #release(chunk: number, index: number, npages: number): number {
    const core = this.#core;
    core.locked(({ at, engine }) => {
      engine.scavengeRange(at, chunk, index, npages, core.getF64(layout.HEADER_SCAV_END));
    });
    const nbytes = npages * this.pageSize;
    this.account((chunk * layout.CHUNK_PAGES + index) * this.pageSize, nbytes);
    return nbytes;
  }

  /**
   * Calls `use` for each run of [first, end) that could be released, within a chunk, the highest first, until it
   * returns false. The runs have at most so many pages as `most` says, or more to keep a huge page whole.
   */
  #eachCandidate(
    first: number,
    end: number,
    use: (chunk: number, index: number, npages: number) => boolean,
    most = () => layout.CHUNK_PAGES,
  ): void {
    const core = this.#core;
    // A policy may have kept the heap for longer than the simulation lasted.
    core.mustBeThere();
    const { engine, at } = core;
    const minPages = core.get(layout.HEADER_MIN_PAGES);
    const lowest = core.get(layout.HEADER_START);
    const top = Math.min(end, core.get(layout.HEADER_END) * layout.CHUNK_PAGES);
    let chunk = Math.ceil(top / layout.CHUNK_PAGES) - 1;
    let ceiling = top - chunk * layout.CHUNK_PAGES;
    while (chunk >= lowest && (chunk + 1) * layout.CHUNK_PAGES > first) {
      const hit = engine.findCandidate(at, chunk, ceiling, Math.min(layout.CHUNK_PAGES, most()));
      const least = Math.ceil(Math.max(0, first - chunk * layout.CHUNK_PAGES) / minPages) * minPages;
      const index = Math.max(firstOf(hit), least);
      const npages = hit ? firstOf(hit) + secondOf(hit) - index : 0;
      if (npages > 0 && !use(chunk, index, npages)) return;
      if (npages > 0 && index > least) {
        ceiling = index;
        continue;
      }
      if (!hit && ceiling === layout.CHUNK_PAGES) {
        core.locked(() => engine.passOver(at, chunk, core.getF64(layout.HEADER_SCAV_END)));
      }
      chunk = chunk > lowest ? engine.walk(at, chunk - 1) : -1;
      ceiling = layout.CHUNK_PAGES;
    }
  }

  /** Goes on to a block, whose cycles of the collector are known now. Begins before the first event. */
  enter(block: PageTrace, gc: GcEvents | undefined): void {
    this.#told = 0;
    if (!this.#hasStarted && block.length > 0) {
      this.#hasStarted = true;
      this.#clock.now = block.time[0];
      this.#ledger.begin(block.time[0]);
      this.#policy.start(this);
    }
    if (!gc) return;
    for (let i = 0; i < gc.length; i++) this.#expect(gc, i);
  }

  /** Has a cycle of the collector told when its marking has ended. */
  #expect({ start, time, sweepEnd, heapLive, heapGoal }: GcEvents, i: number): void {
    const cycle = {
      start: start[i],
      time: time[i],
      sweepEnd: sweepEnd[i],
      heapLive: heapLive[i],
      heapGoal: heapGoal[i],
    };
    if (!Number.isNaN(cycle.time)) this.#clock.at(cycle.time, () => this.#tellCycle(cycle));
  }

  stop(block: PageTrace, from: number, to: number): number {
    if (this.#clock.next < block.time[from] || this.#endsCycle(block, from)) return from;
    if (this.#onAlloc.length + this.#onFree.length + this.#onRecordedRelease.length > 0) return from + 1;
    const due = firstAfter(block.time, this.#clock.next, from, to);
    return this.#guessesCycles ? this.#cycleBefore(block, from, due) : due;
  }

  /**
   * Tells of what the events before an event have done, at the time of the latest of them. If that has been told, makes
   * the calls that are due before the event: samples of the state after an event come in between.
   */
  act(block: PageTrace, event: number): void {
    if (event > this.#told) this.#tellEvents(block, this.#told, event);
    else this.#wake(block, event);
    this.#told = event;
  }

  /** Makes the calls that are due before an event. */
  #wake(block: PageTrace, event: number): void {
    const time = block.time[event];
    this.#clock.runBefore(time);
    if (!this.#endsCycle(block, event)) return;
    this.#allocs = 0;
    this.#clock.now = time;
    this.#tellCycle({
      start: Number.NaN,
      time,
      sweepEnd: Number.NaN,
      heapLive: Number.NaN,
      heapGoal: Number.NaN,
    });
  }

  /** Makes the calls that are due at the time of the last event. */
  end(): void {
    if (this.#hasStarted) this.#clock.runUpTo(this.now);
  }

  get #guessesCycles(): boolean {
    return this.#conditions.guessesCycles() && this.#onGc.length > 0;
  }

  /** Whether a cycle is guessed to have ended before an event. */
  #endsCycle({ kind }: PageTrace, event: number): boolean {
    return kind[event] === FREE && this.#allocs >= CYCLE_ALLOCS && this.#guessesCycles;
  }

  /** Returns the event of [from, to) before which a cycle is guessed to have ended; `to` if there is none. */
  #cycleBefore({ kind }: PageTrace, from: number, to: number): number {
    let allocs = this.#allocs;
    for (let event = from; event < to; event++) {
      if (kind[event] === ALLOC) allocs++;
      else if (kind[event] === FREE && allocs >= CYCLE_ALLOCS) return event;
    }
    return to;
  }

  #tellCycle(cycle: GcCycle): void {
    for (const seen of this.#onGc) seen(cycle);
  }

  /** Tells of what the events [from, to) have done. */
  #tellEvents({ kind, time, base, npages }: PageTrace, from: number, to: number): void {
    const ledger = this.#ledger;
    this.#clock.now = time[to - 1];
    if (this.#guessesCycles) {
      for (let event = from; event < to; event++) if (kind[event] === ALLOC) this.#allocs++;
    }
    const { grown } = ledger;
    ledger.grown = 0;
    if (grown > 0) for (const seen of this.#onGrow) seen(grown * this.pageSize);
    for (const { isTaken, page, npages, faulted } of ledger.changes?.splice(0) ?? []) {
      const at = page * this.pageSize;
      const nbytes = npages * this.pageSize;
      if (isTaken) for (const seen of this.#onAlloc) seen(at, nbytes, faulted * this.pageSize);
      else for (const seen of this.#onFree) seen(at, nbytes);
    }
    for (let event = from; event < to; event++) {
      if (kind[event] !== SCAVENGE) continue;
      const nbytes = npages[event] * this.#conditions.tracePage;
      for (const seen of this.#onRecordedRelease) seen(base[event], nbytes);
    }
  }
}

/** Returns the first of the events [from, to) whose time is after a time; `to` if there is none. */
function firstAfter(times: Float64Array, time: number, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

function mustBeFunction(name: string, value: unknown): void {
  if (typeof value !== "function") refuse(name, value, "a function");
}

function notNegative(name: string, value: number): void {
  if (!(typeof value === "number" && value >= 0))
    refuse(name, value, "a number of bytes, 0 or more", "number");
}
