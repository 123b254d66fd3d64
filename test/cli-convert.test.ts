// `palloc convert` and `palloc info`: run within this process, and dist/cli.js as a shell runs it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { readTrace, writeTrace } from "palloc/trace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/cli/command.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/traces/${name}.pt.gz`, import.meta.url));
const LINK = fixture("go-link");
const JSON_TRACE = fixture("go1-json");
const NONE = new URL("none:");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "palloc-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs the command in this process. */
async function palloc(args: string[], given: { stdin?: Readable; stdout?: Writable; isTTY?: boolean } = {}) {
  const stdout = given.stdout ?? new PassThrough({ highWaterMark: 2 ** 30 });
  const stderr = Object.assign(new PassThrough(), { isTTY: given.isTTY ?? false });
  const status = await runCommand(args, {
    stdin: given.stdin ?? Readable.from([]),
    stdout,
    stderr,
    version: "1.2.3",
    bundledTrace: NONE,
    benchFolder: NONE,
    benchWorker: NONE,
    benchProgram: NONE,
  });
  const out: Buffer = (stdout instanceof PassThrough && stdout.read()) || Buffer.alloc(0);
  return { status, out, stdout: String(out), stderr: String(stderr.read() ?? "") };
}

/** Expects a file to hold the events of a fixture. */
async function expectSame(bytes: Uint8Array, of: string): Promise<void> {
  const got = await readTrace(bytes);
  const want = await readTrace(await readFile(of));
  for (const name of ["time", "proc", "kind", "base", "npages"] as const) {
    expect(Buffer.from(got[name].buffer).equals(Buffer.from(want[name].buffer)), name).toBe(true);
  }
}

/** A folder for one run. */
async function newFolder(): Promise<string> {
  return mkdtemp(join(folder, "run-"));
}

