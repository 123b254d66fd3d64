// What the cases need from Node or Bun: built files, traces, the memory that the process takes, and other workers.
import { readFile } from "node:fs/promises";
import { memoryUsage } from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { askWith } from "./requests.mjs";

const at = (path) => new URL(`../${path}`, import.meta.url);

/** Frees what is garbage, and returns when that has been done. */
function collectGarbage() {
  if (globalThis.Bun) return globalThis.Bun.gc(true);
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

/** The environment in Node and Bun. bench/browser/environment.mjs is the one in browsers. */
export const environment = {
  importBuilt: (file) => import(at(`dist/${file}`)),
  importInside: (file) => import(at(`build/bench/${file}`)),
  loadInside: (file) => readFile(at(`build/bench/${file}`)),
  loadTrace: async (file) => new Uint8Array(await readFile(at(`test/fixtures/traces/${file}`))),
  residentBytes() {
    collectGarbage();
    return memoryUsage.rss();
  },
  startActor() {
    const worker = new Worker(new URL("node-actor.mjs", import.meta.url));
    const ask = askWith(
      (message) => worker.postMessage(message),
      (take) => worker.on("message", take),
    );
    return { ask, end: () => worker.terminate() };
  },
};
