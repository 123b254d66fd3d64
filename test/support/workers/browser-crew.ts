// Workers of a browser.
import { type Crew, handOf } from "./crew.ts";

let started = 0;

/** The crew of a browser. */
export const browserCrew: Crew = {
  platform: "browser",
  start() {
    const name = `palloc-worker-${++started}`;
    const worker = new Worker(new URL("./browser-entry.ts", import.meta.url), { type: "module", name });
    return handOf({
      post: (task) => worker.postMessage(task),
      listen(answer, failed) {
        worker.addEventListener("message", ({ data }) => answer(data));
        worker.addEventListener("error", ({ message }) => failed(new Error(message || "did not load")));
      },
      async kill() {
        worker.terminate();
        await navigator.locks.request(name, () => {});
      },
    });
  },
};
