// Runs a policy over a trace on virtual time, and reports what it would have done.

import type { PageAlloc } from "../api/page-alloc.ts";
import { readOptions, refuse, show } from "../base/arguments.ts";
import type { Abort } from "../base/platform.ts";
import { eventError } from "../trace/event-error.ts";
import type { PageTrace } from "../trace/events.ts";
import { Breaks } from "../trace/replay/breaks.ts";
import { checkColumns, checkEvents, EventCounts } from "../trace/replay/check.ts";
import {
  checkEngine,
  checkOptions,
  checkSignal,
  isBlocks,
  oneOf,
  type ReplayOptions,
  type TraceBlocks,
} from "../trace/replay/options.ts";
import { type ReplayReport, Run } from "../trace/replay/run.ts";
import { type COSTS, type Costs, readCosts } from "./costs.ts";
import { scavengerOf, watcherOf } from "./go/heap.ts";
import type { GoPolicy } from "./go/policy.ts";
import type { Scavenger } from "./go/scavenger.ts";
import { Ledger, type LedgerReport } from "./ledger.ts";
import type { ScavengeLog } from "./log.ts";
import { foresees } from "./policies/clairvoyant.ts";
import type { Policy, PolicyHeap } from "./policy.ts";
import { RecordedMode } from "./recorded-mode.ts";
import { SimulatedHeap } from "./simulated-heap.ts";
import { watched } from "./watch.ts";

/**
 * Where a simulation has the collector's cycles from. "recorded": the log beside the trace, which also tells when the
 * scavenger worked and how much it released, so that only its choice of pages is its own. "log-driven": the log or the
 * trace; goals, loop and costs are the policy's own. "trace-only": they are guessed from the events, so that the result
 * is an estimate, not to be compared with what a program of Go has measured.
 */
export type SimulateMode = "recorded" | "log-driven" | "trace-only";

/** Options of `simulate`. */
export interface SimulateOptions
  extends Pick<
    ReplayOptions,
    "placement" | "growth" | "pageSize" | "physPageSize" | "physHugePageSize" | "samples" | "onProgress"
  > {
  policy: Policy;
  /** Log of the scavenger and the collector beside the trace, by `readScavengeLog`. */
  log?: ScavengeLog;
  /**
   * Default: "log-driven" with a log, or if the trace tells its cycles; else "trace-only". "recorded" needs a log, and
   * the policy `go`.
   */
  mode?: SimulateMode;
  /** Most bytes to retain, for policies that have a limit and were given none of their own. Default: no limit. */
  memoryLimit?: number;
  /** What releases and faults cost: a model, or the name of one. Default "go". */
  costs?: keyof typeof COSTS | Costs;
  /** Called for each release, in order: address, bytes, and time in ns. What it throws ends the simulation. */
  onRelease?(base: number, nbytes: number, time: number): void;
}

/** The same for a stream. */
export interface SimulateStreamOptions extends SimulateOptions {
  /** Stops the simulation: it rejects with the signal's reason. */
  signal?: Abort;
}

/** The result of a simulation. */
export interface SimulateReport extends ReplayReport, LedgerReport {
  /** The policy's name. */
  policy: string;
  mode: SimulateMode;
  /** First touches of pages of the system, and touches after a release, together. */
  faults: number;
  /** Name of the cost model, and the CPU time in ns that releases and faults took under it. */
  costName: string;
  costNs: number;
}

const OPTIONS = [
  "policy",
  "log",
  "mode",
  "placement",
  "growth",
  "pageSize",
  "physPageSize",
  "physHugePageSize",
  "memoryLimit",
  "costs",
  "samples",
  "onProgress",
  "onRelease",
] as const;

/**
 * Runs a policy over a trace: `simulate(PageAlloc, trace, { policy: go({ version: "1.22" }) })`. Allocations go where
 * `replay` puts them. The trace's scavenge events do nothing, unless the policy is `recorded`. Disposes of the heap at
 * the end.
 *
 * Throws what `replay` throws, and what the policy throws.
 */
