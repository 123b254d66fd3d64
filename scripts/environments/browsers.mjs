// The browsers: Chromium and Firefox, both over WebDriver BiDi, each started when it is first needed.
import puppeteer from "puppeteer-core";
import { CHROMIUM_FLAGS, findChromium, findFirefox } from "../chromium.mjs";
import { checkOutput, isReport } from "./try-out.mjs";

const TIMEOUT_MS = 60_000;

const BROWSERS = {
  Chromium: { find: findChromium, options: { browser: "chrome", args: CHROMIUM_FLAGS } },
  Firefox: { find: findFirefox, options: { browser: "firefox" } },
};
const started = new Map();

/** Thrown if an environment needs something that is not installed and that npm does not have. */
export class NotHere extends Error {}

/** Throws NotHere unless the browser is installed. */
export function needs(name) {
  if (!BROWSERS[name].find()) throw new NotHere(`no ${name} was found`);
}

function start(name) {
  if (!started.has(name)) {
    needs(name);
    const { find, options } = BROWSERS[name];
    started.set(
      name,
      puppeteer.launch({ ...options, executablePath: find(), headless: true, protocol: "webDriverBiDi" }),
    );
  }
  return started.get(name);
}

/** Opens a page in which the program runs, and checks what the program writes to the console. */
export async function checkPage(name, url, options) {
  const browser = await start(name);
  const page = await browser.newPage();
  const others = [];
  try {
    const line = await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${url} said nothing\n${others.join("\n")}`)),
        TIMEOUT_MS,
      );
      page.on("console", (message) => {
        if (!isReport(message.text())) return others.push(message.text());
        clearTimeout(timer);
        resolve(message.text());
      });
      page.on("pageerror", (error) => others.push(String(error)));
      page.goto(url).catch(reject);
    });
    checkOutput(line, options);
  } finally {
    await page.close();
  }
}

/** Ends the browsers that were started. */
export async function closeBrowsers() {
  for (const browser of await Promise.allSettled(started.values())) await browser.value?.close();
}
