// A column of the scoreboard in a web worker, which is called by the column's name.
import { serveColumn } from "../column.mjs";
import { environment } from "./environment.mjs";

const answer = serveColumn(self.name, environment, (message) => self.postMessage(message));
self.addEventListener("message", ({ data }) => answer(data));
