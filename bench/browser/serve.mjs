// Serves the benchmark's page; with --headless, runs it in Chromium or Firefox and prints the scoreboard.
//
//   npm run bench:browser -- [--headless [--browser firefox] [--quick] [--only PATTERN] [--json FILE]]
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runPage, runPageInFirefox, servePages } from "../../scripts/pages.mjs";
import { buildInside } from "../inside/build.mjs";
import { headerOf } from "../report/header.mjs";
import { resultsText } from "../report/results.mjs";
import { printTables } from "../report/terminal.mjs";

/** How long a run may take, in ms, and a quick one. */
const TIMEOUT_MS = 3_600_000;
const QUICK_TIMEOUT_MS = 600_000;

const BROWSERS = { chromium: runPage, firefox: runPageInFirefox };

const { values: options } = parseArgs({
  options: {
    headless: { type: "boolean", default: false },
    browser: { type: "string", default: "chromium" },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    json: { type: "string" },
  },
});
const runIn = BROWSERS[options.browser];
if (!runIn)
  throw new Error(`--browser is ${options.browser}: it must be ${Object.keys(BROWSERS).join(" or ")}`);

/** Returns the name and version of a browser, from what it says of itself. */
function runtimeOf(userAgent) {
  const [, name, version] = /(Chrome|Firefox)\/([\d.]+)/.exec(userAgent);
  return `${name.replace("Chrome", "Chromium")} ${version}`;
}

await buildInside();
const server = await servePages(["tinybench", "@thi.ng/malloc"]);
const url = server.url("bench/browser/index.html");
if (options.headless) {
  if (options.quick) url.searchParams.set("quick", "");
  url.searchParams.set("only", options.only);
  try {
    const { userAgent, columns, rows } = await runIn(url, options.quick ? QUICK_TIMEOUT_MS : TIMEOUT_MS);
    const header = headerOf({ runtime: runtimeOf(userAgent), isQuick: options.quick });
    for (const [key, value] of Object.entries(header)) console.log(`${key.padEnd(8)} ${value}`);
    printTables(rows, columns);
    if (options.json) writeFileSync(options.json, `${resultsText({ header, columns, rows })}\n`);
  } finally {
    await server.close();
  }
} else {
  console.log(url.href);
}
