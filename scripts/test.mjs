// The tests: in Node on the sources, then in headless Chromium on the built package. The last line is
// 'N passed, N failed', over all runs.
//
//   node scripts/test.mjs [--coverage] [--no-browser]   what is in test/
//   node scripts/test.mjs --long                        what is in test/long/, and the suite over the debug build
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findChromium } from "./chromium.mjs";
import { root } from "./files.mjs";

const VITEST = join(root, "node_modules/vitest/vitest.mjs");
const flags = new Set(process.argv.slice(2));
const reports = mkdtempSync(join(tmpdir(), "palloc-test-"));
const total = { passed: 0, failed: 0 };

/** Runs vitest once, adding its counts to the total. A run that ends badly counts as a failure whatever it counted. */
function run(name, ...args) {
  const report = join(reports, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { status } = spawnSync(process.execPath, [VITEST, "run", ...reporters, ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const counts = { passed: 0, failed: 0 };
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, "utf8"));
    counts.passed = numPassedTests;
    counts.failed = numFailedTests;
  } catch (error) {
    console.error(`The run ${name} left no report: ${error.message}`);
  }
  if (status !== 0 || counts.passed === 0) counts.failed ||= 1;
  total.passed += counts.passed;
  total.failed += counts.failed;
}

function runShort() {
  const chromium = flags.has("--no-browser") ? undefined : findChromium();
  console.log(`The suite in Node${chromium ? ", then in Chromium" : ""}: up to 3 minutes on two cores.`);
  console.log("Exhaustive tests and the debug build are left to 'npm run test:long'.");
  run("node", "--exclude", "test/long/**", ...(flags.has("--coverage") ? ["--coverage"] : []));
  if (chromium) run("browser", "--config", "vitest.browser.config.ts");
  else if (flags.has("--no-browser")) console.log("Not run in a browser, as asked.");
  else
    console.log("NOT RUN IN A BROWSER: no Chromium found. Install one, or set PALLOC_CHROMIUM to its path.");
}

function runLong() {
  console.log("Exhaustive tests, then the suite over the debug build: about 5 minutes on two cores.");
  run("long", "test/long/");
  run("debug", "--config", "vitest.debug.config.ts");
}

try {
  if (flags.has("--long")) runLong();
  else runShort();
} finally {
  rmSync(reports, { recursive: true });
}

console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed ? 1 : 0;
