// The benchmark of traces: whole processes that read or replay long ones, beside the same job in plain C.
//
//   npm run bench:traces -- --help
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Table from "cli-table3";
import { Command } from "commander";
import { root, upToDate } from "../scripts/files.mjs";
import { middle } from "./middle.mjs";
import { compileNative, whyNoColumn } from "./native/native.mjs";
import { headerOf } from "./report/header.mjs";
import { BROWSER_NAMES, hasBrowser, LATE, measureInBrowser } from "./traces/browsers.mjs";
import { gzipOf, Inputs, mallocLogOf, pageTraceOf, sizeOf, snapshotOf } from "./traces/inputs.mjs";
import { run, runNode } from "./traces/process.mjs";

const options = new Command("npm run bench:traces --")
  .description("Replays and reads long traces, each in a process of its own. Needs 5 GB of temporary space.")
  .option("--only <pattern>", "run only rows whose name matches this regular expression")
  .option("--browser", "instead replay from a File, in a worker of Chromium and of Firefox, and count frames")
  .option("--quick", "take short traces: just enough to see that it works")
  .option("--rounds <number>", "run each row so many times, by turns with the C program", Number, 3)
  .option("--json [file]", "write the results as JSON, to a file or to standard output")
  .option(
    "--command <file>",
    "replay with another build's dist/cli.js, to compare with",
    join(root, "dist/cli.js"),
  )
  .parse()
  .opts();
/** If the JSON goes to standard output, everything else goes to standard error. */
const print = options.json === true ? console.error : console.log;

const quick = options.quick;
const [some, many] = quick ? [100_000, 200_000] : [20_000_000, 100_000_000];
const sizes = quick ? [1e6] : [1e8, 1e9];
const lines = quick ? 100_000 : 2_000_000;
const sample = (path) => ({ path: join(root, "test/fixtures/traces", path) });
const GO_EXEC = sample("go-exec/go1.27-prog-1p.trace.gz");
/** Bytes of that, unpacked. */
const GO_EXEC_BYTES = 316_234;
const count = (x) => x.toLocaleString("en");

/** `input` is a file to write, or has a `path`. `native`: the C program does the same. */
const REPLAYS = [
  { name: `${count(some)} events from disk`, input: pageTraceOf(some), native: true },
  { name: `${count(some)} events of 4 Ps`, input: pageTraceOf(some, 4), native: true },
  { name: `${count(many)} events from disk`, input: pageTraceOf(many), native: true },
  { name: `${count(many)} events, gzip`, input: gzipOf(pageTraceOf(many)) },
  { name: `${count(many)} events from a pipe`, input: pageTraceOf(many), piped: true },
];
const READS = [
  ...sizes.map((bytes) => ({
    name: `PyTorch snapshot, ${count(bytes / 1e6)} MB`,
    input: snapshotOf(bytes),
    times: 1,
  })),
  { name: `malloc log, ${count(lines)} lines of CSV`, input: mallocLogOf(lines), times: 1 },
  {
    name: "Go execution trace, the fastest of many times",
    input: GO_EXEC,
    times: quick ? 2 : 200,
    bytes: GO_EXEC_BYTES,
  },
];
const COLD = [
  { name: "node -e 0", args: ["-e", "0"] },
  { name: "palloc replay: 44,311 events", args: [options.command, "replay"] },
];
/** Few enough that what else the machine does is much the same from one run to the next. Each takes many frames. */
const inPage = quick ? 1_000_000 : 4_000_000;
const PAGES = BROWSER_NAMES.map((browser) => ({
  name: `${count(inPage)} events in ${browser}`,
  input: pageTraceOf(inPage),
  browser,
}));
/** How often a row is run, and a cold one. */
const rounds = quick ? 1 : options.rounds;
const coldRounds = quick ? 1 : 5 * options.rounds;

const pattern = new RegExp(options.only ?? "");
const wanted = (rows) => rows.filter(({ name }) => pattern.test(name));
const [replays, reads, cold, pages] = (
  options.browser ? [[], [], [], PAGES] : [REPLAYS, READS, COLD, []]
).map(wanted);

const binary = "build/bench/native-trace";
const sources = ["trace.c", "heap.h", "kernels.h"].map((file) => `bench/native/${file}`);
mkdirSync(join(root, "build/bench"), { recursive: true });
const cc = compileNative(join(root, sources[0]), join(root, binary), upToDate(binary, sources));

/** Replays with the command. Returns the time, the memory and the counts. */
async function replayed(path, { piped }) {
  const args = [options.command, "replay", "--json", piped ? "-" : path];
  const { ms, bytes, text } = await runNode(args, { memory: true, piped: piped && path });
  const { events, addressMatches } = JSON.parse(text);
  return { ms, bytes, events, addressMatches };
}

/** Replays with the C program. */
async function replayedInC(path) {
  const { ms, text } = await run(join(root, binary), [path]);
  const { events, addressMatches, memory } = JSON.parse(text);
  return { ms, bytes: memory, events, addressMatches };
}

async function readIn(path, { times }) {
  const script = join(root, "bench/traces/read.mjs");
  const { bytes, text } = await runNode([script, path, String(times)], { memory: true });
  return { ...JSON.parse(text), bytes };
}

/** Throws unless all runs have the same counts. */
function mustBeSame(runs) {
  for (const { events, addressMatches } of runs) {
    if (events === runs[0].events && addressMatches === runs[0].addressMatches) continue;
    throw new Error(`the runs differ: ${JSON.stringify(runs)}`);
  }
}

