// What releasing memory costs, and getting it back.

import { readOptions, refuse } from "../base/arguments.ts";

/** A cost model: CPU time in ns. */
export interface Costs {
  /** For reports. */
  readonly name: string;
  /** Of each call that releases a run. */
  readonly perCall: number;
  /** Of each byte that it releases. */
  readonly perByte: number;
  /** Of each page of the system that is touched for the first time, or again after a release. */
  readonly perFault: number;
}

/**
 * The models with a name. "go" is what Go's scavenger takes for granted when its clock is too coarse: 10 µs for each
 * page of 4 KiB, and nothing for faults. "measured" was measured on a virtual machine with Linux 6.18: a release of
 * 8 KiB took 20 µs and one of 64 KiB 110 µs, and the model is the line through both; a fault took 12.7 µs. Releases
 * of 1 MiB took 155 µs, so it says too much of large ones.
 */
export const COSTS: Readonly<Record<"go" | "measured", Costs>> = {
  go: { name: "go", perCall: 0, perByte: 10_000 / 4096, perFault: 0 },
  measured: {
    name: "measured",
    perCall: 20_000 - 8192 * (90_000 / 57_344),
    perByte: 90_000 / 57_344,
    perFault: 12_700,
  },
};

const FIELDS = ["name", "perCall", "perByte", "perFault"] as const;

/** Returns the model that an option names or is. Throws TypeError or RangeError. */
export function readCosts(costs: keyof typeof COSTS | Costs): Costs {
  if (typeof costs === "string") {
    return Object.hasOwn(COSTS, costs) ? COSTS[costs] : refuse("options.costs", costs, names(), "string");
  }
  if (typeof costs !== "object" || costs === null) refuse("options.costs", costs, names());
  const given = readOptions("options.costs", costs, FIELDS) as Costs;
  if (typeof given.name !== "string") refuse("options.costs.name", given.name, "a string");
  for (const field of ["perCall", "perByte", "perFault"] as const) {
    const ns = given[field];
    if (!(typeof ns === "number" && ns >= 0 && ns < Infinity)) {
      refuse(`options.costs.${field}`, ns, "a number of ns, 0 or more", "number");
    }
  }
  return given;
}

function names(): string {
  return `${Object.keys(COSTS)
    .map((name) => `"${name}"`)
    .join(", ")}, or an object with name, perCall, perByte and perFault`;
}
