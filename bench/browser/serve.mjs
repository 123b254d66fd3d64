// Serves the benchmark's page; with --headless, runs it in Chromium and prints the scoreboard.
//
//   npm run bench:browser -- [--headless [--quick] [--only PATTERN]]
import { parseArgs } from "node:util";
import { chromium } from "playwright";
import { createServer } from "vite";
import { CHROMIUM_FLAGS, findChromium, ISOLATION_HEADERS } from "../../scripts/chromium.mjs";
import { root } from "../../scripts/files.mjs";
import { buildInside } from "../inside/build.mjs";
import { printTables } from "../report/terminal.mjs";

const { values: options } = parseArgs({
  options: {
    headless: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

/** Runs the page in headless Chromium. Gives its results, or throws what it threw. */
async function runHeadless(url) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error("No Chromium found: install one, or set PALLOC_CHROMIUM to its path.");
  const browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.goto(url);
    const ended = page.locator("#status[data-done], #status[data-failed]");
    await ended.waitFor({ state: "attached", timeout: 3_600_000 });
    const { done, failed } = await ended.evaluate((element) => ({ ...element.dataset }));
    if (failed) throw new Error(failed);
    return JSON.parse(done);
  } finally {
    await browser.close();
  }
}

await buildInside();
const server = await createServer({
  root,
  configFile: false,
  logLevel: "warn",
  server: { headers: ISOLATION_HEADERS, watch: null, hmr: false },
  optimizeDeps: { include: ["tinybench"] },
});
await server.listen();
const url = new URL("bench/browser/index.html", server.resolvedUrls.local[0]);
if (options.headless) {
  if (options.quick) url.searchParams.set("quick", "");
  url.searchParams.set("only", options.only);
  try {
    const { header, columns, rows } = await runHeadless(url.href);
    console.log(header.browser);
    printTables(rows, columns);
  } finally {
    await server.close();
  }
} else {
  console.log(url.href);
}
