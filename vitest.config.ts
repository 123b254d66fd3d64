// The suite over both engines, from the sources, in Node: with shared heaps and, in test/plain/, without. And, on the
// built package, the code blocks of the docs and the tests that the sources cannot stand for.
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
      { find: /^palloc\/arena$/, replacement: source("arena.ts") },
      { find: /^palloc\/lab$/, replacement: source("lab.ts") },
      { find: /^palloc\/trace$/, replacement: source("trace.ts") },
    ],
  },
});

const dist = (file: string) => fileURLToPath(new URL(`dist/${file}`, import.meta.url));

/** The built package by the names of the entries. */
export const built = {
  resolve: {
    alias: [
      { find: /^palloc$/, replacement: dist("index.js") },
      { find: /^palloc\/ts$/, replacement: dist("ts.js") },
      { find: /^palloc\/shared$/, replacement: dist("shared.js") },
      { find: /^palloc\/ts\/shared$/, replacement: dist("ts-shared.js") },
      { find: /^palloc\/arena$/, replacement: dist("arena.js") },
      { find: /^palloc\/lab$/, replacement: dist("lab.js") },
      { find: /^palloc\/trace$/, replacement: dist("trace.js") },
    ],
  },
};

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
          include: ["test/plain/*.test.ts"],
          testTimeout: 120_000,
        },
      },
      {
        ...built,
        test: {
          name: "built",
          include: ["test/long/built/*.test.ts"],
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
