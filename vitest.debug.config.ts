// The suite over the debug build of the WebAssembly engine, whose assertions trap, and over the twin with its own.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, mergeConfig } from "vitest/config";
import { sources } from "./vitest.config.ts";

const debugBuild = fileURLToPath(new URL("build/palloc.debug.js", import.meta.url));
if (!existsSync(debugBuild)) throw new Error("build/palloc.debug.js is missing: run 'npm run build:wasm'.");

export default mergeConfig(
  sources(true, true),
  defineConfig({
    resolve: { alias: [{ find: /^.*\/build\/palloc\.pair\.js$/, replacement: debugBuild }] },
    test: {
      include: [
        "test/{ts,wasm,engine-arguments,model,metadata-full,workers}.test.ts",
        "test/debug/*.test.ts",
      ],
      testTimeout: 120_000,
    },
  }),
);
