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
const isArena = (name) => name.startsWith("arena");

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

/** Formats a time in ns. */
function timeText(ns) {
  if (ns >= 1e6) return `${digits(ns / 1e6)} ms`;
  return ns >= 1e4 ? `${digits(ns / 1e3)} µs` : `${digits(ns)} ns`;
}

/** Returns how many times as long one column took as another, in each round. */
const over = (one, other) => one.map((ns, round) => ns / other[round]);

/**
 * Returns which column has the least of some values or, with `isMost`, the most. The heap does not take part, as it
 * does not know the sizes of blocks. Names both engines of the arena if they are equal.
 */
function ahead(values, isMost = false) {
  const sign = isMost ? -1 : 1;
  const known = Object.entries(values).filter(([name]) => !isHeap(name));
  const best = Math.min(...known.map(([, value]) => sign * value));
  const names = known.filter(([, value]) => sign * value === best).map(([name]) => name);
  return names.length > 1 && names.every(isArena) ? "arena" : names.join(", ");
}

/** Returns the rows of one number of live blocks: a name, the text by the column, and who is ahead. */
function rowsOf(live, ns, found) {
  const row = (name, values, text, isMost) => [
    name,
    ...columns.map((column) => (column.name in values ? text(values[column.name]) : "–")),
    ahead(values, isMost),
  ];
  const mapped = (from, get) => Object.fromEntries(Object.entries(from).map(([name, x]) => [name, get(x)]));
  // So few pairs of the pool cannot show what becomes of the memory.
  const old = Object.fromEntries(
    Object.entries(found).filter(([name]) => bounded(name, live, pairs) === pairs),
  );
  const ratios = (get) => [
    ...columns.map(({ name }) => (isArena(name) ? `${digits(middle(get(name)))}×` : "–")),
    "",
  ];
  const bytes = (x) => `${digits(x)} B`;
  const share = (x) => `${(100 * x).toFixed(1)}%`;
  const times = (x) => `${x.toFixed(3)}×`;
  return [
    row(
      "free + alloc",
      mapped(ns, (all) => middle([...all])),
      timeText,
    ),
    [`its time, to that of ${BINS}`, ...ratios((name) => over(ns[name], ns[BINS]))],
    [`that of ${POOL}, to its time`, ...ratios((name) => over(ns[POOL], ns[name]))],
    row(
      "bookkeeping per block",
      mapped(found, (x) => x.bookkeeping),
      bytes,
    ),
    row(
      "rounding per block",
      mapped(found, (x) => x.rounding),
      bytes,
    ),
    row(
      "both per block",
      mapped(found, (x) => x.bookkeeping + x.rounding),
      bytes,
    ),
    row(
      "largest block that fits, to all that is not live",
      mapped(old, (x) => x.largest),
      share,
      true,
    ),
    row(
      "end of the highest block, to the live bytes",
      mapped(old, (x) => x.top),
      times,
    ),
    row(
      "highest end ever, to the most live bytes ever",
      mapped(old, (x) => x.highest),
      times,
    ),
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
const [roundsText, pairsText] = [
  `${rounds} rounds by turns`,
  `${pairs.toLocaleString("en")} frees and allocs each`,
];
print(`Times: the median of ${roundsText}. All other rows: after ${pairsText}.`);

const results = {};
for (const live of LIVE) {
  const ns = await times(live);
  const found = await ages(live);
  results[live] = { memory: memoryFor(live), ns, found };
  const table = new Table({
    head: [`${live.toLocaleString("en")} blocks`, ...columns.map(({ name }) => name), "ahead"],
    style: { head: [], border: [], compact: true },
  });
  table.push(...rowsOf(live, ns, found));
  print(table.toString());
  const made = bounded(POOL, live, pairs);
  if (made < pairs)
    print(`${POOL} made ${made.toLocaleString("en")} pairs, so it is left out of the last three rows.`);
}
for (const { worker } of columns) await worker.terminate();
const json = JSON.stringify({ header, live: results }, null, 1);
if (options.json === true) console.log(json);
else if (options.json) writeFileSync(options.json, `${json}\n`);
