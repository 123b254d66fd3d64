// The versions of Go whose scavengers are known.

import { refuse } from "../../base/arguments.ts";

/**
 * The first version of Go that has the scavenger meant. "1.15" stands for 1.15 to 1.17, whose background loop 1.18
 * replaced; "1.19" for 1.19 and 1.20; "1.22" for all since.
 */
export type GoVersion = "1.14" | "1.15" | "1.19" | "1.21" | "1.22";

export const GO_VERSIONS: readonly GoVersion[] = ["1.14", "1.15", "1.19", "1.21", "1.22"];

/** Checks for one of some versions. Throws TypeError or RangeError. */
export function readVersion<Version extends GoVersion>(
  name: string,
  value: Version,
  allowed: readonly Version[],
): Version {
  if (allowed.includes(value)) return value;
  return refuse(name, value, allowed.map((version) => `"${version}"`).join(", "), "string");
}
