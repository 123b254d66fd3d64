// `palloc bench`: times the kernels on this machine, side by side: a port to BigInt, the twin, WebAssembly, and C where
// there is a compiler. Each column of JavaScript has a worker of its own, as the types that one uses would slow the
// others down.

import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { nativeColumn, whyNoColumn } from "../../bench/native/native.mjs";
import { resultsText } from "../../bench/report/results.mjs";
import { printTables } from "../../bench/report/terminal.mjs";
import { askWith } from "../../bench/requests.mjs";
import { runScoreboard, SETTINGS, workerColumn } from "../../bench/scoreboard.mjs";
import { COLUMNS, shortCases } from "./bench-cases.ts";
import { serveBench } from "./bench-serve.ts";
import { complain, print } from "./output.ts";
import { startProgress } from "./progress.ts";
import type { Output } from "./reading.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The arguments of `palloc bench`. */
export interface BenchRequest {
  readonly json?: boolean;
  /** Measures each cell only long enough to see that it works. */
  readonly quick?: boolean;
  /** The port to serve a page on, instead of running here; 0 is any free one. */
  readonly page?: number;
}

/** What a benchmark needs from the package. */
export interface BenchFiles {
  /** The folder of the page and of the library's entries. */
  readonly benchFolder: URL;
  /** Version of the package. */
  readonly version: string;
  /** The module that measures a column in a worker. */
  readonly benchWorker: URL;
  /** The C program. */
  readonly benchProgram: URL;
}

/**
 * Runs the benchmark and prints it, or serves its page and prints the URL. Throws when two columns compute different
 * results, or when the port is taken.
 */
export async function bench(request: BenchRequest, files: BenchFiles, output: Output): Promise<void> {
  if (request.page === undefined) return runHere(request, files, output);
  const { href } = await serveBench(files.benchFolder, request.page, request.quick);
  await print(
    output.stdout,
    request.json
      ? `${JSON.stringify({ url: href })}\n`
      : `Open ${href} in a browser. It starts at once. Ctrl-C ends this command.\n`,
  );
}

async function runHere(request: BenchRequest, files: BenchFiles, output: Output): Promise<void> {
  const settings = request.quick ? SETTINGS.quick : SETTINGS.normal;
  const cases = shortCases();
  const native = await openNative(files.benchProgram);
  const { CC } = process.env;
  if (CC && !native.column) await complain(output.stderr, `bench: CC is "${CC}": ${native.cc}`);
  const workers = COLUMNS.map((name) => startColumn(name, files.benchWorker));
  const columns = native.column ? [...workers, native.column] : workers;
  const progress = output.stderr.isTTY
    ? startProgress(output.stderr, "kernels", cases.length, "cases")
    : undefined;
  try {
    let done = 0;
    const rows = await runScoreboard(columns, cases, settings, () => progress?.update(++done));
    progress?.stop();
    const names = columns.map(({ name }) => name);
    const header = {
      date: new Date().toISOString(),
      machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${process.platform} ${process.arch}`,
      palloc: files.version,
      runtime: process.versions.bun ? `Bun ${process.versions.bun}` : `Node ${process.versions.node}`,
      cc: native.cc,
    };
    await print(output.stdout, request.json ? json(header, names, rows) : text(header, names, rows));
  } finally {
    progress?.stop();
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
    native.close();
  }
}

type Rows = Awaited<ReturnType<typeof runScoreboard>>;

function json(header: object, columns: string[], rows: Rows): string {
  return `${resultsText({ header, columns, rows })}\n`;
}

function text(header: object, columns: string[], rows: Rows): string {
  const lines = Object.entries(header).map(([key, value]) => `${key.padEnd(8)} ${value}`);
  lines.push("Cells: median (least … p99) of one kernel on one chunk.");
  printTables(rows, columns, (table: string) => void lines.push(table));
  lines.push(`All columns computed the same in all ${rows.length} rows.`);
  return `${lines.join("\n")}\n`;
}

/**
 * Compiles the C program and tries it. Returns its column, undefined if that fails, and what to say about the compiler.
 * `close` removes the program, and so does a signal that ends the process.
 */
async function openNative(program: URL) {
  let folder: string | undefined;
  const close = () => {
    if (folder) rmSync(folder, { recursive: true, force: true });
    for (const signal of SIGNALS) process.off(signal, end);
  };
  const end = (signal: NodeJS.Signals) => {
    close();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    folder = mkdtempSync(join(tmpdir(), "palloc-bench-"));
    const column = nativeColumn(fileURLToPath(program), join(folder, "native"));
    const [probe] = shortCases().filter((each) => "native" in each);
    if ("native" in probe) await column?.measure(probe, SETTINGS.quick);
    return { column, cc: column?.version ?? whyNoColumn(), close };
  } catch (error) {
    const why = (error as Error).message.trim().split("\n")[0];
    return {
      column: undefined,
      cc: `the C program does not run, so there is no native column: ${why}`,
      close,
    };
  }
}

/** Starts the worker of a column. */
function startColumn(name: string, file: URL) {
  const worker = new Worker(file, { workerData: name });
  const ask = askWith(
    (message: unknown) => worker.postMessage(message),
    (take: (message: unknown) => void) => worker.on("message", take),
  );
  worker.on("error", (error) => {
    throw error;
  });
  return { worker, ...workerColumn(name, ask) };
}
