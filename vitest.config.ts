// The suite over both engines, from the sources, in Node.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));

export default defineConfig({
  define: { PALLOC_DEBUG: "false" },
  resolve: {
    alias: [
      { find: /^palloc$/, replacement: source("index.ts") },
      { find: /^palloc\/ts$/, replacement: source("ts.ts") },
      { find: /^palloc\/trace$/, replacement: source("trace.ts") },
    ],
  },
  test: {
    include: ["test/*.test.ts", "test/long/*.test.ts"],
    testTimeout: 120_000,
    coverage: {
      provider: "v8",
      include: ["src/**"],
      reporter: ["text"],
      thresholds: { lines: 95 },
    },
  },
});
