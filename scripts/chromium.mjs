// Where the browsers for tests and benchmarks are, and how Chromium is started.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Flags for a browser that runs as any user, needs no GPU and asks the network for nothing. */
export const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Headers that make a page cross-origin isolated, without which browsers have no shared memory. */
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

/** The first of some commands that is on PATH, by its path. */
function firstOnPath(names) {
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(executable);
}

/** The path of a Chromium: PALLOC_CHROMIUM if that is set, else the first found on PATH. Undefined if there is none. */
export function findChromium() {
  const named = process.env.PALLOC_CHROMIUM;
  if (named) return executable(named) ? named : undefined;
  return firstOnPath(NAMES);
}

/** The path of a Firefox, the first found on PATH. Undefined if there is none. */
export const findFirefox = () => firstOnPath(["firefox-esr", "firefox"]);
