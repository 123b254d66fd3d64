// The simplest policies. They use no more than anybody's can.

import { readOptions, refuse } from "../../base/arguments.ts";
import type { FreeRun, Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";

/** Releases nothing. */
export function none(): Policy {
  return { name: "none", start() {} };
}

/** Releases all that is free after every event. No policy retains less. */
export function all(): Policy {
  return {
    name: "all",
    start: releaseAtOnce,
  };
}

/** Has what is freed released at once, with the rest of its first and last page of the system, if that is free too. */
export function releaseAtOnce(heap: PolicyHeap): void {
  const unit = Math.max(heap.physPageSize, heap.pageSize);
  heap.onFree((base, nbytes) => {
    const start = Math.floor(base / unit) * unit;
    heap.release(start, Math.ceil((base + nbytes) / unit) * unit - start);
  });
}

/** Releases what the trace's scavenge events say. */
export function recorded(): Policy {
  return {
    name: "recorded",
    start: (heap) => heap.onRecordedRelease((base, nbytes) => heap.release(base, nbytes)),
  };
}

/** Options of the policy `goal`. */
export interface GoalOptions {
  /** Retained bytes per byte in use, at most: 1 or more. Default 1.1. */
  ratio?: number;
  /** How often to look, in ms of the trace: above 0. Default 100. */
  everyMs?: number;
  /** Which runs to release first: by address, by when they were freed, or by size. Default "highest". */
  order?: "highest" | "lowest" | "oldest" | "largest";
}

/** What comes first, by its number. */
const ORDERS: Record<Required<GoalOptions>["order"], (run: FreeRun) => number> = {
  highest: (run) => -run.base,
  lowest: (run) => run.base,
  oldest: (run) => run.freedAt,
  largest: (run) => -run.nbytes,
};

/** Keeps what is retained at so many times what is in use. Throws TypeError or RangeError. */
export function goal(options?: GoalOptions): Policy {
  const given = readOptions("options", options, ["ratio", "everyMs", "order"]);
  const { ratio = 1.1, everyMs = 100, order = "highest" } = given;
  if (!(ratio >= 1)) refuse("options.ratio", ratio, "a number of 1 or more", "number");
  if (!(everyMs > 0)) refuse("options.everyMs", everyMs, "a number of ms above 0", "number");
  if (!Object.hasOwn(ORDERS, order))
    refuse("options.order", order, '"highest", "lowest", "oldest" or "largest"', "string");
  const rank = ORDERS[order];
  return {
    name: policyName("goal", { ratio, everyMs, order }),
    start(heap) {
      const look = () => {
        heap.wakeAt(heap.now + everyMs * 1e6, look);
        let excess = heap.freeBytes - (ratio - 1) * heap.inUseBytes;
        if (excess <= 0) return;
        for (const { base, nbytes } of heap.freeRuns().sort((a, b) => rank(a) - rank(b))) {
          if (excess <= 0) return;
          excess -= heap.releaseDown(base + nbytes, Math.min(nbytes, excess));
        }
      };
      heap.wakeAt(heap.now + everyMs * 1e6, look);
    },
  };
}
