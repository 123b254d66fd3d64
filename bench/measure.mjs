// Times one case on one column. Operations that take nanoseconds run in a loop inside what is timed, often enough for
// the clock; what they give is added up, so that no compiler can leave them out.
import { Bench } from "tinybench";

/** What a timed run should take at least: two hundred times the 5 µs that the clock of a browser can tell apart. */
const RUN_MS = 1;
const MOST_SAMPLES = 2000;

/** What all runs gave, added up. */
const sink = { sum: 0 };

/** Runs once. Returns the time of the run, and of it with what prepares it, in ms. */
function once({ prepare, run }, operations) {
  const before = performance.now();
  prepare?.();
  const start = performance.now();
  sink.sum += run(operations);
  const end = performance.now();
  return { took: end - start, wall: end - before };
}

/**
 * Warms up, and finds how often to run the operation within a timed run. Compilers are at work meanwhile: only the
 * better of two runs counts, and as the code gets faster, it is run more often.
 */
function calibrate(task, warmupMs) {
  const { most = Infinity } = task;
  const deadline = performance.now() + warmupMs;
  for (let operations = 1; ; ) {
    const [one, other] = [once(task, operations), once(task, operations)];
    if (Math.min(one.took, other.took) < RUN_MS && operations < most) {
      operations = Math.min(most, operations * 2);
    } else if (performance.now() >= deadline) {
      return { operations, wall: Math.min(one.wall, other.wall) };
    }
  }
}

/**
 * Times a case. `task` has `run(operations)`, which gives a number made of all results; `prepare()`, untimed, before
 * each run; `most`, the operations after which a run must end; `check`, the operations whose number all columns must
 * agree on; `clock(operations)`, if the case has its own idea of how long the latest run took, in ms.
 *
 * Returns ns per operation.
 *
 * @param {object} task
 * @param {{ budgetMs: number, warmupMs: number, leastSamples: number }} settings
 */
export function measure(task, { budgetMs, warmupMs, leastSamples }) {
  task.prepare?.();
  const check = task.run(task.check ?? 1);
  const { operations, wall } = calibrate(task, warmupMs);
  const iterations = Math.max(leastSamples, Math.min(MOST_SAMPLES, Math.ceil(budgetMs / wall)));
  const bench = new Bench({ time: 0, iterations, warmup: false, throws: true });
  const run = () => {
    sink.sum += task.run(operations);
    return task.clock && { overriddenDuration: task.clock(operations) };
  };
  bench.add("case", run, { beforeEach: () => task.prepare?.() });
  const [{ result }] = bench.runSync();
  const { min, p50, p99 } = result.latency;
  const scale = 1e6 / (operations * (task.unitsPerOperation ?? 1));
  return {
    min: min * scale,
    median: p50 * scale,
    p99: p99 * scale,
    check,
  };
}
