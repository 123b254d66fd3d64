// A column of the scoreboard in a worker thread of Node.
import { parentPort, workerData } from "node:worker_threads";
import { columnIn } from "./column.mjs";
import { environment } from "./environment.mjs";
import { answerWith } from "./requests.mjs";

const post = (message) => parentPort.postMessage(message);
const answer = answerWith(workerData, columnIn(workerData, environment), post);
parentPort.on("message", answer);
