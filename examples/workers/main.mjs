// The example in Node.
//
//   node examples/workers/main.mjs
import { Worker } from "node:worker_threads";
import { run } from "./run.mjs";

/** Starts a worker thread. Returns what terminates it, and resolves once it is gone. */
function spawn(task, onMessage, onError) {
  const worker = new Worker(new URL("node-worker.mjs", import.meta.url), { workerData: task });
  worker.on("message", onMessage);
  worker.on("error", onError);
  return () => worker.terminate();
}

const { table, lines } = await run(spawn);
console.table(table);
for (const line of lines) console.log(line);
