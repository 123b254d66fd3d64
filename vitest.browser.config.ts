// The suite over both engines in headless Chromium, against the built package; and tests that open pages of their own,
// from Node, as vitest's own page is always isolated.
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { CHROMIUM_FLAGS, findChromium, ISOLATION_HEADERS } from "./scripts/chromium.mjs";

const executablePath = findChromium();
if (!executablePath) throw new Error("No Chromium found: install one, or set PALLOC_CHROMIUM to its path.");

const built = (file: string) => fileURLToPath(new URL(`dist/${file}`, import.meta.url));

export default defineConfig({
  test: {
    projects: [
      {
        resolve: {
          alias: [
            { find: /^palloc$/, replacement: built("index.js") },
            { find: /^palloc\/ts$/, replacement: built("ts.js") },
            { find: /^palloc\/shared$/, replacement: built("shared.js") },
            { find: /^palloc\/ts\/shared$/, replacement: built("ts-shared.js") },
            { find: /^palloc\/trace$/, replacement: built("trace.js") },
          ],
        },
        server: { headers: ISOLATION_HEADERS },
        // Known from the start: a dependency that is found in mid-run reloads the page under the tests.
        optimizeDeps: { include: ["fast-check"] },
        test: {
          name: "suite",
          include: [
            "test/{wasm,ts,engines}.test.ts",
            "test/plain/{wasm,ts,entries}.test.ts",
            "test/browser/*.test.ts",
            "test/long/browser/*.test.ts",
          ],
          testTimeout: 300_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: { executablePath, args: CHROMIUM_FLAGS } }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
      {
        test: {
          name: "pages",
          include: ["test/pages/*.test.ts"],
          testTimeout: 300_000,
          // After the suite: a second browser would take time from what the suite measures.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
