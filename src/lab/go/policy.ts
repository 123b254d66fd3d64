// Go's scavenger as a policy: goals, the background loop, and what allocations scavenge.

import { integer, readOptions, refuse } from "../../base/arguments.ts";
import type { GcCycle, Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";
import type { SimulatedHeap } from "../simulated-heap.ts";
import { BackgroundLoop } from "./background-loop.ts";
import { OldLoop } from "./old-loop.ts";
import { type Goals, pace } from "./pace.ts";
import type { Scavenger } from "./scavenger.ts";
import { GO_VERSIONS, type GoVersion, readVersion } from "./versions.ts";

/** Options of the policy `go`. */
export interface GoOptions {
  /** Whose scavenger it is. Default "1.22". */
  version?: GoVersion;
  /**
   * GOGC, which sets the collector's goals: 1 or more. Default: the goals that the trace or its log tells. It changes
   * little: cycles end when they did, and the scavenger looks only at how a goal compares with the one before. Where
   * cycles are guessed it changes nothing.
   */
  gogc?: number;
  /** GOMEMLIMIT in bytes, for 1.19 and later. Default: the simulation's. */
  memoryLimit?: number;
  /** GOMAXPROCS. Default 1. */
  procs?: number;
  /** Bytes of the program beside its heap that count toward the limit. Default 4 MiB. */
  overheadBytes?: number;
}

/** A policy that has one of Go's scavengers watch the heap. */
export interface GoPolicy extends Policy {
  readonly goVersion: GoVersion;
}

const OPTIONS = ["version", "gogc", "memoryLimit", "procs", "overheadBytes"] as const;
/** Least heap goal at GOGC=100, in bytes. */
const LEAST_GOAL = 2 ** 22;

/**
 * Go's scavenger (mgcscavenge.go): its goals when marking ends, its background loop, its choice of pages, and what
 * allocations scavenge when the heap grows or nears its limit. The background scavenger wakes when sweeping has ended,
 * or when its sleep has. Go also wakes it when a cycle begins, which is left out: logs do not tell. If a trace does not
 * tell its cycles, they are guessed, and the goal is a tenth above what was in use at the end of the latest. Throws
 * TypeError or RangeError.
 */
export function go(options?: GoOptions): GoPolicy {
  const given = readOptions("options", options, OPTIONS);
  const { version = "1.22", gogc, memoryLimit, procs = 1, overheadBytes = 2 ** 22 } = given;
  readVersion("options.version", version, GO_VERSIONS);
  if (gogc !== undefined && !(typeof gogc === "number" && gogc >= 1)) {
    refuse("options.gogc", gogc, "a number of 1 or more", "number");
  }
  if (memoryLimit !== undefined && !(typeof memoryLimit === "number" && memoryLimit > 0)) {
    refuse("options.memoryLimit", memoryLimit, "a number of bytes above 0", "number");
  }
  integer("options.procs", procs, 1, 2 ** 31 - 1);
  integer("options.overheadBytes", overheadBytes, 0, Number.MAX_SAFE_INTEGER);
  return {
    name: policyName("go", { version, gogc, memoryLimit, ...(given.procs && { procs }) }),
    goVersion: version,
    start(heap) {
      const simulated = heap as SimulatedHeap;
      if (!simulated.scavenger) throw new TypeError("go can be the policy of a simulation only");
      // Versions before 1.19 have no limit.
      const hasLimit = version !== "1.14" && version !== "1.15";
      const limit = hasLimit ? (memoryLimit ?? heap.memoryLimit) : Infinity;
      new Program(simulated, simulated.scavenger, { version, gogc, limit, procs, overheadBytes }).start();
    },
  };
}

/** The options, with their defaults. */
interface Settings {
  readonly version: GoVersion;
  readonly gogc: number | undefined;
  /** Infinity for none. */
  readonly limit: number;
  readonly procs: number;
  readonly overheadBytes: number;
}

/** The scavenger of one simulated program. */
class Program {
  readonly #heap: SimulatedHeap;
  readonly #scavenger: Scavenger;
  readonly #settings: Settings;
  readonly #background: Background;
  #goals: Goals = { gcPercentGoal: null, memoryLimitGoal: null };
  #lastHeapGoal = 0;
  /** Bytes by which the heap has grown for the current allocation, or the next one. */
  #growth = 0;

  constructor(heap: SimulatedHeap, scavenger: Scavenger, settings: Settings) {
    this.#heap = heap;
    this.#scavenger = scavenger;
    this.#settings = settings;
    const isDone = () => this.#isDone();
    const scavenge = (nbytes: number) => this.#scavenge(nbytes, false);
    const { version, procs } = settings;
    this.#background =
      version === "1.14" || version === "1.15"
        ? new OldBackground(heap, isDone, scavenge)
        : new LoopBackground(heap, procs, isDone, scavenge);
  }

  start(): void {
    const heap = this.#heap;
    heap.onGc((cycle) => this.#endMarking(cycle));
    const hasLimit = this.#settings.limit < Infinity;
    heap.onGrow((nbytes) => {
      this.#growth += nbytes;
      if (!hasLimit) this.#scavengeFor();
    });
    if (hasLimit) heap.onAlloc(() => this.#scavengeFor());
  }

  #endMarking(cycle: GcCycle): void {
    const { version, limit } = this.#settings;
    const heap = this.#heap;
    const heapGoal = this.#heapGoal(cycle);
    // Without a goal, the next cycle is taken to be as large as this.
    const lastHeapGoal = heapGoal === undefined ? 1 : this.#lastHeapGoal;
    const at = {
      lastHeapInUse: heap.inUseBytes,
      lastHeapGoal,
      heapGoal: heapGoal ?? 1,
      heapInUse: heap.inUseBytes,
      heapFree: heap.freeBytes,
      mappedReady: this.#mappedReady,
      memoryLimit: limit < Infinity ? limit : null,
      physPageSize: heap.physPageSize,
    };
    this.#goals = pace(at, version);
    this.#lastHeapGoal = heapGoal ?? 0;
    const afterSweep = Number.isNaN(cycle.sweepEnd) ? heap.now : cycle.sweepEnd;
    const nextGen = () => this.#scavenger.nextGen();
    if (version === "1.15") heap.wakeAt(afterSweep, nextGen);
    else if (version !== "1.14" || this.#goals.gcPercentGoal !== null) nextGen();
    heap.wakeAt(afterSweep, () => this.#background.wake());
  }

  /** Returns where the next cycle is to end; undefined if it is not known. */
  #heapGoal({ heapGoal, heapLive }: GcCycle): number | undefined {
    const { gogc } = this.#settings;
    const goal =
      gogc === undefined ? heapGoal : Math.max(heapLive * (1 + gogc / 100), (LEAST_GOAL * gogc) / 100);
    return Number.isNaN(goal) ? undefined : goal;
  }

  /** Scavenges for the latest allocation, if the heap has grown for it beyond the goal, or has reached its limit. */
  #scavengeFor(): void {
    const { limit } = this.#settings;
    const heap = this.#heap;
    const growth = this.#growth;
    this.#growth = 0;
    const { gcPercentGoal } = this.#goals;
    // As Go counts then: without the pages of this allocation that were not retained before.
    const retained = heap.inUseBytes + heap.freeBytes - heap.lastFaultedBytes;
    let want = Math.max(0, this.#mappedReady - limit);
    const force = want > 0;
    if (growth > 0 && gcPercentGoal !== null && retained + growth > gcPercentGoal) {
      want = Math.max(want, Math.min(growth, retained + growth - gcPercentGoal));
    }
    if (want > 0) this.#scavenge(want, force);
  }

  #isDone(): boolean {
    const { gcPercentGoal, memoryLimitGoal } = this.#goals;
    const { inUseBytes, freeBytes } = this.#heap;
    const isSmall = gcPercentGoal === null || inUseBytes + freeBytes <= gcPercentGoal;
    return isSmall && (memoryLimitGoal === null || this.#mappedReady <= memoryLimitGoal);
  }

  get #mappedReady(): number {
    return this.#heap.inUseBytes + this.#heap.freeBytes + this.#settings.overheadBytes;
  }

  /** Releases memory. Returns the bytes, and the time that it takes. */
  #scavenge(nbytes: number, force: boolean): { released: number; ns: number } {
    const heap = this.#heap;
    let calls = 0;
    const released = this.#scavenger.scavenge(nbytes, force, (base, more) => {
      calls++;
      heap.account(base, more);
    });
    return { released, ns: heap.costOf(calls, released) };
  }
}

