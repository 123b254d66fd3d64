// Workers of Node: worker_threads, with their script bundled from the sources.
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { type Crew, handOf } from "./crew.ts";

/** The crew of Node. */
export async function nodeCrew(): Promise<Crew> {
  const script = await bundle("node-entry.ts");
  return {
    platform: "node",
    start() {
      const worker = new Worker(script, { eval: true });
      return handOf({
        post: (task) => worker.postMessage(task),
        listen(answer, failed) {
          worker.on("message", answer);
          worker.on("error", failed);
        },
        async kill() {
          await worker.terminate();
        },
      });
    },
  };
}

/** A script of this folder, in which tsconfig.json's paths stand for the package. */
export async function bundle(script: string): Promise<string> {
  const entry = fileURLToPath(new URL(script, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "es2022",
    define: { PALLOC_DEBUG: String(PALLOC_DEBUG), PALLOC_SHARED: "true" },
    logLevel: "warning",
  });
  return outputFiles[0].text;
}
