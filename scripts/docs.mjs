// Writes the parts of the docs that come from a run: the pictures of a replay and of costs over size, the figures of
// the README, and the tables of the benchmark. Needs the built package.
//
//   node scripts/docs.mjs            writes them
//   node scripts/docs.mjs --check    lists those that are out of date, and fails if any is
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PageAlloc } from "../dist/index.js";
import { readPageTrace, replay } from "../dist/trace.js";
import { benchmarkTables, headlines, machine } from "./docs/figures.mjs";
import { drawGrowth } from "./docs/growth-picture.mjs";
import { drawReplay } from "./docs/picture.mjs";
import { root } from "./files.mjs";

const SAMPLES = 300;

const bytes = (path) => readFileSync(join(root, path));
const text = (path) => (existsSync(join(root, path)) ? bytes(path).toString() : "");

/** Returns a Markdown file's text, with `part` between the comments `<!-- name -->` and `<!-- end of name -->`. */
function withPart(path, name, part) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [before, rest, ...more] = text(path).split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined || more.length) throw new Error(`${path} must have ${begin} and ${end} once`);
  return `${before}${begin}\n\n${part}\n\n${end}${after}`;
}

const trace = await readPageTrace(bytes("dist/go-compile-runtime.pt.gz"));
const report = replay(PageAlloc, trace, { samples: SAMPLES });
const scoreboard = JSON.parse(text("bench/results/scoreboard.json"));

const outputs = {
  "docs/replay.svg": drawReplay(report),
  "docs/cost-over-size.svg": drawGrowth(scoreboard),
  "README.md": withPart("README.md", "figures", headlines(report, scoreboard)),
  "docs/benchmarks.md": withPart(
    "docs/benchmarks.md",
    "tables",
    `${machine(scoreboard)}\n\n${benchmarkTables(scoreboard)}`,
  ),
};
const { check } = parseArgs({ options: { check: { type: "boolean", default: false } } }).values;
for (const [path, content] of Object.entries(outputs)) {
  if (text(path) === content) continue;
  if (check) {
    console.error(`${path} is out of date: run 'npm run docs'`);
    process.exitCode = 1;
  } else {
    writeFileSync(join(root, path), content);
    console.log(`${path} written`);
  }
}
