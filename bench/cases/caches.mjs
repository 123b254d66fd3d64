// Many page caches at once: how much they slow down a replay.
import { middle } from "../middle.mjs";

const PROCS = 40_000;
const EVENTS = 200_000;
const ROUNDS = 5;

/** Returns a trace in which the Ps allocate and free single pages, one P after the other. */
function traceOf(procs) {
  const trace = {
    length: EVENTS,
    time: Float64Array.from({ length: EVENTS }, (_, i) => i * 128),
    proc: Int32Array.from({ length: EVENTS }, (_, i) => i % procs),
    kind: new Uint8Array(EVENTS),
    base: new Float64Array(EVENTS),
    npages: new Uint32Array(EVENTS).fill(1),
  };
  // Each page is freed 500 events after it is allocated.
  let allocated = 0;
  let freed = 0;
  for (let i = 0; i < EVENTS; i++) {
    const frees = allocated - freed >= 500;
    trace.kind[i] = frees ? 2 : 1;
    trace.base[i] = (frees ? freed++ : allocated++) * 8192;
  }
  return trace;
}

/** Returns the median of some ratios of one time to another, which are measured by turns. */
function ratio(measure, baseline) {
  measure();
  baseline();
  return middle(Array.from({ length: ROUNDS }, () => measure() / baseline()));
}

/** Returns the cases on many page caches. */
export function cacheCases(replay) {
  const few = traceOf(1);
  const many = traceOf(PROCS);
  const timed = (PageAlloc, trace) => {
    const start = performance.now();
    replay(PageAlloc, trace, { samples: 0 });
    return performance.now() - start;
  };
  return [
    {
      group: "many page caches",
      name: "replay, to that of 1 P",
      input: `${PROCS.toLocaleString("en")} Ps, ${EVENTS.toLocaleString("en")} events`,
      unit: "ratio",
      columns: ["ts", "wasm"],
      value: ({ PageAlloc }) =>
        ratio(
          () => timed(PageAlloc, many),
          () => timed(PageAlloc, few),
        ),
    },
  ];
}
