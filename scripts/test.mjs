// Runs the tests, in one or more runs of vitest. Prints first what it will run and how long that takes. The last line
// is 'N passed, N failed', which counts all runs.
//
//   node scripts/test.mjs [--coverage] [--no-browser]       test/ without test/long/: Node on the sources, then
//                                                           Chromium on the built package
//   node scripts/test.mjs --long [--no-browser] [NAME ...]  test/long/ in both, then the suite over the debug build;
//                                                           with names, only these files of test/long/, in Node
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findChromium } from "./chromium.mjs";
import { root } from "./files.mjs";

const VITEST = join(root, "node_modules/vitest/vitest.mjs");
const BROWSER = ["--config", "vitest.browser.config.ts"];
const WITHOUT_LONG = ["--exclude", "test/long/**"];

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: "boolean", default: false },
    coverage: { type: "boolean", default: false },
    "no-browser": { type: "boolean", default: false },
  },
});

/** Returns the runs that were asked for, with their seconds on two cores. */
function plannedRuns() {
  if (names.length) {
    const files = names.flatMap((name) => [`test/long/${name}`, `test/long/built/${name}`]);
    return [{ name: "node", what: `${files.join(", ")} in Node`, args: files }];
  }
  if (options.long) {
    return [
      { name: "node", what: "test/long/ in Node", seconds: 130, args: ["test/long/"] },
      { name: "browser", what: "test/long/ in Chromium", seconds: 55, args: [...BROWSER, "test/long/"] },
      {
        name: "debug",
        what: "the suite over the debug build, in Node",
        seconds: 50,
        args: ["--config", "vitest.debug.config.ts"],
      },
    ];
  }
  const coverage = options.coverage ? ["--coverage"] : [];
  return [
    { name: "node", what: "the suite in Node", seconds: 95, args: [...WITHOUT_LONG, ...coverage] },
    { name: "browser", what: "the suite in Chromium", seconds: 60, args: [...BROWSER, ...WITHOUT_LONG] },
  ];
}

/** Returns why nothing can run in a browser; undefined if it can. */
function withoutBrowser() {
  if (options["no-browser"]) return "Not run in a browser, as asked.";
  if (findChromium()) return undefined;
  return "NOT RUN IN A BROWSER: no Chromium found. Install one, or set PALLOC_CHROMIUM to its path.";
}

function announce(runs) {
  for (const { what, seconds } of runs) console.log(`Runs ${what}${seconds ? `: about ${seconds} s` : ""}.`);
  const total = runs.reduce((sum, { seconds = 0 }) => sum + seconds, 0);
  if (total) console.log(`About ${Math.round(total / 60)} minutes in all, on two cores.`);
  if (!options.long) console.log("Longer tests, and the debug build: 'npm run test:long'.");
}

const reports = mkdtempSync(join(tmpdir(), "palloc-test-"));
const total = { passed: 0, failed: 0 };
const notes = [];

/** Runs vitest once, and adds its counts to the total. A run that ends badly counts as at least one failure. */
function run({ name, args }) {
  const report = join(reports, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { status } = spawnSync(process.execPath, [VITEST, "run", ...reporters, ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const counts = { passed: 0, failed: 0 };
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
    counts.passed = numPassedTests;
    counts.failed = numFailedTests;
    for (const { assertionResults } of testResults) {
      for (const { status, fullName } of assertionResults) {
        if (status !== "passed" && status !== "failed") notes.push(`Skipped (${name}): ${fullName}`);
      }
    }
  } catch (error) {
    console.error(`The run '${name}' left no report: ${error.message}`);
  }
  if (status !== 0 || counts.passed === 0) counts.failed ||= 1;
  total.passed += counts.passed;
  total.failed += counts.failed;
}

try {
  const planned = plannedRuns();
  const missing = planned.some(({ name }) => name === "browser") && withoutBrowser();
  const runs = planned.filter(({ name }) => name !== "browser" || !missing);
  if (missing) notes.push(missing);
  announce(runs);
  for (const each of runs) run(each);
} finally {
  rmSync(reports, { recursive: true });
}

for (const note of notes) console.log(note);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed ? 1 : 0;
