// A worker thread of Node.
import { parentPort, workerData } from "node:worker_threads";
import { work } from "./worker.mjs";

work(workerData, (message) => parentPort.postMessage(message));
