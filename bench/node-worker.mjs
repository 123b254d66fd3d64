// A column of the scoreboard in a worker thread of Node.
import { parentPort, workerData } from "node:worker_threads";
import { serveColumn } from "./column.mjs";
import { environment } from "./environment.mjs";

const answer = serveColumn(workerData, environment, (message) => parentPort.postMessage(message));
parentPort.on("message", answer);
