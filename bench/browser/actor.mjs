// One of several workers on a shared heap, as a web worker.
import { actorIn } from "../actor.mjs";
import { answerWith } from "../requests.mjs";
import { environment } from "./environment.mjs";

const answer = answerWith("actor", actorIn(environment), (message) => self.postMessage(message));
self.addEventListener("message", ({ data }) => answer(data));
