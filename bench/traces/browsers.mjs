// Replays a file in a browser: a page in which the file is chosen, as users do, and a worker.
import { findChromium, findFirefox } from "../../scripts/chromium.mjs";
import { inFirefoxPage, inPage, servePages } from "../../scripts/pages.mjs";
import { middle } from "../middle.mjs";
import { watchGrowth } from "./memory.mjs";

const CHOICE = "input[type=file]";
/** How long a task of the page may take, in ms. */
const TIMEOUT_MS = 600_000;
/** A frame is late if it comes after so many times the usual time. */
export const LATE = 1.5;

/** By the browser's name: how to find it, to open a page in it, and to choose a file there. */
const BROWSERS = {
  Chromium: {
    find: findChromium,
    open: inPage,
    choose: (page, path) => page.setInputFiles(CHOICE, path),
  },
  Firefox: {
    find: findFirefox,
    open: inFirefoxPage,
    choose: async (page, path) => (await page.$(CHOICE)).uploadFile(path),
  },
};

export const BROWSER_NAMES = Object.keys(BROWSERS);

/** Returns whether a browser is installed. */
export const hasBrowser = (name) => BROWSERS[name].find() !== undefined;

/**
 * The page in a browser. `choose(path)` chooses a file; `run(task, argument)` has the page do one of its tasks, which
 * are in browser/page.mjs.
 *
 * @typedef {object} TracePage
 * @property {(path: string) => Promise<void>} choose
 * @property {(task: string, argument?: number) => Promise<any>} run
 */

/**
 * Opens the page in a browser. Returns what `use` gives.
 *
 * @template Result
 * @param {string} name of the browser
 * @param {(page: TracePage) => Promise<Result>} use
 * @returns {Promise<Result>}
 */
export async function inTracePage(name, use) {
  const { open, choose } = BROWSERS[name];
  const server = await servePages();
  try {
    const url = server.url("bench/traces/browser/index.html");
    const useTasks = (page) =>
      use({
        choose: (path) => choose(page, path),
        run: (task, argument) =>
          page.evaluate(([task, argument]) => globalThis.tasks[task](argument), [task, argument]),
      });
    return await open(url, useTasks, { timeoutMs: TIMEOUT_MS });
  } finally {
    await server.close();
  }
}

/**
 * Replays a file in a browser so many times, and stops one more replay half way. After each, the page is idle for as
 * long, and then has a worker that only computes. Returns the counts, the medians of `ms` and `bytes`, the `stopMs`,
 * and of each of the three what the `frames` were meanwhile. `bytes` is by how much the page's process has grown;
 * undefined where that cannot be known.
 */
export const measureInBrowser = (name, path, rounds) =>
  inTracePage(name, async ({ choose, run }) => {
    await choose(path);
    const runs = [];
    const frames = { replay: [], idle: [], computing: [] };
    for (let round = 0; round < rounds; round++) {
      const growth = watchGrowth();
      const { report, ms, frames: replaying } = await run("replay");
      runs.push({ report, ms, bytes: growth() });
      frames.replay.push(...replaying);
      frames.idle.push(...(await run("idle", ms)).frames);
      frames.computing.push(...(await run("compute", ms)).frames);
    }
    const { events, addressMatches } = runs[0].report;
    const { stopMs } = await run("stop", events / 2);
    const usualMs = middle(frames.idle);
    return {
      events,
      addressMatches,
      ms: middle(runs.map(({ ms }) => ms)),
      bytes: middle(runs.map(({ bytes }) => bytes)),
      stopMs,
      frames: Object.fromEntries(
        Object.entries(frames).map(([kind, times]) => [kind, summaryOf(times, usualMs)]),
      ),
    };
  });

/** Sums up times between frames, in ms. */
function summaryOf(times, usualMs) {
  const medianMs = middle(times);
  return {
    count: times.length,
    late: times.filter((ms) => ms > LATE * usualMs).length,
    medianMs,
    p99Ms: times[Math.floor(0.99 * times.length)],
    longestMs: times.at(-1),
  };
}
