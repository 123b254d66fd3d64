// The suite over the debug build of the WebAssembly engine, with its assertions, and over the twin with its own.
import { fileURLToPath } from "node:url";
import { defineConfig, mergeConfig } from "vitest/config";
import config from "./vitest.config.ts";

export default mergeConfig(
  config,
  defineConfig({
    define: { PALLOC_DEBUG: "true" },
    resolve: {
      alias: [
        {
          find: /^.*\/build\/palloc\.wasm\.js$/,
          replacement: fileURLToPath(new URL("build/palloc.debug.wasm.js", import.meta.url)),
        },
      ],
    },
  }),
);
