// Workers, the same to a test in Node and in a browser: they are started, given jobs, and ended at any moment.
import type { Call, Jobs } from "./jobs.ts";

/** What a worker is sent. */
export interface Task {
  id: number;
  job: keyof Jobs;
  engine: EngineName;
  options: unknown;
}

/** What it answers, first of all with id 0: that it is ready. */
export interface Answer {
  id: number;
  result?: unknown;
  error?: { message: string; code?: string; name: string };
}

export type EngineName = "wasm" | "ts";
export const ENGINES: readonly EngineName[] = ["wasm", "ts"];

/** One worker. */
export interface Hand {
  /** Runs a job in it on that engine. Returns what the job gave, or throws what it threw. */
  run<K extends keyof Jobs>(
    job: K,
    engine: EngineName,
    options: Parameters<Jobs[K]>[1],
  ): Promise<Awaited<ReturnType<Jobs[K]>>>;
  /** Makes calls on a shared heap in it, one after the other; see the job. */
  call(engine: EngineName, options: Parameters<Jobs["call"]>[1], ...calls: Call[]): Promise<unknown[]>;
  /** Ends it, whatever it is doing. Resolves once it does nothing any more. */
  kill(): Promise<void>;
}

/** A platform's workers. */
export interface Crew {
  readonly platform: "node" | "browser";
  start(): Promise<Hand>;
}

/** What platforms differ in. */
export interface RawWorker {
  post(task: Task): void;
  /** Says what to do with each answer, and with an error that is the worker's end. */
  listen(answer: (answer: Answer) => void, failed: (error: Error) => void): void;
  kill(): Promise<void>;
}

/** Makes a hand of a worker that has just been started, once it is ready. */
export async function handOf(worker: RawWorker): Promise<Hand> {
  const waiting = new Map<number, PromiseWithResolvers>();
  let tasks = 0;
  const wait = (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
    });
  worker.listen(
    ({ id, result, error }) => {
      if (error) waiting.get(id)?.reject(Object.assign(new Error(error.message), error));
      else waiting.get(id)?.resolve(result);
      waiting.delete(id);
    },
    (error) => {
      for (const { reject } of waiting.values()) reject(error);
    },
  );
  const run = (job: keyof Jobs, engine: EngineName, options: unknown) => {
    const id = ++tasks;
    worker.post({ id, job, engine, options });
    return wait(id);
  };
  await wait(0);
  return {
    run: run as Hand["run"],
    call: (engine, options, ...calls) => run("call", engine, { ...options, calls }) as Promise<unknown[]>,
    kill: () => worker.kill(),
  };
}

interface PromiseWithResolvers {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Runs `work` with that many workers, which are ended when it is done. */
export async function withHands<T>(
  crew: Crew,
  count: number,
  work: (...hands: Hand[]) => Promise<T>,
): Promise<T> {
  const hands = await Promise.all(Array.from({ length: count }, () => crew.start()));
  try {
    return await work(...hands);
  } finally {
    await Promise.all(hands.map((hand) => hand.kill()));
  }
}
