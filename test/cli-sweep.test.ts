// `palloc sweep` and `palloc merge`: run within this process, and dist/cli.js as a shell runs it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { parsePolicy, simulate } from "palloc/lab";
import { PageAlloc } from "palloc/shared";
import { readTrace } from "palloc/trace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/cli/command.ts";
import { isOnFront } from "../src/cli/sweep/front.ts";
import { expandPolicy, runsOf } from "../src/cli/sweep/grid.ts";
import type { Result } from "../src/cli/sweep/results.ts";
import { parseShard, shardOfCluster, WHOLE } from "../src/cli/sweep/shard.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/traces/${name}`, import.meta.url));
const COMPILE = fixture("go-compile-runtime.pt.gz");
const JSON_TRACE = fixture("go1-json.pt.gz");
const CLI = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const NONE = new URL("none:");
const POLICIES = ["--policy", "none", "--policy", "goal:ratio=1.1|1.5,everyMs=10", "--policy", "all"];

let folder: string;
let number = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "palloc-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file that there is not yet. */
const newFile = () => join(folder, `${number++}.ndjson`);

async function palloc(args: readonly string[], env: Record<string, string> = {}, version = "1.2.3") {
  const stdout = new PassThrough({ highWaterMark: 2 ** 30 });
  const stderr = new PassThrough();
  const status = await runCommand(args, {
    stdin: Readable.from([]),
    stdout,
    stderr,
    version,
    env,
    bundledTrace: NONE,
    benchFolder: NONE,
    benchWorker: NONE,
    benchProgram: NONE,
  });
  return { status, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
}

/** The results of a sweep. */
async function resultsOf(
  args: readonly string[],
  env?: Record<string, string>,
  version?: string,
): Promise<Result[]> {
  const { status, stdout, stderr } = await palloc(["sweep", ...args, "--json"], env, version);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return linesOf(stdout);
}

function linesOf(text: string): Result[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

describe("palloc sweep", () => {
  it("runs the product of all that is named, and each run is a simulation", async () => {
    const sizes = ["--phys-page-size", "4K,64K"];
    const results = await resultsOf([COMPILE, JSON_TRACE, ...POLICIES, ...sizes]);
    expect(results.length).toBe(2 * 4 * 2);
    expect(results.map(({ index }) => index)).toEqual(results.map((_, i) => i));
    expect(new Set(results.map(({ key }) => key)).size).toBe(16);
    expect(new Set(results.map(({ sweep, runs }) => `${sweep} ${runs}`)).size).toBe(1);
    for (const { trace, policy, physPageSize, ...got } of [results[0], results[5], results[15]]) {
      const read = await readTrace(new Uint8Array(await readFile(trace)));
      const want = simulate(PageAlloc, read, { policy: parsePolicy(policy), physPageSize });
      const { series: _, elapsedMs: _ms, eventsPerSecond: _speed, policy: _name, ...facts } = want;
      expect(got).toMatchObject(JSON.parse(JSON.stringify(facts)));
    }
  });

  it("prints a table with the front marked, or CSV", async () => {
    const { stdout } = await palloc(["sweep", COMPILE, ...POLICIES]);
    expect(stdout).toMatch(/^4 runs\n┌/);
    expect(stdout).toMatch(/│ none +│.*│ \* +│\n/);
    expect(stdout).toContain("trace-only results are estimates");
    const { stdout: csv } = await palloc(["sweep", COMPILE, ...POLICIES, "--csv"]);
    const [head, ...rows] = csv.trimEnd().split("\n");
    expect(head.split(",").slice(0, 3)).toEqual(["index", "trace", "policy"]);
    expect(rows.length).toBe(4);
    expect(rows[1]).toContain('"goal:ratio=1.1,everyMs=10"');
  });

  it("goes on where it was stopped, also in mid-line, and runs again what has changed", async () => {
    const file = newFile();
    const args = [COMPILE, ...POLICIES, "--resume", file];
    const all = await resultsOf(args);
    const whole = await readFile(file, "utf8");
    expect(linesOf(whole)).toEqual(all);
    // Killed in the middle of the third line.
    const [first, second, third] = whole.split("\n");
    await writeFile(file, `${first}\n${second}\n${third.slice(0, 50)}`);
    expect(await resultsOf(args)).toEqual(all);
    const lines = (await readFile(file, "utf8")).split("\n");
    expect(lines.slice(0, 3)).toEqual([first, second, third]);
    expect(lines.length).toBe(5);
    // All is there: nothing is added.
    expect(await resultsOf(args)).toEqual(all);
    expect(await readFile(file, "utf8")).toBe(whole);
    // Another version, or another option, is another run.
    const later = await resultsOf(args, {}, "1.2.4");
    expect(later.map(({ key }) => key)).not.toEqual(all.map(({ key }) => key));
    expect(linesOf(await readFile(file, "utf8")).length).toBe(8);
    await resultsOf([...args, "--costs", "measured"]);
    expect(linesOf(await readFile(file, "utf8")).length).toBe(12);
  });

  it("refuses to go on with a file of something else, which stays as it is", async () => {
    const file = newFile();
    await writeFile(file, "precious\nwords");
    const { status, stderr } = await palloc(["sweep", COMPILE, ...POLICIES, "--resume", file]);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `palloc: ${file}: line 1 is no result of palloc sweep; if it was cut short, remove it\n`,
    );
    expect(await readFile(file, "utf8")).toBe("precious\nwords");
    await writeFile(file, "precious words");
    expect((await palloc(["sweep", COMPILE, ...POLICIES, "--resume", file])).status).toBe(1);
    expect(await readFile(file, "utf8")).toBe("precious words");
  });

  it("runs in parts, which merge joins", async () => {
    const args = [COMPILE, ...POLICIES, "--phys-page-size", "4K,16K,64K"];
    const all = await resultsOf(args);
    const files: string[] = [];
    for (let i = 0; i < 5; i++) {
      const file = newFile();
      const byOption = i % 2 === 0;
      const env = {
        SLURM_ARRAY_TASK_ID: String(i + 1),
        SLURM_ARRAY_TASK_MIN: "1",
        SLURM_ARRAY_TASK_COUNT: "5",
      };
      const part = await resultsOf(
        [...args, "--resume", file, ...(byOption ? ["--shard", `${i}/5`] : [])],
        byOption ? {} : env,
      );
      expect(part.length).toBe(i < 2 ? 3 : 2);
      files.push(file);
    }
    const merged = await palloc(["merge", ...files]);
    expect({ status: merged.status, stderr: merged.stderr }).toEqual({ status: 0, stderr: "" });
    expect(linesOf(merged.stdout)).toEqual(all);

    const some = await palloc(["merge", files[0], files[3]]);
    expect(some.status).toBe(1);
    expect(some.stderr).toBe("palloc: 7 of 12 runs are missing: 1-2, 4, 6-7, 9, 11\n");
    expect(linesOf(some.stdout).length).toBe(5);
    const twice = await palloc(["merge", files[0], files[1], files[0]]);
    expect(twice).toEqual({
      status: 1,
      stdout: "",
      stderr: `palloc: ${files[0]}: run 0 is in ${files[0]} too\n`,
    });
    const other = newFile();
    await resultsOf([JSON_TRACE, "--policy", "none", "--resume", other]);
    const mixed = await palloc(["merge", files[0], other]);
    expect(mixed).toEqual({
      status: 1,
      stdout: "",
      stderr: `palloc: ${other}: its results are of another sweep than those of ${files[0]}\n`,
    });
    expect((await palloc(["merge", join(folder, "none")])).stderr).toContain("no such file");
  });

  it("reports a run that fails, and goes on with the others", async () => {
    const { status, stdout, stderr } = await palloc([
      "sweep",
      COMPILE,
      "--policy",
      "tcmalloc:bytesPerSecond=1K",
      "--policy",
      "none",
      "--page-size",
      "8K,24K",
      "--json",
    ]);
    expect(status).toBe(1);
    expect(linesOf(stdout).map(({ policy, pageSize }) => [policy, pageSize])).toEqual([
      ["tcmalloc:bytesPerSecond=1K", 8192],
      ["none", 8192],
    ]);
    expect(stderr.split("\n").length).toBe(3);
    expect(stderr).toContain(`${COMPILE}, none: options.pageSize must be a power of two`);
  });

  it("refuses wrong options before it reads a trace", async () => {
    const refusal = async (...args: string[]) => {
      const { status, stderr } = await palloc(["sweep", "none", ...args]);
      expect(status).toBe(2);
      return stderr;
    };
    expect(await refusal()).toContain("required option '--policy <policy>' not specified");
    expect(await refusal("--policy", "jem")).toContain("policy must be one of go");
    expect(await refusal("--policy", "goal:everyMs=10..1+1")).toContain("the range 10..1+1 must go up");
    expect(await refusal("--policy", "none", "--shard", "8/8")).toBe(
      'error: --shard must be i/n, such as 0/8 to 7/8, got "8/8"\nTry palloc --help.\n',
    );
    expect(await refusal("--policy", "none", "--phys-page-size", "4K,x")).toContain(
      "a whole number of bytes",
    );
    expect(await refusal("--policy", "none", "--threads", "0")).toContain("from 1 to 1024");
  });

  it("gives the same with threads, as a shell runs it", async () => {
    const args = ["sweep", COMPILE, ...POLICIES, "--json", "--threads", "3"];
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const facts = ({ key: _key, sweep: _sweep, version: _version, ...rest }: Result) => rest;
    expect(linesOf(stdout).map(facts)).toEqual((await resultsOf([COMPILE, ...POLICIES])).map(facts));
  });

  it("can be killed and gone on with, as a shell runs it", async () => {
    const file = newFile();
    const args = ["sweep", COMPILE, "--policy", "goal:everyMs=10..60+1", "--json", "--resume", file];
    const killed = spawn(process.execPath, [CLI, ...args], { stdio: "ignore" });
    for (;;) {
      const text = await readFile(file, "utf8").catch(() => "");
      if (text.split("\n").length > 5) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    killed.kill("SIGKILL");
    await once(killed, "close");
    const before = linesOf((await readFile(file, "utf8")).replace(/[^\n]*$/, ""));
    const { status, stdout } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
    expect(status).toBe(0);
    const after = linesOf(await readFile(file, "utf8"));
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.length).toBe(51);
    expect(linesOf(stdout).map(({ index }) => index)).toEqual(Array.from({ length: 51 }, (_, i) => i));
  });
});

describe("the grid of a sweep", () => {
  it.each([
    ["none", ["none"]],
    ["go:version=1.19,gogc=50|100", ["go:version=1.19,gogc=50", "go:version=1.19,gogc=100"]],
    ["j:a=1..9*2", ["j:a=1", "j:a=2", "j:a=4", "j:a=8"]],
    ["j:a=0..1+0.25", ["j:a=0", "j:a=0.25", "j:a=0.5", "j:a=0.75", "j:a=1"]],
    ["j:a=-1..1+1", ["j:a=-1", "j:a=0", "j:a=1"]],
    ["j:a=1|4..6+2,b=x|y", ["j:a=1,b=x", "j:a=1,b=y", "j:a=4,b=x", "j:a=4,b=y", "j:a=6,b=x", "j:a=6,b=y"]],
    ["j:a=5..5*2", ["j:a=5"]],
    ["j:a=1..2", ["j:a=1..2"]],
    ["j:", ["j:"]],
  ])("%s", (text, policies) => {
    expect(expandPolicy(text)).toEqual(policies);
  });

  it.each(["j:a=1..9*1", "j:a=0..9*2", "j:a=1..9+0", "j:a=9..1*2", "j:a=1..9999999+1"])(
    "%s is refused",
    (text) => {
      expect(() => expandPolicy(text)).toThrow(RangeError);
    },
  );

  it("is not too large", () => {
    const grid = {
      traces: 1024,
      pageSizes: [undefined],
      physPageSizes: [undefined],
      memoryLimits: [undefined],
    };
    const policies = Array.from({ length: 1024 }, (_, i) => String(i));
    expect(runsOf({ ...grid, policies }).length).toBe(2 ** 20);
    expect(() => runsOf({ ...grid, policies: [...policies, "x"] })).toThrow(
      "policy: a sweep must have at most 1048576 runs, got 1049600; name fewer",
    );
  });
});

describe("the part of a sweep", () => {
  it("is told by an option", () => {
    expect(parseShard("2/8")).toEqual({ index: 2, count: 8 });
    for (const text of ["8/8", "0/0", "1", "-1/2", "1/2/3", "a/b", ""])
      expect(() => parseShard(text)).toThrow(RangeError);
  });

  it("is told by a cluster", () => {
    expect(shardOfCluster({})).toEqual(WHOLE);
    expect(shardOfCluster({ SLURM_ARRAY_TASK_ID: "3", SLURM_ARRAY_TASK_COUNT: "8" })).toEqual({
      index: 3,
      count: 8,
    });
    const stepped = {
      SLURM_ARRAY_TASK_ID: "7",
      SLURM_ARRAY_TASK_MIN: "1",
      SLURM_ARRAY_TASK_STEP: "2",
      SLURM_ARRAY_TASK_COUNT: "4",
    };
    expect(shardOfCluster(stepped)).toEqual({ index: 3, count: 4 });
    expect(shardOfCluster({ JOB_COMPLETION_INDEX: "0", JOB_COMPLETIONS: "2" })).toEqual({
      index: 0,
      count: 2,
    });
    expect(() => shardOfCluster({ JOB_COMPLETION_INDEX: "1" })).toThrow(
      "options.shard must be given: JOB_COMPLETION_INDEX and JOB_COMPLETIONS say part 1 of (not set)",
    );
    expect(() => shardOfCluster({ ...stepped, SLURM_ARRAY_TASK_ID: "6" })).toThrow("say part 2.5 of 4");
  });
});

describe("the front", () => {
  it("has what no other of the same trace beats", () => {
    const point = (traceHash: string, retainedMeanBytes: number, costNs: number) => ({
      traceHash,
      retainedMeanBytes,
      costNs,
    });
    const all = [
      point("a", 1, 9),
      point("a", 5, 5),
      point("a", 5, 6),
      point("a", 6, 5),
      point("a", 9, 1),
      point("b", 7, 7),
    ];
    expect(all.map((one) => isOnFront(one, all))).toEqual([true, true, false, false, true, true]);
    const same = [point("a", 1, 1), point("a", 1, 1)];
    expect(same.map((one) => isOnFront(one, same))).toEqual([true, true]);
  });
});