/** Runs some measurements by turns. Returns, by measurement, the medians and the counts, which must be the same. */
async function byTurns(measurements, times) {
  const all = measurements.map(() => []);
  for (let time = 0; time < times; time++)
    for (const [i, measure] of measurements.entries()) all[i].push(await measure());
  mustBeSame(all.flat());
  return all.map((runs) => ({
    ...runs[0],
    ms: middle(runs.map(({ ms }) => ms)),
    bytes: middle(runs.map(({ bytes }) => bytes)),
  }));
}

const digits = (x) => (x >= 100 ? Math.round(x).toLocaleString("en") : x.toPrecision(3));
const seconds = ({ ms }) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
const rate = ({ events, ms }) => `${(events / ms / 1000).toFixed(2)}`;
const memory = ({ bytes }) => `${digits(bytes / 2 ** 20)} MiB`;

function printTable(head, rows) {
  if (rows.length === 0) return;
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(...rows);
  print(table.toString());
}

const header = headerOf({ runtime: `Node ${process.version}`, cc: cc ?? whyNoColumn(), isQuick: quick });
for (const [key, value] of Object.entries(header)) print(`${key.padEnd(8)} ${value}`);
if (options.browser)
  print(`The median of ${rounds}. Late frames: after more than ${LATE} times the usual time.`);
else print(`Whole processes: the median of ${rounds}. Cold: of ${coldRounds}.`);
print("The files have just been written, so the system has them in memory.");

/** Bytes of all files that the rows need. What comes from a pipe may be copied to another. */
const needed = [...replays, ...reads, ...pages].map(
  ({ input, piped }) => (input.bytes ?? 0) * (piped ? 2 : 1),
);
const inputs = new Inputs(needed.reduce((sum, bytes) => sum + bytes, 0));
const results = { header, replays: [], reads: [], cold: [], pages: [] };
try {
  for (const row of replays) {
    const path = await inputs.pathOf(row.input);
    const measurements = [() => replayed(path, row)];
    if (cc && row.native) measurements.push(() => replayedInC(path));
    const [palloc, native] = await byTurns(measurements, rounds);
    results.replays.push({ name: row.name, palloc, native });
  }
  for (const row of reads) {
    const path = row.input.path ?? (await inputs.pathOf(row.input));
    const [palloc] = await byTurns([() => readIn(path, row)], rounds);
    results.reads.push({ name: row.name, fileBytes: row.bytes ?? sizeOf(path), palloc });
  }
  for (const { name, input, browser } of pages) {
    if (!hasBrowser(browser)) {
      print(`No ${browser} was found.`);
      continue;
    }
    const path = await inputs.pathOf(input);
    const page = await measureInBrowser(browser, path, rounds);
    const [node] = await byTurns([() => replayed(path, {})], rounds);
    mustBeSame([page, node]);
    results.pages.push({ name, page, node });
  }
  const measurements = cold.map(({ args }) => async () => ({ ms: (await runNode(args)).ms, bytes: 0 }));
  for (const [i, { ms }] of (await byTurns(measurements, coldRounds)).entries())
    results.cold.push({ name: cold[i].name, ms });
} finally {
  inputs.remove();
}

printTable(
  ["palloc replay", "time", "M events/s", "memory", "native C", "M events/s", "memory", "time, to that of C"],
  results.replays.map(({ name, palloc, native: c }) => [
    name,
    ...[seconds, rate, memory].map((text) => text(palloc)),
    ...[seconds, rate, memory].map((text) => (c ? text(c) : "–")),
    c ? `${(palloc.ms / c.ms).toFixed(2)}×` : "–",
  ]),
);
printTable(
  ["reading, without Node's start", "time", "M events/s", "MB/s", "memory"],
  results.reads.map(({ name, fileBytes, palloc }) => [
    name,
    seconds(palloc),
    rate(palloc),
    (fileBytes / palloc.ms / 1000).toFixed(1),
    memory(palloc),
  ]),
);
printTable(
  ["cold", "time", "to that of Node"],
  results.cold.map(({ name, ms }) => [name, seconds({ ms }), `${(ms / results.cold[0].ms).toFixed(2)}×`]),
);
const frameMs = (ms) => ms.toFixed(1);
printTable(
  ["from a File, in a worker", "time", "M events/s", "memory", "palloc replay", "memory", "stopped within"],
  results.pages.map(({ name, page, node }) => [
    name,
    ...[seconds, rate].map((text) => text(page)),
    page.bytes === undefined ? "–" : memory(page),
    ...[seconds, memory].map((text) => text(node)),
    seconds({ ms: page.stopMs }),
  ]),
);
printTable(
  ["the page", "while its worker", "frames", "late", "median, ms", "99 %", "longest"],
  results.pages.flatMap(({ name, page: { frames } }) =>
    [
      ["replays", frames.replay],
      ["only computes", frames.computing],
      ["is idle", frames.idle],
    ].map(([when, { count, late, medianMs, p99Ms, longestMs }]) => [
      name,
      when,
      count,
      late,
      ...[medianMs, p99Ms, longestMs].map(frameMs),
    ]),
  ),
);
const json = JSON.stringify(results, null, 1);
if (options.json === true) console.log(json);
else if (options.json) writeFileSync(options.json, `${json}\n`);
