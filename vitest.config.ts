// The suite over both engines, from the sources, in Node: with shared heaps and, in test/plain/, without. And the code
// blocks of the docs, on the built package.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));

/** The package's sources by the names of the entries. One text gives both kinds of entry, so a project has one kind. */
export const sources = (shared: boolean, debug = false) => ({
  define: { PALLOC_DEBUG: String(debug), PALLOC_SHARED: String(shared) },
  resolve: {
    alias: [
      { find: shared ? /^palloc\/shared$/ : /^palloc$/, replacement: source("index.ts") },
      { find: shared ? /^palloc\/ts\/shared$/ : /^palloc\/ts$/, replacement: source("ts.ts") },
      { find: /^palloc\/trace$/, replacement: source("trace.ts") },
    ],
  },
});

export default defineConfig({
  test: {
    projects: [
      {
        ...sources(true),
        test: {
          name: "shared",
          include: ["test/*.test.ts", "test/long/*.test.ts"],
          testTimeout: 120_000,
        },
      },
      {
        ...sources(false),
        test: {
          name: "plain",
          include: ["test/plain/*.test.ts", "test/long/plain/*.test.ts"],
          testTimeout: 120_000,
        },
      },
      {
        test: { name: "docs", include: ["test/docs/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
      },
    ],
    coverage: {
      provider: "v8",
      include: ["src/**"],
      reporter: ["text"],
      thresholds: { lines: 95 },
    },
  },
});
