// Runs the example's page in headless Chromium, on a GPU in software.
import { chromium } from "playwright";
import { CHROMIUM_FLAGS, findChromium } from "../../scripts/chromium.mjs";
import { servePages } from "../../scripts/pages.mjs";

const WEBGPU_FLAGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const TIMEOUT_MS = 60_000;

export const PAGE = "examples/webgpu/index.html";

/**
 * Returns the lines that the page shows. Throws what went wrong in it. `flags` are Chromium's, and `prepare` runs in
 * the page before its own scripts.
 */
export async function runHeadless({ flags = WEBGPU_FLAGS, prepare = () => {} } = {}) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error("No Chromium found: install one, or set PALLOC_CHROMIUM to its path.");
  const server = await servePages();
  const browser = await chromium.launch({ executablePath, args: [...CHROMIUM_FLAGS, ...flags] });
  try {
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.addInitScript(prepare);
    await page.goto(server.url(PAGE).href);
    const ended = page.locator("#status[data-done], #status[data-failed]");
    await ended.waitFor({ state: "attached", timeout: TIMEOUT_MS });
    const { done, failed } = await ended.evaluate((element) => ({ ...element.dataset }));
    if (failed) throw new Error(failed);
    return JSON.parse(done);
  } finally {
    await browser.close();
    await server.close();
  }
}
