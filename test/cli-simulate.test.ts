// `palloc simulate`: run within this process.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { go, POLICIES, parsePolicy, readScavengeLog, simulate } from "palloc/lab";
import { PageAlloc } from "palloc/shared";
import { readPageTrace } from "palloc/trace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/cli/command.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/traces/${name}`, import.meta.url));
const COMPILE = fixture("go-compile-runtime.pt.gz");
const LOGGED = fixture("logged/types-gogc50-limit60.pt.gz");
const LOG = fixture("logged/types-gogc50-limit60.events.ndjson.gz");
const NONE = new URL("none:");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "palloc-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function palloc(...args: string[]) {
  const stdout = new PassThrough({ highWaterMark: 2 ** 30 });
  const stderr = new PassThrough();
  const status = await runCommand(args, {
    stdin: Readable.from([]),
    stdout,
    stderr,
    version: "1.2.3",
    bundledTrace: pathToFileURL(COMPILE),
    benchFolder: NONE,
    benchWorker: NONE,
    benchProgram: NONE,
  });
  return { status, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
}

/** The reports of a run with --json. */
async function reportsOf(...args: string[]) {
  const { status, stdout, stderr } = await palloc("simulate", ...args, "--json");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Without what depends on the machine, and with plain arrays. */
function facts(report: object): Record<string, unknown> {
  const plain = JSON.parse(
    JSON.stringify(report, (_, value) => (value instanceof Float64Array ? [...value] : value)),
  );
  return { ...plain, elapsedMs: 0, eventsPerSecond: 0 };
}

describe("palloc simulate", () => {
  it("simulates the bundled trace by default, and says that it is an estimate", async () => {
    const { status, stdout, stderr } = await palloc("simulate");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [name, about] = stdout.split("\n");
    expect(name).toBe("go-compile-runtime.pt.gz");
    expect(about).toBe("cycles trace-only: an ESTIMATE, the collector's cycles are guessed; costs go");
    expect(stdout).toMatch(/│ +│ go:version=1.22 │\n│ retained, mean +│ +\d+\.\d MiB │/);
  });

  it("gives the library's report, with the log beside the trace", async () => {
    const [got] = await reportsOf(LOGGED, "--policy", "go", "--memory-limit", "60M");
    const trace = await readPageTrace(new Uint8Array(await readFile(LOGGED)));
    const log = await readScavengeLog(new Uint8Array(await readFile(LOG)));
    const want = simulate(PageAlloc, trace, { policy: go(), log, memoryLimit: 60 * 2 ** 20 });
    expect(got.mode).toBe("log-driven");
    expect(facts({ ...got, trace: "", engine: "", series: 0 })).toEqual(
      facts({ ...want, trace: "", engine: "", series: 0 }),
    );
    const [guessed] = await reportsOf(LOGGED, "--no-gc-log");
    expect(guessed.mode).toBe("trace-only");
  });

  it("replays the log's steps in recorded mode", async () => {
    const [report] = await reportsOf(LOGGED, "--mode", "recorded");
    expect(report).toMatchObject({ mode: "recorded", releaseCalls: 796 });
    const alone = join(folder, "alone.pt.gz");
    await writeFile(alone, await readFile(LOGGED));
    expect(await palloc("simulate", alone, "--mode", "recorded")).toEqual({
      status: 1,
      stdout: "",
      stderr: `palloc: ${alone}: recorded mode needs the log beside the trace; name it with --gc-log\n`,
    });
  });

  it("shows policies side by side, with their differences", async () => {
    const args = ["--policy", "none", "--compare", "all", "--compare", "clairvoyant:idleMs=10"];
    const { stdout } = await palloc("simulate", ...args, "--plot");
    expect(stdout).toMatch(/│ +none │ +all │ clairvoyant:idleMs=10 │/);
    expect(stdout).toMatch(/retained, mean +│ +\d+\.\d MiB │ +\d+\.\d MiB \(-\d+(\.\d)? %\) │/);
    expect(stdout).toMatch(/release calls +│ +0 │ +[\d,]+ \(\+\) │/);
    expect(stdout).toContain("MiB retained, by seconds");
    expect(stdout).toMatch(/█ none +\n█ all +\n█ clairvoyant:idleMs=10 +\n/);
    const reports = await reportsOf(...args);
    expect(reports.map(({ policy }) => policy)).toEqual(["none", "all", "clairvoyant:idleMs=10"]);
    expect(reports[1].retainedMeanBytes).toBeLessThan(reports[0].retainedMeanBytes);
    expect(reports[2].refaultedBytes).toBeLessThan(reports[1].refaultedBytes);
  });

  it("takes both engines and other pages", async () => {
    const [wasm] = await reportsOf("--phys-page-size", "64K", "--costs", "measured");
    const [ts] = await reportsOf("--phys-page-size", "64K", "--costs", "measured", "--engine", "ts");
    expect(facts({ ...ts, engine: "" })).toEqual(facts({ ...wasm, engine: "" }));
    expect(wasm.costName).toBe("measured");
    const retained = async (...args: string[]) =>
      (await reportsOf("--policy", "all", ...args))[0].retainedMeanBytes;
    expect(await retained()).toBeLessThan(await retained("--phys-page-size", "64K"));
  });

  it("lists the policies in its help, and names what there is for a wrong one", async () => {
    const { status, stdout } = await palloc("simulate", "--help");
    expect(status).toBe(0);
    for (const { name, options } of POLICIES) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
      for (const option of Object.keys(options)) expect(stdout).toMatch(new RegExp(`^    ${option} `, "m"));
    }
    expect(await palloc("simulate", "--policy", "jem")).toEqual({
      status: 2,
      stdout: "",
      stderr:
        "error: policy must be one of go, jemalloc, mimalloc, tcmalloc, pytorch, goal, all, none, recorded, " +
        'clairvoyant, got "jem"\nTry palloc --help.\n',
    });
    const { status: wrong, stderr } = await palloc("simulate", "--compare", "go:gogc=0");
    expect({ wrong, stderr }).toEqual({
      wrong: 2,
      stderr: "error: policy go: gogc must be a number of 1 or more, got 0\nTry palloc --help.\n",
    });
  });

  it("names the option that a policy cannot do with", async () => {
    const args = ["--policy", "tcmalloc:bytesPerSecond=1M", "--phys-huge-page-size", "0"];
    expect(await palloc("simulate", ...args)).toEqual({
      status: 2,
      stdout: "",
      stderr:
        "error: --phys-huge-page-size must be above 0 for the policy tcmalloc, got 0\nTry palloc --help.\n",
    });
  });

  it("reports a bad trace in one line", async () => {
    const bad = join(folder, "bad");
    await writeFile(bad, "no trace");
    const { status, stderr } = await palloc("simulate", bad);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^palloc: .*bad: .*\n$/);
  });
});

