// All cases of the benchmark. A case is
//   group, name, input   say what it is, in the table; together they are its id
//   columns              the columns that have it, besides native C
//   create(column)       returns the task that measure.mjs times. Some cases have value(column, settings) instead. It
//                        returns a number in `unit`, by default ns, or a promise of one
//                        The heaps of peers need not have dispose()
//   native               what to ask of the C program: its arguments, and a function that returns its input. `program`
//                        names another than main.c
import { kernelInputs } from "../inputs.mjs";
import { cacheCases } from "./caches.mjs";
import { growthCases } from "./growth.mjs";
import { heapCases } from "./heap.mjs";
import { kernelCases } from "./kernels.mjs";
import { manyCases } from "./many.mjs";
import { peerCases } from "./peers.mjs";
import { replayCases, TRACES } from "./replay.mjs";
import { steadyCases } from "./steady.mjs";
import { workerCases } from "./workers.mjs";

/**
 * Returns the cases, in the order of the table. `environment` has what differs between Node and browsers. For example,
 * `loadTrace(file)` gives the bytes of a trace, and `startActor()` starts actor.mjs in a worker, as `{ ask, end }`.
 * Only Node has `residentBytes()`.
 */
export async function allCases(environment) {
  const { readPageTrace, replay } = await environment.importBuilt("trace.js");
  const { layout } = await environment.importInside("twin.js");
  const traces = {};
  for (const file of TRACES) traces[file] = await readPageTrace(await environment.loadTrace(file));
  return [
    ...kernelCases(kernelInputs(traces[TRACES[0]])),
    ...steadyCases(traces[TRACES[0]]),
    ...peerCases(),
    ...heapCases(),
    ...growthCases(layout),
    ...manyCases(environment),
    ...cacheCases(replay),
    ...replayCases(traces, replay),
    ...workerCases(environment),
  ].map((each) => ({ ...each, id: [each.group, each.name, each.input].filter(Boolean).join(" | ") }));
}
