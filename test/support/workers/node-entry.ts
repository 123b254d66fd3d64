// A worker's script, for worker_threads.
import { parentPort } from "node:worker_threads";
import { serve } from "./serve.ts";

parentPort?.on("message", async (task) => parentPort?.postMessage(await serve(task)));
parentPort?.postMessage({ id: 0 });
