// The suite over the debug build of the WebAssembly engine, whose assertions trap, and over the twin with its own.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, mergeConfig } from "vitest/config";
import config from "./vitest.config.ts";

const debugBuild = fileURLToPath(new URL("build/palloc.debug.wasm.js", import.meta.url));
if (!existsSync(debugBuild))
  throw new Error("build/palloc.debug.wasm.js is missing: delete build/ and run 'npm run build:wasm'.");

const debug = mergeConfig(
  config,
  defineConfig({
    define: { PALLOC_DEBUG: "true" },
    resolve: { alias: [{ find: /^.*\/build\/palloc\.wasm\.js$/, replacement: debugBuild }] },
  }),
);
debug.test.include = [
  "test/{ts,wasm,engine-arguments,model,metadata-full,workers}.test.ts",
  "test/debug/*.test.ts",
];

export default debug;