export function simulate(
  engine: typeof PageAlloc,
  trace: PageTrace,
  options: SimulateOptions,
): SimulateReport;
/** Does the same for a trace in blocks. The event loop runs between blocks. */
export function simulate(
  engine: typeof PageAlloc,
  trace: TraceBlocks,
  options: SimulateStreamOptions,
): Promise<SimulateReport>;
export function simulate(
  engine: typeof PageAlloc,
  trace: PageTrace | TraceBlocks,
  options: SimulateStreamOptions,
): SimulateReport | Promise<SimulateReport> {
  checkEngine(engine);
  return isBlocks(trace) ? simulateBlocks(engine, trace, options) : simulateWhole(engine, trace, options);
}

function simulateWhole(engine: typeof PageAlloc, trace: PageTrace, options: SimulateOptions): SimulateReport {
  const given = readOptions("options", options, OPTIONS);
  checkColumns(trace);
  const { policy } = given;
  if (policy && foresees(policy)) {
    const { name, foresee } = policy;
    const first = { name, start: (heap: PolicyHeap) => foresee(heap) };
    runWhole(engine, trace, { ...given, policy: first, onProgress: undefined });
  }
  return runWhole(engine, trace, given);
}

function runWhole(
  engine: typeof PageAlloc,
  trace: PageTrace,
  given: Partial<SimulateOptions>,
): SimulateReport {
  const simulation = new Simulation(engine, trace, given, trace.length);
  try {
    simulation.check(trace);
    simulation.block(trace);
    return simulation.end();
  } finally {
    simulation.dispose();
  }
}

async function simulateBlocks(
  engine: typeof PageAlloc,
  trace: TraceBlocks,
  options: SimulateStreamOptions,
): Promise<SimulateReport> {
  const { signal, ...given } = readOptions("options", options, [...OPTIONS, "signal"]);
  checkSignal(signal);
  if (given.policy && foresees(given.policy)) {
    throw new TypeError(
      `options.policy ${given.policy.name} must see the trace before; read it whole, by readTrace`,
    );
  }
  const simulation = new Simulation(engine, trace, given, undefined);
  const breaks = new Breaks();
  try {
    for await (const block of trace) {
      if (signal?.aborted) throw signal.reason;
      checkColumns(block);
      simulation.check(block);
      simulation.block(block);
      await breaks.now();
    }
    if (signal?.aborted) throw signal.reason;
    return simulation.end();
  } finally {
    breaks.close();
    simulation.dispose();
  }
}

/** In recorded mode the log acts, and not the policy. */
const INERT: Policy = { name: "recorded mode", start() {} };

/** One simulation. */
class Simulation {
  readonly #policy: Policy;
  readonly #log: ScavengeLog | undefined;
  /** The log's cycles, until the heap has them. */
  #untold: ScavengeLog["gc"] | undefined;
  readonly #costs: Costs;
  readonly #counts = new EventCounts();
  readonly #setup: ReturnType<typeof checkOptions>;
  readonly #ledger: Ledger;
  readonly #run: Run;
  #heap!: SimulatedHeap;
  #mode: SimulateMode | undefined;
  /** Times of the first event, and of the latest that was checked, in ns. */
  #firstTime = 0;
  #lastTime = 0;

  constructor(
    engine: typeof PageAlloc,
    trace: PageTrace | TraceBlocks,
    given: Partial<SimulateOptions>,
    total: number | undefined,
  ) {
    const { policy, log, mode, memoryLimit = Infinity, costs = "go", onRelease, ...replay } = given;
    this.#policy = checkPolicy(policy);
    this.#log = log;
    this.#untold = log?.gc;
    this.#costs = readCosts(costs);
    checkMode(mode, log, this.#policy);
    if (mode === "log-driven" && !log && !isBlocks(trace) && !trace.gc) throw withoutCycles();
    if (!(typeof memoryLimit === "number" && memoryLimit > 0)) {
      refuse("options.memoryLimit", memoryLimit, "a number of bytes above 0", "number");
    }
    if (onRelease !== undefined && typeof onRelease !== "function") {
      refuse("options.onRelease", onRelease, "a function or undefined");
    }
    this.#setup = checkOptions(trace, { ...replay, scavenge: "none" });
    this.#mode = mode ?? (log ? "log-driven" : undefined);
    const {
      pageSize,
      physPageSize = Math.min(4096, 512 * pageSize),
      physHugePageSize = 2 ** 21,
    } = this.#setup.heap;
    const sizes = { pageSize, physPageSize, physHugePageSize };
    this.#ledger = new Ledger(sizes);
    const { goVersion } = this.#policy as Partial<GoPolicy>;
    let scavenger: Scavenger | undefined;
    const Heap = goVersion
      ? watched(
          engine,
          watcherOf(() => scavenger),
        )
      : engine;
    this.#run = new Run(Heap, this.#setup, this.#counts, total, this.#ledger, (run) => {
      if (goVersion) scavenger = scavengerOf(run.heap, goVersion);
      const conditions = {
        sizes,
        tracePage: this.#setup.geometry.tracePage,
        memoryLimit,
        costs: this.#costs,
        guessesCycles: () => this.#mode === "trace-only",
        onRelease,
      };
      const acting = mode === "recorded" ? INERT : this.#policy;
      this.#heap = new SimulatedHeap(run, this.#ledger, acting, conditions, scavenger);
      return mode === "recorded" ? new RecordedMode(this.#heap, log as ScavengeLog) : this.#heap;
    });
  }

