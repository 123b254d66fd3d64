// All tests: the suite on the sources in Node, then on the built package in headless Chromium, where there is one.
// The last line is 'N passed, N failed', over both.
//
//   node scripts/test.mjs [--coverage] [--no-browser] [--brief]
//
// With --brief without the tests that go through very many cases, on an engine that has passed them elsewhere.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findChromium } from "./chromium.mjs";
import { root } from "./files.mjs";

const LONG_TESTS = "test/{restore-fuzz,interleavings,stopped-calls}.test.ts";
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

try {
  const brief = flags.has("--brief");
  if (brief) console.log(`Without ${LONG_TESTS}, as asked.`);
  run(
    "node",
    ...(flags.has("--coverage") ? ["--coverage"] : []),
    ...(brief ? ["--exclude", LONG_TESTS] : []),
  );
  const chromium = findChromium();
  if (flags.has("--no-browser")) console.log("Not run in a browser, as asked.");
  else if (chromium) run("browser", "--config", "vitest.browser.config.ts");
  else
    console.log("NOT RUN IN A BROWSER: no Chromium found. Install one, or set PALLOC_CHROMIUM to its path.");
} finally {
  rmSync(reports, { recursive: true });
}

console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed ? 1 : 0;
