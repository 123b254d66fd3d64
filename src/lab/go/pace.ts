// The scavenger's goals, which the collector sets when marking ends.

import { powerOfTwo, readOptions, refuse } from "../../base/arguments.ts";
import { GO_VERSIONS, type GoVersion, readVersion } from "./versions.ts";

/** The program's memory when marking ends. All in bytes. */
export interface PaceInput {
  /** `heapInUse` when marking ended, before sweeping. */
  lastHeapInUse: number;
  /** The collector's goal for the cycle that ends; 0 if there was none, Infinity if the heap may grow without end. */
  lastHeapGoal: number;
  /** Its goal for the next cycle, likewise. */
  heapGoal: number;
  /** Pages of spans that hold objects. */
  heapInUse: number;
  /** Free and unscavenged pages, those of page caches too. */
  heapFree: number;
  /** All memory that is mapped and not released. */
  mappedReady: number;
  /** GOMEMLIMIT; null or Infinity for none. */
  memoryLimit: number | null;
  /** Bytes per page of the system; a power of two. */
  physPageSize: number;
}

/** How much memory may stay, in bytes; null: the scavenger does not care. */
export interface Goals {
  /** Of `heapInUse` and `heapFree` together. */
  gcPercentGoal: number | null;
  /** Of `mappedReady`. */
  memoryLimitGoal: number | null;
}

const FIELDS = [
  "lastHeapInUse",
  "lastHeapGoal",
  "heapGoal",
  "heapInUse",
  "heapFree",
  "mappedReady",
  "memoryLimit",
  "physPageSize",
] as const;
/** Those that may be Infinity. */
const UNBOUNDED: readonly string[] = ["lastHeapGoal", "heapGoal", "memoryLimit"];
/** What Go has for a goal without end, as a double. */
const NO_END = 2 ** 64;

/**
 * Returns the scavenger's goals. Versions before 1.19 have no memory limit. 1.19 to 1.21 multiply it by 95 where 0.95
 * is meant, so that it has no effect; 1.22 does not. Throws TypeError or RangeError.
 */
export function pace(at: PaceInput, version: GoVersion): Goals {
  const given = readOptions("at", at, FIELDS) as PaceInput;
  for (const name of FIELDS) {
    const value = given[name];
    if (name === "memoryLimit" && value === null) continue;
    const most = UNBOUNDED.includes(name) ? Infinity : Number.MAX_VALUE;
    if (typeof value === "number" && value >= 0 && value <= most) continue;
    refuse(`at.${name}`, value, `a number of bytes from 0 to ${most}`, "number");
  }
  powerOfTwo("at.physPageSize", given.physPageSize, 1, 2 ** 48);
  readVersion("version", version, GO_VERSIONS);
  return { gcPercentGoal: gcPercentGoal(given), memoryLimitGoal: memoryLimitGoal(given, version) };
}

function gcPercentGoal(at: PaceInput): number | null {
  const { lastHeapInUse, lastHeapGoal, heapGoal, heapInUse, heapFree, physPageSize } = at;
  if (lastHeapGoal === 0) return null;
  const ratio = Math.min(heapGoal, NO_END) / Math.min(lastHeapGoal, NO_END);
  let goal = Math.trunc(lastHeapInUse * ratio);
  goal += Math.floor(goal / 10);
  goal = Math.ceil(goal / physPageSize) * physPageSize;
  const retained = heapInUse + heapFree;
  return retained <= goal || retained - goal < physPageSize ? null : goal;
}

function memoryLimitGoal({ mappedReady, memoryLimit }: PaceInput, version: GoVersion): number | null {
  if (memoryLimit === null || version === "1.14" || version === "1.15") return null;
  const goal = Math.trunc(memoryLimit * (version === "1.22" ? 0.95 : 95));
  return mappedReady <= goal ? null : goal;
}
