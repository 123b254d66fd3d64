// A column of `palloc bench` in a worker of Node. The worker's data is the column's name.

import { parentPort, workerData } from "node:worker_threads";
import { columnIn } from "./bench-column.ts";

parentPort?.on(
  "message",
  columnIn(workerData, (message) => parentPort?.postMessage(message)),
);