describe("palloc convert", () => {
  it.each([
    ["a.pages", "neutral", false],
    ["a.pages.gz", "neutral", true],
    ["a.pt", "go-page-trace", false],
    ["a.pt.gz", "go-page-trace", true],
  ])("writes %s as %s", async (name, format, isPacked) => {
    const run = await newFolder();
    const path = join(run, name);
    expect(await palloc(["convert", LINK, path])).toMatchObject({ status: 0, stdout: "", stderr: "" });
    const bytes = await readFile(path);
    expect(bytes[0] === 0x1f).toBe(isPacked);
    const plain = isPacked ? gunzipSync(bytes) : bytes;
    expect((await readTrace(plain)).format).toBe(format);
    await expectSame(plain, LINK);
    expect(await readdir(run)).toEqual([name]);
  });

  it("converts to what --to says, and back", async () => {
    const run = await newFolder();
    const [there, back] = [join(run, "there.pt"), join(run, "back")];
    await palloc(["convert", JSON_TRACE, there, "--to", "neutral"]);
    expect((await readTrace(await readFile(there))).format).toBe("neutral");
    await palloc(["convert", "--to", "go-page-trace", there, back]);
    expect((await readTrace(await readFile(back))).format).toBe("go-page-trace");
    await expectSame(await readFile(back), JSON_TRACE);
  });

  it("reads standard input and writes standard output for -, and leaves no temporary file", async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith("palloc-"));
    const data = await readFile(LINK);
    const stdin = Readable.from([data.subarray(0, 1), data.subarray(1, 5000), data.subarray(5000)]);
    const { status, out, stderr } = await palloc(["convert", "-", "-"], { stdin });
    expect([status, stderr]).toEqual([0, ""]);
    await expectSame(out, LINK);
    const after = (await readdir(tmpdir())).filter((name) => name.startsWith("palloc-"));
    expect(
      after.filter((name) => !before.includes(name) && existsSync(join(tmpdir(), name, "input"))),
    ).toEqual([]);
  });

  it("says on a terminal that it copies standard input, and shows the bytes", async () => {
    const stdin = Readable.from([await readFile(LINK)]);
    const { stderr } = await palloc(["convert", "-", join(folder, "tty.pages")], { stdin, isTTY: true });
    expect(stderr).toMatch(/^palloc: standard input: copied to a temporary file first\n/);
    expect(stderr).toContain("of 19,950 bytes");
    expect(stderr.endsWith("\u001b[2K")).toBe(true);
  });

  it("leaves nothing after an error, and an old file as it was", async () => {
    const run = await newFolder();
    const bad = join(run, "bad.pt");
    // The events before the bad one would fill a frame.
    await writeFile(bad, gunzipSync(await readFile(fixture("gofmt-std"))).subarray(0, 800_001));
    const old = join(run, "old.pages");
    await writeFile(old, "old");
    for (const out of [join(run, "new.pages"), old, join(run, "new.pt.gz")]) {
      const { status, stdout, stderr } = await palloc(["convert", bad, out]);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^palloc: .*bad\.pt: .*byte 800000.*\n$/);
    }
    expect((await readdir(run)).sort()).toEqual(["bad.pt", "old.pages"]);
    expect(await readFile(old, "utf8")).toBe("old");
  });

  it.each([
    ["no such file", ["none.pt", "a.pages"], /none\.pt: ENOENT/],
    ["a folder", [".", "a.pages"], /EISDIR/],
    ["an output in no folder", [LINK, join("none", "a.pages")], /ENOENT/],
  ])("reports %s with status 1", async (_, [input, output], message) => {
    const run = await newFolder();
    const { status, stderr } = await palloc([
      "convert",
      join(input === LINK ? "/" : run, input),
      join(run, output),
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(await readdir(run)).toEqual([]);
  });

  it("refuses what a page trace cannot express", async () => {
    const run = await newFolder();
    const path = join(run, "small.pages");
    const column = Float64Array.of(4096);
    const one = { length: 1, time: column, proc: Int32Array.of(0), kind: Uint8Array.of(1), base: column };
    const parts = writeTrace({ ...one, npages: Uint32Array.of(1), pageSize: 4096 });
    await writeFile(path, Readable.from(parts));
    const { status, stderr } = await palloc(["convert", path, join(run, "small.pt")]);
    expect(status).toBe(1);
    expect(stderr).toContain("a page trace has pages of 8192 bytes, and this trace has pages of 4096");
  });

  it("passes --format and --limit on", async () => {
    const limited = await palloc(["convert", "--limit", "1000", LINK, join(folder, "l.pages")]);
    expect([limited.status, limited.stderr]).toEqual([1, expect.stringContaining("limit of 1000 bytes")]);
    const wrong = await palloc(["convert", "--format", "neutral", LINK, join(folder, "l.pages")]);
    expect([wrong.status, wrong.stderr]).toEqual([
      1,
      expect.stringContaining("byte 0: this is not the neutral form"),
    ]);
    expect(existsSync(join(folder, "l.pages"))).toBe(false);
  });

  it("reports a failing standard output", async () => {
    const stdout = new Writable({
      write: (_, __, done) =>
        done(Object.assign(new Error("ENOSPC: that is why, write"), { code: "ENOSPC" })),
    });
    const { status, stderr } = await palloc(["convert", LINK, "-"], { stdout });
    expect([status, stderr]).toEqual([1, "palloc: cannot write: ENOSPC: that is why, write\n"]);
  });

  it.runIf(process.platform !== "win32")("writes to a pipe that stays one, and through a link", async () => {
    const run = await newFolder();
    const pipe = join(run, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    const [read, { status }] = await Promise.all([readFile(pipe), palloc(["convert", LINK, pipe])]);
    await expectSame(read, LINK);
    expect([status, (await lstat(pipe)).isFIFO()]).toEqual([0, true]);
    await mkdir(join(run, "far"));
    await writeFile(join(run, "far", "file"), "old");
    await symlink(join("far", "file"), join(run, "link"));
    await palloc(["convert", LINK, join(run, "link")]);
    await expectSame(await readFile(join(run, "far", "file")), LINK);
  });

  it.each([
    [["convert", LINK], /missing required argument 'out'/],
    [["convert", LINK, "a", "--to", "csv"], /Allowed choices are neutral, go-page-trace\./],
    [["convert", LINK, "a", "--window", "x"], /must be a whole number below 2\^31/],
    [["info"], /missing required argument 'file'/],
    [["info", LINK, JSON_TRACE, "--gc-log", "x"], /--gc-log is for one trace, got 2; give them one by one\n/],
    [["info", "-", "-"], /Standard input can be read only once/],
  ])("%j is wrong usage", async (args, message) => {
    const { status, stderr } = await palloc(args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

describe("palloc info", () => {
  it("says what a trace is, as JSON, the same of its neutral form", async () => {
    const path = join(folder, "json.pages");
    await palloc(["convert", JSON_TRACE, path]);
    const { status, stdout } = await palloc(["info", "--json", JSON_TRACE, path]);
    const [page, neutral] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(status).toBe(0);
    expect(page).toMatchObject({
      ...{ file: JSON_TRACE, fileBytes: 177311, format: "go-page-trace", packing: "gzip", pageSize: 8192 },
      ...{ events: 41694, kinds: { alloc: 19084, free: 18710, scavenge: 3900 }, procs: 1, gcCycles: null },
      ...{ peakInUseBytes: 11165696, lowestAddress: 0xc000002000 },
    });
    const { length, kind, npages } = await readTrace(await readFile(JSON_TRACE));
    const small = Array.from(
      { length },
      (_, i) => kind[i] === 1 && npages[i] > 2 && npages[i] <= 4 && npages[i],
    );
    expect(page.sizes[2]).toEqual({
      most: 4 * 8192,
      allocs: small.filter(Boolean).length,
      bytes: small.reduce((sum: number, n) => sum + Number(n), 0) * 8192,
    });
    expect(page.sizes.reduce((sum: number, { allocs }: { allocs: number }) => sum + allocs, 0)).toBe(19084);
    expect(page.ask).toHaveLength(2);
    const { fileBytes } = neutral;
    const kept = { file: path, fileBytes, format: "neutral", origin: "go-page-trace", packing: "none" };
    expect(neutral).toEqual({ ...page, ...kept });
  });

  it("says it to people", async () => {
    const { stdout } = await palloc(["info", LINK]);
    expect(stdout).toMatch(/^ {2}format +go-page-trace$/m);
    expect(stdout).toMatch(/^ {2}peak in use +70\.2 MiB, after \d\.\d{3} s$/m);
    expect(stdout).not.toContain("--scavenge recorded");
  });

  it("says what the reader had to change, of the trace and of its neutral form", async () => {
    const perf = fileURLToPath(new URL("fixtures/traces/perf-kmem/node.txt.gz", import.meta.url));
    const path = join(await newFolder(), "perf.pages");
    await palloc(["convert", perf, path]);
    for (const file of [perf, path]) {
      const { stdout } = await palloc(["info", file]);
      expect(stdout).toMatch(/^ {2}frees added +2\n {2}frees left out +27\n {2}time /m);
      const { corrections } = JSON.parse((await palloc(["info", "--json", file])).stdout);
      expect(corrections).toEqual({ impliedFrees: 2, skippedFrees: 27 });
      const replayed = await palloc(["replay", "--engine", "ts", file]);
      expect(replayed.stdout).toMatch(/^ {2}events .*\n {2}frees added +2\n {2}frees left out +27\n/m);
      const [line] = (await palloc(["replay", "--engine", "ts", "--json", file])).stdout.split("\n");
      expect(JSON.parse(line).corrections).toEqual(corrections);
    }
    const { stdout } = await palloc(["info", "--json", LINK]);
    expect(JSON.parse(stdout).corrections).toEqual({});
  });

  it.each([
    ["go1-json.pt.gz", ["--scavenge none", "--scavenge recorded"]],
    ["go-exec/go1.27-prog-1p.trace.gz", ["--growth needed --scavenge none", "--placement recorded"]],
    ["malloc/bpftrace.csv.gz", ["--scavenge none"]],
    ["perf-kmem/node.txt.gz", ["--scavenge none"]],
    [
      "pytorch/tiny-5.pickle",
      ["--growth needed --scavenge none --device 0", "--placement recorded --device 0"],
    ],
  ])("names commands that work on %s", async (name, options) => {
    const path = fileURLToPath(new URL(`fixtures/traces/${name}`, import.meta.url));
    const device = name.startsWith("pytorch") ? ["--device", "0"] : [];
    const { stdout } = await palloc(["info", "--json", path, ...device]);
    const commands: string[] = JSON.parse(stdout).ask.map((hint: string) => hint.split(": palloc ")[1]);
    expect(commands).toEqual(options.map((option) => `replay ${option}`));
    for (const command of commands) {
      expect(await palloc([...command.split(" "), path])).toMatchObject({ status: 0, stderr: "" });
    }
  });

  it("counts events that existed, and gives back what was freed", async () => {
    const column = (...values: number[]) => Float64Array.from(values);
    const trace = {
      length: 4,
      time: column(10, 20, 30, 40),
      proc: Int32Array.of(-1, 3, 3, 5),
      kind: Uint8Array.of(4, 1, 2, 1),
      base: column(0, 32, 0, 64),
      npages: Uint32Array.of(2, 1, 2, 3),
      pageSize: 16,
    };
    const stdin = Readable.from(writeTrace(trace));
    const { stdout } = await palloc(["info", "--json", "-"], { stdin });
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ file: "standard input", procs: 2, peakInUseBytes: 64, peakInUseTime: 40, allocatedBytes: 64 },
      ...{ lowestAddress: 0, endAddress: 112, firstTime: 10, lastTime: 40 },
    });
  });

  it("reports a bad file, and goes on with the next", async () => {
    const bad = join(folder, "bad.txt");
    await writeFile(bad, "no trace");
    const { status, stdout, stderr } = await palloc(["info", bad, LINK]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^palloc: .*bad\.txt: byte 0: .*\n$/);
    expect(stdout.startsWith(`${LINK}\n`)).toBe(true);
  });
});

describe("the GC log beside a page trace", () => {
  const logged = fixture("logged/types-gogc50-limit60");
  const log = logged.replace(/pt\.gz$/, "events.ndjson.gz");
  const cyclesOf = async (...args: string[]) => {
    const { status, stdout, stderr } = await palloc(["info", "--json", ...args]);
    expect([status, stderr]).toEqual([0, ""]);
    const { gcCycles, gcLog } = JSON.parse(stdout);
    return [gcCycles, gcLog];
  };

  it("is found by its name, plain or packed, or given, or left alone", async () => {
    const run = await newFolder();
    const trace = join(run, "a.pt.gz");
    await writeFile(trace, await readFile(logged));
    expect(await cyclesOf(trace)).toEqual([null, undefined]);
    const other = join(run, "other.log");
    await writeFile(other, await readFile(log));
    expect(await cyclesOf(trace, "--gc-log", other)).toEqual([70, other]);
    const stdin = Readable.from([await readFile(logged)]);
    const piped = await palloc(["info", "--json", "-", "--gc-log", other], { stdin });
    expect(JSON.parse(piped.stdout)).toMatchObject({ gcCycles: 70, gcLog: other });
    await writeFile(join(run, "a.events.ndjson.gz"), await readFile(log));
    expect(await cyclesOf(trace)).toEqual([70, join(run, "a.events.ndjson.gz")]);
    await writeFile(join(run, "a.events.ndjson"), '{"k":"pace","t":1,"heapMarked":2,"heapGoal":3}\n');
    expect(await cyclesOf(trace)).toEqual([1, join(run, "a.events.ndjson")]);
    expect(await cyclesOf(trace, "--no-gc-log")).toEqual([null, undefined]);
    const { stdout } = await palloc(["info", logged]);
    expect(stdout).toContain(`  gc cycles                  70, from ${log}\n`);
  });

  it("is kept by convert", async () => {
    const run = await newFolder();
    for (const [more, length] of [
      [[], 70],
      [["--no-gc-log"], undefined],
    ] as const) {
      const out = join(run, "a.pages");
      expect(await palloc(["convert", logged, out, ...more])).toMatchObject({ status: 0, stderr: "" });
      expect((await readTrace(await readFile(out))).gc?.length).toBe(length);
    }
  });

  it("is refused when it is bad, missing, or beside a trace of another format", async () => {
    const run = await newFolder();
    const bad = join(run, "bad.ndjson");
    await writeFile(bad, "{}\n");
    const out = join(run, "a.pages");
    const convert = (from: string, path: string) => palloc(["convert", from, out, "--gc-log", path]);
    expect(await convert(logged, bad)).toMatchObject({
      status: 1,
      stderr: `palloc: ${logged}: in the GC log, byte 0: expected a JSON object with the key k, in "{}"\n`,
    });
    expect(await convert(logged, join(run, "none"))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/: ENOENT: no such file or directory, .*none'\n$/),
    });
    const csv = join(run, "a.csv");
    await writeFile(csv, "time,op,address,bytes\n1,malloc,4096,16\n");
    expect(await convert(csv, log)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(
        /^error: --gc-log is for Go page traces, and this is a trace of format malloc; /,
      ),
    });
    expect(await readdir(run)).toEqual(["a.csv", "bad.ndjson"]);
  });
});

const COMMAND = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

describe.runIf(existsSync(COMMAND) && process.platform !== "win32")("dist/cli.js", () => {
  it("converts in pipes", () => {
    const line = `cat '${LINK}' | "$@" convert - - | "$@" convert --to go-page-trace - - | "$@" info --json -`;
    const { status, stdout, stderr } = spawnSync("sh", ["-c", line, "sh", process.execPath, COMMAND], {
      cwd: folder,
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({
      format: "go-page-trace",
      events: 4193,
      peakInUseBytes: 73572352,
    });
  });
});
