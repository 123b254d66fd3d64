// The versions of Go whose scavengers are known.

import { refuse } from "../../base/arguments.ts";

/** The first version of Go that has the scavenger meant. Each stands for those after it, up to the next. */
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