describe("policies by name", () => {
  it("each has the options and defaults that are listed", () => {
    for (const { name, options } of POLICIES) {
      expect(parsePolicy(name).name.split(":")[0]).toBe(name);
      for (const [option, { type, default: byDefault }] of Object.entries(options)) {
        const value = type === "flag" ? byDefault : byDefault.match(/^[\d.]+[KM]?$/) ? byDefault : undefined;
        // The default, given, is taken, and makes the same policy but for its name.
        if (value !== undefined && value !== "0")
          expect(parsePolicy(`${name}:${option}=${value}`)).toBeDefined();
      }
    }
  });

  it("reads options of every type", () => {
    expect(parsePolicy("go:version=1.19,gogc=50,memoryLimit=60M").name).toBe(
      "go:version=1.19,gogc=50,memoryLimit=62914560",
    );
    expect(parsePolicy("jemalloc:dirtyDecayMs=-1,backgroundThread=true").name).toBe(
      "jemalloc:dirtyDecayMs=-1,backgroundThread=true",
    );
    expect(parsePolicy("goal:ratio=1.5,order=oldest").name).toBe("goal:ratio=1.5,everyMs=100,order=oldest");
  });

  it.each([
    ["", 'policy must be one of go, .*, got ""'],
    ["go:", undefined],
    ["go:version", 'policy go: options must be version=, .*, got "version"'],
    ["go:constructor=1", 'got "constructor=1"'],
    ["all:x=1", "policy all: options must be left out: it has none"],
    ["go:gogc=ten", 'policy go: gogc must be a number, got "ten"'],
    ["go:gogc=1K", "policy go: gogc must be a number"],
    ["go:memoryLimit=1Q", "policy go: memoryLimit must be a number of bytes, such as 8192, 64K or 2M"],
    ["jemalloc:backgroundThread=yes", "policy jemalloc: backgroundThread must be true or false"],
    ["go:version=1.20", 'policy go: version must be "1.14", .*, got "1.20"'],
  ])("%j is read or refused as it should", (text, refusal) => {
    if (refusal === undefined) expect(parsePolicy(text)).toBeDefined();
    else expect(() => parsePolicy(text)).toThrow(new RegExp(refusal));
  });
});
