// Times one case on one column. An operation that takes nanoseconds runs in a loop, often enough for the clock to see.
// The results are added up, so that no compiler can leave the operations out.
import { Bench } from "tinybench";

/** The least time of a timed run: two hundred times the 5 µs that the clock of an isolated page can tell apart. */
const RUN_MS = 1;
const MOST_SAMPLES = 2000;

/** The results of all runs, added up. */
const sink = { sum: 0 };

/** Runs once. Returns the time of the run, and the time of prepare and run together, in ms. */
function once({ prepare, run }, operations) {
  const before = performance.now();
  prepare?.();
  const start = performance.now();
  sink.sum += run(operations);
  const end = performance.now();
  return { took: end - start, wall: end - before };
}

/**
 * Warms up, and finds how often to run the operation within a timed run. Compilers are at work meanwhile, so the better
 * of two runs counts. As the code gets faster, the operation runs more often.
 */
function calibrate(task, warmupMs) {
  const { least = 1, most = Infinity } = task;
  const deadline = performance.now() + warmupMs;
  for (let operations = least; ; ) {
    const [one, other] = [once(task, operations), once(task, operations)];
    if (Math.min(one.took, other.took) < RUN_MS && operations < most) {
      operations = Math.min(most, operations * 2);
    } else if (performance.now() >= deadline) {
      return { operations, wall: Math.min(one.wall, other.wall) };
    }
  }
}

/**
 * Times a case. Returns ns per operation. A task has
 *
 * - `run(operations)`: returns a number made of all results
 * - `prepare()`: is called before each run, and not timed
 * - `least`, `most`: the fewest and the most operations of a run
 * - `check`: a number of operations; all columns must return the same number for them
 * - `clock(operations)`: the time of the latest run in ms, if the case measures it itself
 *
 * @param {object} task
 * @param {{ budgetMs: number, warmupMs: number, leastSamples: number }} settings
 */
export function measure(task, { budgetMs, warmupMs, leastSamples }) {
  if (task.checked === undefined) {
    // Only once: in the steady state, later rounds start elsewhere.
    task.prepare?.();
    task.checked = task.run(task.check ?? 1);
  }
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
    check: task.checked,
  };
}
