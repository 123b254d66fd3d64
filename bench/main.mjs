// The benchmark in Node or Bun: builds what it runs, measures, and reports.
//
//   npm run bench -- --help
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Command } from "commander";
import { root, upToDate } from "../scripts/files.mjs";
import { allCases } from "./cases/index.mjs";
import { COLUMNS } from "./column.mjs";
import { environment } from "./environment.mjs";
import { buildInside } from "./inside/build.mjs";
import { nativeColumn, whyNoColumn } from "./native/native.mjs";
import { compare, compareText } from "./report/compare.mjs";
import { headerOf } from "./report/header.mjs";
import { resultsText } from "./report/results.mjs";
import { cellText } from "./report/table.mjs";
import { printTables } from "./report/terminal.mjs";
import { askWith } from "./requests.mjs";
import { runScoreboard, SETTINGS, workerColumn } from "./scoreboard.mjs";

const command = new Command("npm run bench --")
  .description(
    "Measures the BigInt port, the TypeScript twin, the WebAssembly engine, other allocators and plain C side by side.",
  )
  .option("--only <pattern>", "run only cases whose id matches this regular expression")
  .option("--columns <names>", "run only these columns, separated by commas")
  .option("--quick", "measure each cell just long enough to see that it works")
  .option("--json [file]", "write the results as JSON, to a file or to standard output")
  .option(
    "--compare <file>",
    "compare with an earlier run's JSON, and mark what got worse by more than the noise",
  )
  .parse();
const options = command.opts();
/** If the JSON goes to standard output, everything else goes to standard error. */
const print = options.json === true ? console.error : console.log;

/** Starts the worker of a column. */
function startColumn(name) {
  const worker = new Worker(new URL("node-worker.mjs", import.meta.url), { workerData: name });
  worker.on("error", (error) => {
    throw error;
  });
  const ask = askWith(
    (message) => worker.postMessage(message),
    (take) => worker.on("message", take),
  );
  return { worker, ...workerColumn(name, ask) };
}

/** The headers of each C program. */
const PROGRAMS = { main: ["measure.h", "replay.h", "heap.h", "kernels.h"], peers: ["measure.h"] };

/** Returns the column of native C. Compiles a program only if its sources have changed. */
function openNative() {
  mkdirSync(join(root, "build/bench"), { recursive: true });
  const programs = {};
  for (const [program, headers] of Object.entries(PROGRAMS)) {
    const binary = `build/bench/native-${program}`;
    const sources = [`${program}.c`, ...headers].map((file) => `bench/native/${file}`);
    programs[program] = nativeColumn(join(root, sources[0]), join(root, binary), upToDate(binary, sources));
  }
  const measure = (each, settings) => programs[each.native.program ?? "main"].measure(each, settings);
  return programs.main && { ...programs.main, measure };
}

await buildInside();
const native = openNative();
const { bun, node, v8 } = process.versions;
const header = headerOf({
  // Bun has versions of Node and V8 too: those that it stands in for.
  ...(bun ? { runtime: `Bun ${bun}` } : { runtime: `Node ${node}`, v8 }),
  cc: native?.version ?? whyNoColumn(),
  isQuick: options.quick,
});
for (const [key, value] of Object.entries(header)) print(`${key.padEnd(8)} ${value}`);
print(
  "Cells: median (least … p99). Each is the mean of one operation over a run of many, except where one takes long.",
);

const wanted = options.columns?.split(",");
const workers = COLUMNS.filter((name) => !wanted || wanted.includes(name)).map(startColumn);
const columns = native && (!wanted || wanted.includes(native.name)) ? [...workers, native] : workers;
const names = columns.map(({ name }) => name);
const pattern = new RegExp(options.only ?? "");
const cases = (await allCases(environment)).filter(({ id }) => pattern.test(id));

const started = performance.now();
const settings = options.quick ? SETTINGS.quick : SETTINGS.normal;
const rows = await runScoreboard(columns, cases, settings, (row) => {
  if (process.stderr.isTTY)
    console.error(row.id, ...names.map((name) => `  ${name}: ${cellText(row.cells[name], row)}`));
});
for (const { worker } of workers) await worker.terminate();

const results = { header, columns: names, rows };
printTables(rows, names, print);
print(
  `${rows.length} rows in ${Math.round((performance.now() - started) / 1000)} s. All columns computed the same.`,
);
if (options.json === true) console.log(resultsText(results));
else if (options.json) writeFileSync(options.json, `${resultsText(results)}\n`);
if (options.compare) print(compareText(compare(JSON.parse(readFileSync(options.compare, "utf8")), results)));
