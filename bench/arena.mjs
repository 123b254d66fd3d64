// The benchmark of the arena: it and two peers on the same blocks, in one process.
//
//   npm run bench:arena -- --help
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { Worker } from "node:worker_threads";
import Table from "cli-table3";
import { Command } from "commander";
import { readPackage } from "../scripts/files.mjs";
import { LEAST_BYTES, MOST_BYTES, memoryFor, ROOM } from "./arena/churn.mjs";
import { COLUMNS } from "./arena/columns.mjs";
import { middle } from "./middle.mjs";
import { askWith } from "./requests.mjs";

const options = new Command("npm run bench:arena --")
  .description(
    "Compares the arena with its heap, with two-level bins in JavaScript, and with @thi.ng/malloc.",
  )
  .option("--unit <bytes>", "the arena's unit", Number, 256)
  .option("--quick", "measure just long enough to see that it works")
  .option("--json [file]", "write the results as JSON, to a file or to standard output")
  .parse()
  .opts();
/** If the JSON goes to standard output, everything else goes to standard error. */
const print = options.json === true ? console.error : console.log;

const { unit } = options;
const POOL = "@thi.ng/malloc";
const BINS = "two-level bins";
const LIVE = [1000, 100_000];
/** Pairs that warm up, timed rounds, and pairs that make the blocks old. */
const { settle, rounds, settings, pairs } = options.quick
  ? { settle: 2000, rounds: 1, settings: { warmupMs: 0, budgetMs: 5, leastSamples: 2 }, pairs: 5000 }
  : { settle: 1e6, rounds: 7, settings: { warmupMs: 100, budgetMs: 150, leastSamples: 3 }, pairs: 5e6 };
/** Its pairs take milliseconds at many blocks, so it makes fewer: as many as this per column and number of blocks. */
const POOL_MOST = { 1000: Infinity, 100000: options.quick ? 10 : 2000 };

/** Returns how many pairs a column makes, of those that are asked for. */
const bounded = (name, live, wanted) => (name === POOL ? Math.min(wanted, POOL_MOST[live]) : wanted);

function startColumn(name) {
  const worker = new Worker(new URL("arena/worker.mjs", import.meta.url), { workerData: name });
  worker.on("error", (error) => {
    throw error;
  });
  const ask = askWith(
    (message) => worker.postMessage(message),
    (take) => worker.on("message", take),
  );
  return { name, worker, ask };
}

const columns = Object.keys(COLUMNS).map(startColumn);
const isHeap = (name) => name.startsWith("heap");

/** Times the pairs of each column by turns. Returns ns by the column, one for each round. */
async function times(live) {
  const ns = Object.fromEntries(columns.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, ask } of columns) {
      const request = { what: "time", live, unit, settle: bounded(name, live, settle), settings };
      ns[name].push(await ask(request));
    }
  }
  await Promise.all(columns.map(({ ask }) => ask({ what: "forget" })));
  return ns;
}

/** Returns what each column has become after many pairs. The bare heap becomes what the arena on it does. */
async function ages(live) {
  const found = {};
  for (const { name, ask } of columns)
    if (!isHeap(name))
      found[name] = await ask({ what: "age", live, unit, pairs: bounded(name, live, pairs) });
  return found;
}

/** Formats a number with three significant digits. */
const digits = (x) => (x >= 100 ? Math.round(x).toLocaleString("en") : x.toPrecision(3));
const timeText = (ns) =>
  ns >= 1e6 ? `${digits(ns / 1e6)} ms` : ns >= 1e4 ? `${digits(ns / 1e3)} µs` : `${digits(ns)} ns`;
const percent = (x) => `${(100 * x).toFixed(1)}%`;

/** Returns the median over the rounds of how many times as long one column took as another. */
const ratio = (ns, one, other) => middle(ns[one].map((each, round) => each / ns[other][round]));

/** Returns the rows of one number of live blocks, as [text, text by the column]. */
function rowsOf(live, ns, found) {
  const blocks = `${live.toLocaleString("en")} blocks`;
  const each = (values, text) =>
    columns.map(({ name }) => (values[name] === undefined ? "–" : text(values[name], name)));
  // The pool is left out of what so few pairs cannot show.
  const aged = Object.fromEntries(
    Object.entries(found).filter(([name]) => bounded(name, live, pairs) === pairs),
  );
  const timesAs = (one, other) => `${digits(ratio(ns, one, other))}×`;
  const isArena = (name) => name.startsWith("arena");
  const toOthers = (other, isInverse) =>
    columns.map(({ name }) =>
      isArena(name) ? (isInverse ? timesAs(other, name) : timesAs(name, other)) : "–",
    );
  return [
    [`free + alloc, ${blocks}`, ...each(ns, (all) => timeText(middle([...all])))],
    [`… time to that of ${BINS}`, ...toOthers(BINS, false)],
    [`… as fast as ${POOL}`, ...toOthers(POOL, true)],
    [`bookkeeping per block, ${blocks}`, ...each(found, (x) => `${digits(x.bookkeeping)} B`)],
    [`rounding per block, ${blocks}`, ...each(found, (x) => `${digits(x.rounding)} B`)],
    [`both per block, ${blocks}`, ...each(found, (x) => `${digits(x.bookkeeping + x.rounding)} B`)],
    [`largest that fits, to all that is not live, ${blocks}`, ...each(aged, (x) => percent(x.largest))],
    [`end of the highest block, to live bytes, ${blocks}`, ...each(aged, (x) => `${x.top.toFixed(3)}×`)],
    [`highest end ever, to the most live bytes, ${blocks}`, ...each(aged, (x) => `${x.highest.toFixed(3)}×`)],
  ];
}

const header = {
  date: new Date().toISOString(),
  machine: `${cpus()[0].model.trim()}, ${cpus().length} cores, ${process.platform} ${process.arch}`,
  palloc: readPackage().version,
  node: process.version,
  unit,
  measured: options.quick ? "quickly: too roughly to compare" : "fully",
};
for (const [key, value] of Object.entries(header)) print(`${key.padEnd(8)} ${value}`);
print(
  `Blocks of ${LEAST_BYTES} to ${MOST_BYTES.toLocaleString("en")} bytes, log-uniform, in ${ROOM} times their bytes.`,
);
print(
  `Times: medians of ${rounds} rounds by turns. The last three rows: after ${pairs.toLocaleString("en")} pairs.`,
);

const rows = [];
const results = {};
for (const live of LIVE) {
  const ns = await times(live);
  const found = await ages(live);
  results[live] = { memory: memoryFor(live), ns, found };
  rows.push(...rowsOf(live, ns, found));
}
for (const { worker } of columns) await worker.terminate();

const table = new Table({
  head: ["", ...columns.map(({ name }) => name)],
  style: { head: [], border: [], compact: true },
});
table.push(...rows);
print(table.toString());
for (const live of LIVE) {
  const made = bounded(POOL, live, pairs);
  if (made < pairs)
    print(`${POOL} made ${made.toLocaleString("en")} pairs at ${live.toLocaleString("en")} blocks.`);
}
const json = JSON.stringify({ header, live: results }, null, 1);
if (options.json === true) console.log(json);
else if (options.json) writeFileSync(options.json, `${json}\n`);
