// The background scavenger's loop: how much it does in a run, and how long it sleeps after it. Go 1.18 and later.

import { integer, powerOfTwo, readOptions, refuse } from "../../base/arguments.ts";
import { PiController } from "./pi-controller.ts";

/** Bytes that a run asks for at a time. */
const QUANTUM = 2 ** 16;
/** Least work of a run in ns, unless it comes to its end. Sleeps count at least as much. */
const RUN_NS = 1e6;
/** Work of a call that was too short for the clock: ns per page of the system. */
const PAGE_NS = 10_000;
/** Most Ps. */
const PROCS_MAX = 2 ** 31 - 1;
/** Share of one P's time that the scavenger may take. */
const SHARE = 0.01;
const FIRST_RATIO = 0.001;
/** How long the ratio stays as it is after the controller has failed, in ns. */
const COOLDOWN_NS = 5e9;

/** Options of a loop. */
export interface BackgroundLoopOptions {
  /** Number of Ps: GOMAXPROCS. 1 or more. */
  procs: number;
  /** Bytes per page of the system; a power of two. */
  physPageSize: number;
}

/** What a run has done: bytes released, and ns of work. */
export interface Run {
  released: number;
  worked: number;
}

/** The background scavenger's loop, on a clock of the caller's. Times are in ns. */
export class BackgroundLoop {
  #procs: number;
  readonly #physPageSize: number;
  #ratio = FIRST_RATIO;
  #cooldown = 0;
  /** Sets the ratio. */
  readonly controller = new PiController({ kp: 0.3375, ti: 3.2e6, tt: 1e9, min: FIRST_RATIO, max: 1000 });

  /** Other options than these two are ignored. Throws TypeError or RangeError. */
  constructor(options: BackgroundLoopOptions) {
    const { procs, physPageSize } = readOptions("options", options, ["procs", "physPageSize"], true);
    this.#procs = integer("options.procs", procs as number, 1, PROCS_MAX);
    this.#physPageSize = powerOfTwo("options.physPageSize", physPageSize as number, 1, 2 ** 48);
  }

  /** Number of Ps. It may be set at any time, to 1 or more. Setting it throws TypeError or RangeError. */
  get procs(): number {
    return this.#procs;
  }

  set procs(procs: number) {
    this.#procs = integer("procs", procs, 1, PROCS_MAX);
  }

  /** Work per time asleep. */
  get ratio(): number {
    return this.#ratio;
  }

  /** How long the ratio stays as it is, in ns. */
  get cooldown(): number {
    return this.#cooldown;
  }

  /**
   * Releases memory for 1 ms, or until `shouldStop` says so or there is no more. If it has released nothing, the
   * scavenger parks; else it sleeps. Throws TypeError or RangeError, and what the functions throw.
   *
   * @param scavenge releases so many bytes, and says how many it has released and how long that took; 0 ns count as
   * 10,000 per page of the system
   */
  run(shouldStop: () => boolean, scavenge: (nbytes: number) => { released: number; ns: number }): Run {
    let released = 0;
    let worked = 0;
    while (worked < RUN_NS && !shouldStop()) {
      const call = scavenge(QUANTUM);
      mustBeCount("what scavenge released", call?.released);
      mustBeCount("the ns that scavenge took", call.ns);
      worked += call.ns === 0 ? PAGE_NS * Math.floor(call.released / this.#physPageSize) : call.ns;
      released += call.released;
      if (call.released < QUANTUM) break;
    }
    return { released, worked };
  }

  /** Returns how long to sleep after a run that took so many ns. Throws TypeError or RangeError. */
  sleepTime(worked: number): number {
    mustBeCount("worked", worked);
    return Math.trunc(Math.max(worked, RUN_NS) / this.#ratio);
  }

  /**
   * Sleeps after a run that took `worked` ns, and learns from how long it has slept. Throws TypeError or RangeError,
   * and what `sleep` throws. A call that throws has changed nothing.
   *
   * @param sleep sleeps for so many ns, and returns how many it has slept; fewer than 0 if the clock went back
   */
  sleep(worked: number, sleep: (ns: number) => number): void {
    const slept = sleep(this.sleepTime(worked));
    if (!(typeof slept === "number" && slept > -Infinity)) {
      refuse("the ns that were slept", slept, "a number above -Infinity", "number");
    }
    const counted = Math.max(worked, RUN_NS);
    if (this.#cooldown > 0) {
      this.#cooldown = Math.max(0, this.#cooldown - (slept + Math.trunc(counted)));
      return;
    }
    const share = counted / ((slept + counted) * this.#procs);
    const { output, ok } = this.controller.next(share, SHARE, slept + counted);
    this.#ratio = output;
    if (ok) return;
    this.#ratio = FIRST_RATIO;
    this.#cooldown = COOLDOWN_NS;
  }
}

/** Throws TypeError or RangeError unless a value is a number, 0 or more. */
function mustBeCount(name: string, value: number): void {
  if (!(typeof value === "number" && value >= 0)) refuse(name, value, "a number, 0 or more", "number");
}
