// Reads a trace in a thread of its own, so that one block is decoded while another is used. See read-worker.ts.

import { Worker } from "node:worker_threads";
import type { PageTrace, ReadOptions, TraceStream } from "palloc/trace";

/** What the thread reads. */
export interface ReadTask {
  readonly path: string;
  readonly gcLog: string | undefined;
  readonly options: Pick<ReadOptions, "format" | "device" | "limit" | "window">;
}

/** What the thread sends. It is sent how many more blocks it may send. */
export type FromThread =
  | { readonly about: Pick<TraceStream, "format" | "pageSize" | "origin"> }
  | { readonly block: PageTrace }
  | { readonly progress: readonly [done: number, total: number | undefined] }
  | { readonly error: SentError }
  | "end";

/** An error, whose class and code do not survive the way. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly code: unknown;
  readonly stack: string | undefined;
}

/** Blocks that are decoded before they are needed. */
const BLOCKS_AHEAD = 8;

/** A trace that a thread reads. */
export interface ThreadTrace extends TraceStream {
  /** Ends the thread. */
  close(): void;
}

/**
 * Opens a trace as `openTrace` does, in a thread.
 *
 * @param program the built read-worker.js
 */
export async function openInThread(
  program: URL,
  task: ReadTask,
  onProgress: (done: number, total: number | undefined) => void,
): Promise<ThreadTrace> {
  const worker = new Worker(program, { workerData: task });
  const close = () => void worker.terminate();
  const inbox = new Inbox();
  worker.on("error", (error) => inbox.fail(error));
  worker.on("exit", () => inbox.fail(new Error("the thread that reads the trace has ended early")));
  worker.on("message", (message: FromThread) => {
    if (message !== "end" && "progress" in message) onProgress(...message.progress);
    else inbox.put(message);
  });
  try {
    const first = await inbox.take();
    if (first === "end" || !("about" in first)) throw new Error("the thread did not say what it reads");
    worker.postMessage(BLOCKS_AHEAD);
    return {
      ...first.about,
      close,
      async *[Symbol.asyncIterator]() {
        for (let message = await inbox.take(); message !== "end"; message = await inbox.take()) {
          if (!("block" in message)) continue;
          worker.postMessage(1);
          yield message.block;
        }
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** What has arrived, in order. Errors are thrown by who takes them. */
class Inbox {
  readonly #messages: FromThread[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  put(message: FromThread): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  async take(): Promise<FromThread> {
    while (this.#messages.length === 0) {
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#messages.shift() as FromThread;
    if (message !== "end" && "error" in message) throw revived(message.error);
    return message;
  }
}

function revived({ name, message, code, stack }: SentError): Error {
  const type = name === "TypeError" ? TypeError : name === "RangeError" ? RangeError : Error;
  return Object.assign(new type(message), { stack }, code === undefined ? {} : { code });
}