  /** Checks the events of a block, and that time does not go back. Throws PageAllocError ERR_TRACE. */
  check(block: PageTrace): void {
    checkEvents(block, this.#setup.geometry, this.#run.events, this.#counts);
    const { time, length } = block;
    if (this.#run.events === 0 && length > 0) {
      [this.#firstTime] = time;
      [this.#lastTime] = time;
    }
    for (let event = 0; event < length; event++) {
      if (!(time[event] >= this.#lastTime)) {
        const reason = `times must ascend, and ${time[event]} ns comes after ${this.#lastTime} ns`;
        throw eventError(block, event, this.#run.events, reason);
      }
      this.#lastTime = time[event];
    }
  }

  block(block: PageTrace): void {
    if (this.#mode === "log-driven" && !this.#log && !block.gc) throw withoutCycles();
    this.#mode ??= block.gc ? "log-driven" : "trace-only";
    const cycles = this.#log ? this.#untold : block.gc;
    this.#untold = undefined;
    this.#heap.enter(block, this.#mode === "trace-only" ? undefined : cycles);
    this.#run.block(block);
  }

  end(): SimulateReport {
    this.#heap.end();
    if (this.#log && this.#mode !== "trace-only") this.#checkLog(this.#log.steps);
    const account = this.#ledger.close(this.#heap.now);
    const faults = account.firstFaults + account.refaults;
    const { name, perCall, perByte, perFault } = this.#costs;
    return {
      ...this.#run.end(),
      ...account,
      policy: this.#policy.name,
      mode: this.#mode ?? "trace-only",
      faults,
      costName: name,
      costNs: account.releaseCalls * perCall + account.releasedBytes * perByte + faults * perFault,
    };
  }

  /** Throws TypeError if a log has steps, but none in the time of the trace: it is of another. */
  #checkLog(steps: ScavengeLog["steps"]): void {
    const first = steps[0]?.time ?? this.#firstTime;
    const last = steps[steps.length - 1]?.time ?? this.#lastTime;
    if (first <= this.#lastTime && last >= this.#firstTime) return;
    throw new TypeError(
      `options.log must be of this trace, whose times are ${this.#firstTime} to ${this.#lastTime} ns; those of its ` +
        `steps are ${first} to ${last} ns`,
    );
  }

  dispose(): void {
    this.#heap.scavenger?.dispose?.();
    this.#run.dispose();
  }
}

function withoutCycles(): TypeError {
  return new TypeError('options.mode "log-driven" needs options.log, or a trace that tells its cycles as gc');
}

function checkPolicy(policy: Policy | undefined): Policy {
  if (typeof policy?.start === "function" && typeof policy.name === "string") return policy;
  throw new TypeError(
    `options.policy must be an object with a name and a function start, got ${show(policy)}`,
  );
}

function checkMode(mode: SimulateMode | undefined, log: ScavengeLog | undefined, policy: Policy): void {
  if (log !== undefined && !Array.isArray(log?.steps)) {
    refuse("options.log", log, "what readScavengeLog gives");
  }
  if (mode === undefined) return;
  oneOf("options.mode", mode, ["recorded", "log-driven", "trace-only"]);
  if (mode !== "recorded") return;
  if (!log) throw new TypeError('options.mode "recorded" needs options.log, by readScavengeLog');
  if (!("goVersion" in policy)) {
    throw new TypeError(`options.mode "recorded" is for the policy go, not for ${policy.name}`);
  }
}
