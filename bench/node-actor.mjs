// One of several workers on a shared heap, as a worker thread of Node.
import { parentPort } from "node:worker_threads";
import { serveActor } from "./actor.mjs";
import { environment } from "./environment.mjs";

const answer = serveActor(environment, (message) => parentPort.postMessage(message));
parentPort.on("message", answer);
