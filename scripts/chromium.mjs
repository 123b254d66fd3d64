// Where the browsers for tests and benchmarks are, and the flags and headers that they need.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Flags for Chromium: it may run as root, needs no GPU and does not use the network on its own. */
export const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Headers that make a page cross-origin isolated. Other pages have no shared memory. */
export const ISOLATION_HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Returns the path of the first of some commands that is in /usr/bin or on PATH. */
function firstOnPath(names) {
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(executable);
}

/** Returns the path of a Chromium: PALLOC_CHROMIUM if that is set, else the first found. Undefined if there is none. */
export function findChromium() {
  const named = process.env.PALLOC_CHROMIUM;
  if (named) return executable(named) ? named : undefined;
  return firstOnPath(NAMES);
}

/** Returns the path of the first Firefox found. Undefined if there is none. */
export const findFirefox = () => firstOnPath(["firefox-esr", "firefox"]);
