// A column of the scoreboard in a web worker. The worker's name is the column's.
import { columnIn } from "../column.mjs";
import { answerWith } from "../requests.mjs";
import { environment } from "./environment.mjs";

const post = (message) => self.postMessage(message);
const answer = answerWith(self.name, columnIn(self.name, environment), post);
self.addEventListener("message", ({ data }) => answer(data));