/** The background scavenger. */
interface Background {
  /** Wakes it, whether it is parked or asleep. */
  wake(): void;
}

type Scavenge = (nbytes: number) => { released: number; ns: number };

/** That of 1.18 and later. */
class LoopBackground implements Background {
  readonly #heap: PolicyHeap;
  readonly #loop: BackgroundLoop;
  readonly #isDone: () => boolean;
  readonly #scavenge: Scavenge;
  /** While it is asleep: ends the sleep. */
  #endSleep: (() => void) | undefined;

  constructor(heap: PolicyHeap, procs: number, isDone: () => boolean, scavenge: Scavenge) {
    this.#heap = heap;
    this.#loop = new BackgroundLoop({ procs, physPageSize: heap.physPageSize });
    this.#isDone = isDone;
    this.#scavenge = scavenge;
  }

  wake(): void {
    this.#endSleep?.();
    this.#endSleep = undefined;
    const { released, worked } = this.#loop.run(this.#isDone, this.#scavenge);
    if (released === 0) return;
    const heap = this.#heap;
    const asleepAt = heap.now + worked;
    const callOff = heap.wakeAt(asleepAt + this.#loop.sleepTime(worked), () => this.wake());
    this.#endSleep = () => {
      callOff();
      this.#loop.sleep(worked, () => Math.max(0, heap.now - asleepAt));
    };
  }
}

/** That of 1.14 to 1.16. */
class OldBackground implements Background {
  readonly #heap: PolicyHeap;
  readonly #loop = new OldLoop();
  readonly #isDone: () => boolean;
  readonly #scavenge: Scavenge;
  #endSleep: (() => void) | undefined;

  constructor(heap: PolicyHeap, isDone: () => boolean, scavenge: Scavenge) {
    this.#heap = heap;
    this.#isDone = isDone;
    this.#scavenge = scavenge;
  }

  wake(): void {
    this.#endSleep?.();
    this.#endSleep = undefined;
    if (this.#isDone()) return;
    const heap = this.#heap;
    const { released, ns } = this.#scavenge(heap.physPageSize);
    if (released === 0) return;
    const asleepAt = heap.now + ns;
    const callOff = heap.wakeAt(asleepAt + this.#loop.sleepTime(ns), () => this.wake());
    this.#endSleep = () => {
      callOff();
      this.#loop.slept(ns, Math.max(0, heap.now - asleepAt));
    };
  }
}
