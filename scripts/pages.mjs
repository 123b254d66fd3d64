// Serves the project's own web pages, and runs them in headless Chromium or Firefox.
import { chromium } from "playwright";
import puppeteer from "puppeteer-core";
import { createServer } from "vite";
import { CHROMIUM_FLAGS, findChromium, findFirefox, ISOLATION_HEADERS } from "./chromium.mjs";
import { root } from "./files.mjs";

/**
 * Serves the project, by default cross-origin isolated. `packages` are the npm packages that the pages import.
 */
export async function servePages(packages = [], { isolated = true } = {}) {
  const server = await createServer({
    root,
    configFile: false,
    logLevel: "warn",
    server: { headers: isolated ? ISOLATION_HEADERS : {}, watch: null, hmr: false },
    optimizeDeps: { include: packages },
  });
  await server.listen();
  return {
    url: (path) => new URL(path, server.resolvedUrls.local[0]),
    close: () => server.close(),
  };
}

/**
 * Opens a page in headless Chromium. Returns what `use(page)` gives. `flags` are more flags for Chromium, and `prepare`
 * runs in the page before its own scripts.
 */
export async function inPage(url, use, { flags = [], prepare = () => {} } = {}) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error("No Chromium found: install one, or set PALLOC_CHROMIUM to its path.");
  const browser = await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS, ...flags] });
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.addInitScript(prepare);
    await page.goto(url.href);
    return await use(page);
  } finally {
    await browser.close();
  }
}

const ENDED = "#status[data-done], #status[data-failed]";

/** Returns what a page that has ended gives, from the data of its #status. */
function resultOf({ done, failed }) {
  if (failed) throw new Error(failed);
  return JSON.parse(done);
}

/**
 * Runs a page until it sets data-done or data-failed on its #status. Returns data-done, parsed as JSON, or throws
 * data-failed. `options` are those of `inPage`.
 */
export const runPage = (url, timeoutMs, options) =>
  inPage(
    url,
    async (page) => {
      const ended = page.locator(ENDED);
      await ended.waitFor({ state: "attached", timeout: timeoutMs });
      return resultOf(await ended.evaluate((element) => ({ ...element.dataset })));
    },
    options,
  );

/**
 * Opens a page in headless Firefox. Returns what `use(page)` gives. Each command may take `timeoutMs`, by default three
 * minutes. The driver is not Playwright, which cannot drive Firefox as distributions have it.
 */
export async function inFirefoxPage(url, use, { timeoutMs } = {}) {
  const executablePath = findFirefox();
  if (!executablePath) throw new Error("No Firefox found: install one.");
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    protocol: "webDriverBiDi",
    protocolTimeout: timeoutMs,
  });
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.goto(url.href);
    return await use(page);
  } finally {
    await browser.close();
  }
}

/** Runs a page in headless Firefox, as `runPage` does. */
export const runPageInFirefox = (url, timeoutMs) =>
  inFirefoxPage(
    url,
    async (page) => {
      await page.waitForSelector(ENDED, { timeout: timeoutMs });
      return resultOf(await page.$eval(ENDED, (element) => ({ ...element.dataset })));
    },
    { timeoutMs },
  );
