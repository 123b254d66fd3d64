// What runs in a worker: it takes a task, loads the engine that the task names, and does the job.
import type { Answer, Task } from "./crew.ts";
import { jobs } from "./jobs.ts";

// Loaded when wanted, so that a job can change the worker's globals first.
const engines = {
  wasm: () => import("palloc/shared"),
  ts: () => import("palloc/ts/shared"),
};

/** Does a job. The job may throw; the answer says so. */
export async function serve({ id, job, engine, options }: Task): Promise<Answer> {
  try {
    return { id, result: await jobs[job](engines[engine], options as never) };
  } catch (thrown) {
    const { message, name, code } = thrown as Error & { code?: string };
    return { id, error: { message, name, code } };
  }
}
