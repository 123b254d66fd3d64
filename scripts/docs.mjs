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
import { runtimeTable } from "./docs/runtimes.mjs";
import { root } from "./files.mjs";

const SAMPLES = 300;

const bytes = (path) => readFileSync(join(root, path));
const text = (path) => (existsSync(join(root, path)) ? bytes(path).toString() : "");

/**
 * Returns a Markdown file's text, with each of the `parts` between the comments `<!-- name -->` and
 * `<!-- end of name -->`.
 */
function withParts(path, parts) {
  let content = text(path);
  for (const [name, part] of Object.entries(parts)) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
    const [before, rest, ...more] = content.split(begin);
    const after = rest?.split(end)[1];
    if (after === undefined || more.length) throw new Error(`${path} must have ${begin} and ${end} once`);
    content = `${before}${begin}\n\n${part}\n\n${end}${after}`;
  }
  return content;
}

const trace = await readPageTrace(bytes("dist/go-compile-runtime.pt.gz"));
const report = replay(PageAlloc, trace, { samples: SAMPLES });
const [scoreboard, ...elsewhere] = ["scoreboard", "chromium", "firefox", "bun"].map((name) =>
  JSON.parse(text(`bench/results/${name}.json`)),
);

const outputs = {
  "docs/replay.svg": drawReplay(report),
  "docs/cost-over-size.svg": drawGrowth(scoreboard),
  "README.md": withParts("README.md", { figures: headlines(report, scoreboard) }),
  "docs/benchmarks.md": withParts("docs/benchmarks.md", {
    tables: `${machine(scoreboard)}\n\n${benchmarkTables(scoreboard)}`,
    runtimes: runtimeTable([scoreboard, ...elsewhere]),
  }),
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
