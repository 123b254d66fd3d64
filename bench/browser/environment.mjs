// What the cases need from a browser: other workers, and the built files and traces that serve.mjs serves.
import { askWith } from "../requests.mjs";

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The environment in a browser. It has no `residentBytes`, as a page cannot see the memory of its process. */
export const environment = {
  importBuilt: (file) => import(/* @vite-ignore */ `/dist/${file}`),
  importInside: (file) => import(/* @vite-ignore */ `/build/bench/${file}`),
  loadInside: (file) => load(`/build/bench/${file}`),
  loadTrace: (file) => load(`/test/fixtures/traces/${file}`),
  startActor() {
    const worker = new Worker(new URL("actor.mjs", import.meta.url), { type: "module" });
    // Outside a request, as when it loads. Nobody waits for this error, so it ends the column, and with it the run.
    worker.addEventListener("error", ({ message = "an actor did not start" }) => {
      throw new Error(message);
    });
    const ask = askWith(
      (message) => worker.postMessage(message),
      (take) => worker.addEventListener("message", ({ data }) => take(data)),
    );
    return { ask, end: () => worker.terminate() };
  },
};
