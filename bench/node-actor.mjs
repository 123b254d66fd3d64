// One of several workers on a shared heap, as a worker thread of Node.
import { parentPort } from "node:worker_threads";
import { actorIn } from "./actor.mjs";
import { environment } from "./environment.mjs";
import { answerWith } from "./requests.mjs";

const answer = answerWith("actor", actorIn(environment), (message) => parentPort.postMessage(message));
parentPort.on("message", answer);
