// One run of a sweep, in whichever thread.

import type { SimulateReport } from "palloc/lab";
import type { PageTrace } from "palloc/trace";
import type { RunSpec } from "./grid.ts";

/** What a thread needs for a run. The trace's columns may be shared. */
export interface SweepTask {
  readonly trace: PageTrace;
  readonly run: RunSpec;
  readonly engine: "wasm" | "ts";
  readonly costs: "go" | "measured";
}

/** Simulates a run. Rejects with what the library throws. */
export async function runTask({ trace, run, engine, costs }: SweepTask): Promise<SimulateReport> {
  const { parsePolicy, simulate } = await import("palloc/lab");
  const { PageAlloc } = engine === "ts" ? await import("palloc/ts") : await import("palloc");
  const { pageSize, physPageSize, memoryLimit } = run;
  const policy = parsePolicy(run.policy);
  return simulate(PageAlloc, trace, { policy, pageSize, physPageSize, memoryLimit, costs, samples: 0 });
}
