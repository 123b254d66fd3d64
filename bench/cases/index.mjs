// All cases of the benchmark. A case is
//   group, name, input   what it is, for the table; together its id
//   columns              those that it can be run on, besides native C
//   create(column)       gives what measure.mjs times; or value(column, settings), which gives or
//                        promises a number of `unit`, ns by default
//   native               what the C program is asked for: arguments, and a function that gives its input
import { kernelInputs } from "../inputs.mjs";
import { cacheCases } from "./caches.mjs";
import { heapCases, sizeCases } from "./heap.mjs";
import { kernelCases } from "./kernels.mjs";
import { manyCases } from "./many.mjs";
import { replayCases, TRACES } from "./replay.mjs";
import { workerCases } from "./workers.mjs";

/**
 * The cases, in the order of the table. `environment` says what differs between Node and browsers: among other things
 * `loadTrace(file)`, the bytes of a trace, `residentBytes()`, if there is such a thing, and `startActor()`, which
 * starts actor.mjs in a worker, as `{ ask, end }`.
 */
export async function allCases(environment) {
  const { readPageTrace, replay } = await environment.importBuilt("trace.js");
  const traces = {};
  for (const file of TRACES) traces[file] = await readPageTrace(await environment.loadTrace(file));
  return [
    ...kernelCases(kernelInputs(traces[TRACES[0]])),
    ...heapCases(),
    ...sizeCases(),
    ...manyCases(environment),
    ...cacheCases(replay),
    ...replayCases(traces, replay),
    ...workerCases(environment),
  ].map((each) => ({ ...each, id: [each.group, each.name, each.input].filter(Boolean).join(" | ") }));
}
