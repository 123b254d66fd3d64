// The suite over both engines in headless Chromium, against the built package; and tests that open pages of their own,
// from Node, as vitest's own page is always isolated.
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { CHROMIUM_FLAGS, findChromium, ISOLATION_HEADERS } from "./scripts/chromium.mjs";
import { built } from "./vitest.config.ts";

const executablePath = findChromium();
if (!executablePath) throw new Error("No Chromium found: install one, or set PALLOC_CHROMIUM to its path.");

export default defineConfig({
  test: {
    projects: [
      {
        ...built,
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
        ...built,
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
