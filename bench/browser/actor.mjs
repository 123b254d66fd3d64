// One of several workers on a shared heap, as a web worker.
import { serveActor } from "../actor.mjs";
import { environment } from "./environment.mjs";

const answer = serveActor(environment, (message) => self.postMessage(message));
self.addEventListener("message", ({ data }) => answer(data));
