// The controller that holds the background scavenger to its share of the CPU's time.

import { readOptions, refuse } from "../../base/arguments.ts";

/** Constants of a controller. Times are in the unit of `next`'s period. */
export interface PiControllerOptions {
  /** Proportional gain. */
  kp: number;
  /** Integral time. */
  ti: number;
  /** Reset time: how fast the integral forgets what the bounds cut off. */
  tt: number;
  /** Bounds of the output. */
  min: number;
  max: number;
}

const OPTIONS = ["kp", "ti", "tt", "min", "max"] as const;

/**
 * A proportional-integral controller with bounds and back-calculation, as the Go runtime has it since 1.18
 * (mgcpacer.go, piController). Its doubles are the same to the bit.
 */
export class PiController {
  /** The integral of the error so far. */
  errIntegral = 0;
  /** Whether the integral has ever been too large for a double. */
  errOverflow = false;
  /** Whether an output has ever been too large for a double. */
  inputOverflow = false;
  readonly #options: PiControllerOptions;

  /** Throws TypeError unless all five options are numbers. */
  constructor(options: PiControllerOptions) {
    const given = readOptions("options", options, OPTIONS);
    for (const name of OPTIONS) mustBeNumber(`options.${name}`, given[name]);
    this.#options = given as PiControllerOptions;
  }

  /**
   * Returns what to do next: `output`, from min to max. If a number has become too large, forgets the error, and
   * returns min, and `ok` false. Throws TypeError unless all three are numbers.
   *
   * @param input what was measured, and has lasted for `period`
   * @param setpoint what it should have been
   */
  next(input: number, setpoint: number, period: number): { output: number; ok: boolean } {
    mustBeNumber("input", input);
    mustBeNumber("setpoint", setpoint);
    mustBeNumber("period", period);
    const { kp, ti, tt, min, max } = this.#options;
    const raw = kp * (setpoint - input) + this.errIntegral;
    if (!Number.isFinite(raw)) {
      this.inputOverflow = true;
      return this.#fail();
    }
    const output = Math.min(Math.max(raw, min), max);
    if (ti !== 0 && tt !== 0) {
      this.errIntegral += ((kp * period) / ti) * (setpoint - input) + (period / tt) * (output - raw);
      if (!Number.isFinite(this.errIntegral)) {
        this.errOverflow = true;
        return this.#fail();
      }
    }
    return { output, ok: true };
  }

  #fail(): { output: number; ok: boolean } {
    this.errIntegral = 0;
    return { output: this.#options.min, ok: false };
  }
}

function mustBeNumber(name: string, value: unknown): void {
  if (typeof value !== "number") refuse(name, value, "a number");
}
