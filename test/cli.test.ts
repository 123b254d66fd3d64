// The command: its output and exit status, run within this process; and dist/cli.js as a shell runs it.
import { type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pytorchSnapshot } from "../bench/traces/pytorch-snapshot.mjs";
import { runCommand } from "../src/cli/command.ts";
import { openInThread } from "../src/cli/read-thread.ts";
import { openFile } from "../src/cli/source.ts";
import { openTrace } from "../src/trace.ts";
import { alloc, file, free, goPage, proc, timeBase } from "./support/trace-words.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/traces/${name}.pt.gz`, import.meta.url));
const LINK = fixture("go-link");
const JSON_TRACE = fixture("go1-json");
const EXEC = fileURLToPath(new URL("fixtures/traces/go-exec/go1.27-prog-1p.trace.gz", import.meta.url));
const MALLOC = fileURLToPath(new URL("fixtures/traces/malloc/android-systemui.txt.gz", import.meta.url));
/** `palloc bench` needs built files: it is tested in dist/cli.js. */
const NONE = new URL("none:");
const NO_BENCH = { benchFolder: NONE, benchWorker: NONE, benchProgram: NONE };
const BUNDLED = new URL("fixtures/traces/go-compile-runtime.pt.gz", import.meta.url);
/** The thread is a program of its own, so it is the built one. */
const READ_WORKER = new URL("../dist/read-worker.js", import.meta.url);
const CSV_HEADER = "time_ns,in_use_bytes,retained_bytes,sys_bytes";

/** What a run of the command left. */
interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** What the command is run with, besides its arguments. */
interface Surroundings {
  isTTY?: boolean;
  stdin?: Readable;
  /** Reads long files in a thread. */
  readWorker?: URL;
  /** Instead of streams that keep what is written. */
  stdout?: Writable;
  stderr?: Writable;
}

/** Runs the command in this process. */
async function palloc(...args: string[]): Promise<Outcome> {
  return pallocIn({}, ...args);
}

async function pallocIn(given: Surroundings, ...args: string[]): Promise<Outcome> {
  const stdout = given.stdout ?? new PassThrough({ highWaterMark: 2 ** 30 });
  const stderr = Object.assign(given.stderr ?? new PassThrough(), { isTTY: given.isTTY ?? false });
  const stdin = given.stdin ?? Readable.from([]);
  const status = await runCommand(args, {
    stdin,
    stdout,
    stderr,
    version: "1.2.3",
    bundledTrace: BUNDLED,
    ...(given.readWorker && { readWorker: given.readWorker }),
    ...NO_BENCH,
  });
  const text = (stream: Writable) => (stream instanceof PassThrough ? String(stream.read() ?? "") : "");
  return { status, stdout: text(stdout), stderr: text(stderr) };
}

async function all<T>(blocks: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const block of blocks) list.push(block);
  return list;
}

/** A stream that takes nothing. */
function failing(code: string): Writable {
  const write = (_: unknown, __: unknown, done: (error: Error) => void) =>
    done(Object.assign(new Error(`${code}: that is why, write`), { code }));
  return new Writable({ write });
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "palloc-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("the table of palloc replay", () => {
  it("shows the bundled trace by default", async () => {
    const { status, stdout, stderr } = await palloc("replay");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.replace(/(second +)[\d,]+/, "$1N")).toBe(
      [
        "go-compile-runtime.pt.gz",
        "  events                               44,311",
        "  allocations at the recorded address  32,294 of 32,294",
        "  peak in use                          186.4 MiB",
        "  peak retained                        186.4 MiB",
        "  peak heap size                       188.0 MiB",
        "  heap size                            188.0 MiB",
        "  scavenged                            13.6 MiB",
        "  events per second                    N",
        "  engine                               wasm",
        "",
      ].join("\n"),
    );
    expect(stdout).toMatch(/second +[1-9]/);
  });

  it("shows each given trace, on the given engine", async () => {
    const { status, stdout } = await palloc("replay", "--engine", "ts", LINK, JSON_TRACE);
    expect(status).toBe(0);
    expect(stdout.match(/^\S.*/gm)).toEqual([LINK, JSON_TRACE]);
    expect(stdout.match(/(?<=engine +)\w+/g)).toEqual(["ts", "ts"]);
    expect(stdout.match(/(?<=events +)[\d,]+/g)).toEqual(["4,193", "41,694"]);
  });

  it("shows nothing scavenged with --scavenge none", async () => {
    const { stdout } = await palloc("replay", "--scavenge", "none", JSON_TRACE);
    expect(stdout).toMatch(/^ {2}scavenged +0\.0 MiB$/m);
  });
});

/** A row of the table. */
const row = (stdout: string, label: string) => stdout.match(new RegExp(`^  ${label}  +(.*)$`, "m"))?.[1];

/** A snapshot of PyTorch with segments. */
async function snapshot(): Promise<string> {
  const path = join(folder, "snapshot.pickle");
  await writeFile(path, pytorchSnapshot({ entries: 1000, depth: 2 }));
  return path;
}

describe("every format", () => {
  const OTHERS = "go-exec/go1.27-prog-1p.trace.gz malloc/android-systemui.txt.gz malloc/bpftrace.csv.gz";
  it.each([
    ["go-link.pt.zst", "4,193"],
    ...OTHERS.split(" ").map((path, i) => [path, ["8,952", "39,690", "63"][i]]),
    ["malloc/heaptrack.raw.gz", "115"],
    ["perf-kmem/node.txt.gz", "19,975"],
    ["pytorch/tiny-5.pickle", "11"],
  ])("is replayed from a file and from a pipe: %s", async (name, events) => {
    const path = fileURLToPath(new URL(`fixtures/traces/${name}`, import.meta.url));
    const whole = await palloc("replay", path);
    expect([whole.status, whole.stderr, row(whole.stdout, "events")]).toEqual([0, "", events]);
    const stdin = Readable.from([await readFile(path)]);
    const piped = await pallocIn({ stdin }, "replay", "-");
    expect([piped.status, piped.stderr]).toEqual([0, ""]);
    const rows = (text: string) => text.replace(/^.*\n/, "").replace(/(second +)[\d.,]+/, "$1N");
    expect(rows(piped.stdout)).toBe(rows(whole.stdout));
  });

  it.each([300, 3000])("is read from a pipe that gives %d packed bytes at a time", async (size) => {
    const bytes = await readFile(new URL("fixtures/traces/malloc/android-systemui.txt.gz", import.meta.url));
    async function* slowly() {
      for (let at = 0; at < bytes.length; at += size) {
        yield bytes.subarray(at, at + size);
        // The gunzipper takes more meanwhile, if it is let.
        if (at < 30_000) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    const { status, stdout, stderr } = await pallocIn({ stdin: Readable.from(slowly()) }, "replay", "-");
    expect([status, row(stdout, "events"), stderr]).toEqual([0, "39,690", ""]);
  });

  it("is read from its neutral form", async () => {
    const neutral = join(folder, "exec.pages");
    await palloc("convert", EXEC, neutral);
    for (const engine of ["wasm", "ts"]) {
      const { stdout } = await palloc("replay", "--engine", engine, neutral);
      expect(row(stdout, "allocations at the recorded address")).toBe("4,605 of 4,605");
    }
  });

  it("is copied to a temporary file if it is read twice, which is removed", async () => {
    const copies = async () =>
      (await readdir(tmpdir())).filter((name) => existsSync(join(tmpdir(), name, "input")));
    const before = await copies();
    const bytes = await readFile(EXEC);
    // The blocks before the last are kept until the format is known.
    const stdin = Readable.from([bytes.subarray(0, 1), bytes.subarray(1, 900), bytes.subarray(900)]);
    const { status, stdout, stderr } = await pallocIn({ stdin, isTTY: true }, "replay", "-");
    expect([status, row(stdout, "events")]).toEqual([0, "8,952"]);
    expect(stderr).toMatch(/^palloc: standard input: copied to a temporary file first\n/);
    expect((await copies()).filter((name) => !before.includes(name))).toEqual([]);
  });
});

describe("the options of a replay", () => {
  it("--placement recorded leaves out the addresses", async () => {
    const { stdout } = await palloc("replay", "--placement", "recorded", LINK);
    expect(stdout).not.toContain("recorded address");
    expect(row(stdout, "peak in use")).toBe("70.2 MiB");
  });

  it("--placement recorded and --growth needed tell fragmentation from need", async () => {
    const path = await snapshot();
    const json = async (...args: string[]) =>
      JSON.parse((await palloc("replay", "--json", ...args, path)).stdout);
    const recorded = await json("--placement", "recorded");
    const fitted = await json("--growth", "needed");
    expect(recorded.addressMatches).toBe(recorded.allocs);
    expect(recorded.peakHeapBytes).toBeGreaterThan(fitted.peakHeapBytes);
    expect(fitted.peakHeapBytes).toBeGreaterThanOrEqual(fitted.peakInUseBytes);
    expect(fitted.peakInUseBytes).toBe(recorded.peakInUseBytes);
  });

  it("--page-size rounds up, in bytes or with a unit, and makes recorded places meaningless", async () => {
    const runs = ["65536", "64K"].map((size) => palloc("replay", "--page-size", size, MALLOC));
    const [bytes, unit] = await Promise.all(runs);
    const plain = await palloc("replay", MALLOC);
    expect(bytes.stderr + unit.stderr).toBe("");
    expect(row(unit.stdout, "peak in use")).toBe(row(bytes.stdout, "peak in use"));
    expect(row(unit.stdout, "peak in use")).not.toBe(row(plain.stdout, "peak in use"));
    expect(row(plain.stdout, "allocations at the recorded address")).toMatch(/^\d+ of 21,657$/);
    expect(unit.stdout).not.toContain("recorded address");
  });

  it("--phys-page-size and --phys-huge-page-size are taken", async () => {
    const sizes = ["--phys-page-size", "64K", "--phys-huge-page-size", "0"];
    const { status, stdout, stderr } = await palloc("replay", ...sizes, LINK);
    expect([status, stderr, row(stdout, "events")]).toEqual([0, "", "4,193"]);
  });

  it("--device and --format are those of reading", async () => {
    const tiny = fileURLToPath(new URL("fixtures/traces/pytorch/tiny-5.pickle", import.meta.url));
    const one = await palloc("replay", "--device", "1", tiny);
    expect([one.status, one.stderr]).toEqual([1, expect.stringContaining("no events of device 1")]);
    const wrong = await palloc("replay", "--format", "go-exec", tiny);
    expect([wrong.status, wrong.stdout]).toEqual([1, ""]);
  });

  it("--window is that of reading, in this thread and in one of its own", async () => {
    // The events without a P come late, and so many that the file is long enough for a thread.
    const late = join(folder, "late.pt");
    const pages = Array.from({ length: 2 ** 19 }, (_, page) => alloc(goPage(page), 1)).flat();
    const last = [proc(0), timeBase(10), ...free(goPage(0), 1)];
    const early = [proc(-1), timeBase(1), ...alloc(0, 1), ...free(0, 1)];
    await writeFile(late, file(proc(0), timeBase(9), pages, last, early));
    for (const given of [{}, { readWorker: READ_WORKER }]) {
      const all = await pallocIn(given, "replay", late);
      expect([all.status, all.stderr, row(all.stdout, "events")]).toEqual([0, "", "524,291"]);
      const none = await pallocIn(given, "replay", "--window", "1", late);
      expect([none.status, none.stdout]).toEqual([1, ""]);
      expect(none.stderr).toMatch(/^palloc: .*late.pt: byte 4194344: more than 1 events come far behind/);
    }
  });

  it.each([
    "go-link.pt.zst",
    "logged/types-gogc50-limit60.pt.gz",
    "go-exec/go1.24-prog-1p.trace.gz",
    "malloc/bpftrace.csv.gz",
    "perf-kmem/node.txt.gz",
    "pytorch/tiny-5.pickle",
  ])("%s is the same if it is read in a thread", async (name) => {
    const path = fileURLToPath(new URL(`fixtures/traces/${name}`, import.meta.url));
    const gcLog = name.startsWith("logged") ? path.replace(".pt.", ".events.ndjson.") : undefined;
    const { source } = await openFile(path);
    const log = gcLog && (await openFile(gcLog)).source;
    const want = await openTrace(source, { ...(log && { gcLog: log }) });
    const got = await openInThread(READ_WORKER, { path, gcLog, options: {} }, () => {});
    expect([got.format, got.pageSize]).toEqual([want.format, want.pageSize]);
    expect(await all(got)).toEqual(await all(want));
    got.close();
  });

  it("what a thread refuses is refused with the same error", async () => {
    const path = join(folder, "unknown");
    await writeFile(path, "heap_v2/524288");
    const want = await openTrace((await openFile(path)).source).catch((error) => error);
    const task = (options: object) => ({ path, gcLog: undefined, options });
    const got = openInThread(READ_WORKER, task({}), () => {});
    await expect(got).rejects.toMatchObject({ message: want.message, code: "ERR_TRACE" });
    const wrong = openInThread(READ_WORKER, task({ window: 0 }), () => {});
    await expect(wrong).rejects.toThrow(RangeError);
    const none = openInThread(READ_WORKER, { ...task({}), path: join(folder, "none.pt") }, () => {});
    await expect(none).rejects.toMatchObject({ code: "ENOENT" });
  });

  it.each([
    [["--page-size", "12"], "--page-size must be a power of two from 16 to 1073741824, got 12"],
    [["--phys-page-size", "3"], "--phys-page-size must be a power of two"],
    [["--phys-huge-page-size", "3000"], "--phys-huge-page-size must be a power of two"],
    [["--window", "0"], "--window must be an integer from 1"],
    [["--format", "pt"], '--format must be "neutral", "go-exec"'],
    [["--placement", "recorded", "--page-size", "16K"], '--placement can be "recorded" only for pages'],
    [["--scavenge", "recorded", "--page-size", "1M"], '--scavenge can be "recorded" only for pages'],
  ])("%j is wrong usage that names the option", async (args, message) => {
    const { status, stdout, stderr } = await palloc("replay", ...args, LINK);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.startsWith(`error: ${message}`)).toBe(true);
    expect(stderr.endsWith("\nTry palloc --help.\n")).toBe(true);
  });

  it("are checked by the other commands that read, too", async () => {
    for (const args of [
      ["info", LINK],
      ["convert", LINK, join(folder, "never.pages")],
    ]) {
      expect(await palloc(...args, "--window", "0")).toMatchObject({
        status: 2,
        stdout: "",
        stderr: expect.stringContaining("--window must be"),
      });
    }
  });
});

describe("machine-readable output", () => {
  it("--json prints one report per line, with the series", async () => {
    const { status, stdout } = await palloc("replay", "--json", LINK, JSON_TRACE);
    const reports = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(status).toBe(0);
    expect(reports).toMatchObject([
      { trace: LINK, engine: "wasm", events: 4193, addressMatches: 3042, firstMismatch: null },
      { trace: JSON_TRACE, engine: "wasm", scavenges: 3900, peakInUseBytes: 11165696 },
    ]);
    for (const { series } of reports) {
      const columns = Object.values(series) as number[][];
      expect(series.time.length).toBeGreaterThanOrEqual(256);
      expect(series.time.length).toBeLessThanOrEqual(512);
      for (const column of columns) {
        expect(column).toHaveLength(series.time.length);
        expect(column.every(Number.isInteger)).toBe(true);
      }
    }
  });

  it("--csv prints the series", async () => {
    const { status, stdout } = await palloc("replay", "--csv", LINK);
    const [header, ...lines] = stdout.trimEnd().split("\n");
    expect([status, header]).toEqual([0, CSV_HEADER]);
    const { series } = JSON.parse((await palloc("replay", "--json", LINK)).stdout);
    const want = series.time.map((time: number, i: number) =>
      [time, series.inUse[i], series.retained[i], series.sys[i]].join(),
    );
    expect(lines).toEqual(want);
  });

  it("--csv names the trace in the last column if there are several", async () => {
    const odd = join(folder, 'a,"b".pt');
    await writeFile(odd, await readFile(LINK));
    const { stdout } = await palloc("replay", "--csv", LINK, odd);
    const lines = stdout.trimEnd().split("\n");
    const half = (lines.length - 1) / 2;
    expect(half).toBeGreaterThanOrEqual(256);
    expect(lines[0]).toBe(`${CSV_HEADER},trace`);
    expect(lines[half].endsWith(`,${LINK}`)).toBe(true);
    expect(lines[half + 1].endsWith(`,"${folder}/a,""b"".pt"`)).toBe(true);
  });

  it("--csv prints the header once, before the first row, and no header without rows", async () => {
    const missing = join(folder, "none.pt");
    for (const bad of [missing, fixture("go-vet-interleaved")]) {
      expect(await palloc("replay", "--csv", bad)).toMatchObject({ status: 1, stdout: "" });
      expect(await palloc("replay", "--csv", bad, missing)).toMatchObject({ status: 1, stdout: "" });
      const { stdout } = await palloc("replay", "--csv", bad, LINK, bad, LINK);
      expect(stdout.match(/^time_ns/gm)).toHaveLength(1);
      expect(stdout.startsWith(`${CSV_HEADER},trace\n`)).toBe(true);
    }
  });
});

describe("standard input", () => {
  it("is read for -, in the order of the arguments", async () => {
    const data = await readFile(LINK);
    const stdin = Readable.from([data.subarray(0, 1), data.subarray(1, 5000), data.subarray(5000)]);
    const { status, stdout, stderr } = await pallocIn({ stdin }, "replay", JSON_TRACE, "-", LINK);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.match(/^\S.*/gm)).toEqual([JSON_TRACE, "standard input", LINK]);
    expect(stdout.match(/(?<=events +)[\d,]+/g)).toEqual(["41,694", "4,193", "4,193"]);
  });

  it('is named "standard input" in errors and JSON', async () => {
    const stdin = () => Readable.from([new Uint8Array(9)]);
    const bad = await pallocIn({ stdin: stdin() }, "replay", "-");
    expect(bad).toMatchObject({ status: 1, stdout: "" });
    expect(bad.stderr).toMatch(/^palloc: standard input: byte 0: .*\n$/);
    const good = Readable.from([await readFile(LINK)]);
    const { stdout } = await pallocIn({ stdin: good }, "replay", "--json", "-");
    expect(JSON.parse(stdout)).toMatchObject({ trace: "standard input", events: 4193 });
  });

  it("reports a read error with the system's message", async () => {
    const failure = Object.assign(new Error("EISDIR: illegal operation on a directory, read"), {
      code: "EISDIR",
    });
    const stdin = new Readable({ read: () => stdin.destroy(failure) });
    expect(await pallocIn({ stdin }, "replay", "-")).toEqual({
      status: 1,
      stdout: "",
      stderr: `palloc: standard input: ${failure.message}\n`,
    });
  });

  it("is a usage error if given twice, and nothing is replayed", async () => {
    const { status, stdout, stderr } = await palloc("replay", "-", LINK, "-");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/'-' is invalid.*Standard input can be read only once\./);
  });

  it("is destroyed after a bad trace", async () => {
    const stdin = new PassThrough();
    stdin.write(new Uint8Array(4096));
    expect((await pallocIn({ stdin }, "replay", "-")).status).toBe(1);
    expect(stdin.destroyed).toBe(true);
  });
});

describe("a failing output stream", () => {
  const USES = ["replay", "replay --json", "replay --csv", "--help", "replay --help", "--version"];

  it.each(USES)("is reported in one line: %s", async (args) => {
    const stdout = failing("ENOSPC");
    expect(await pallocIn({ stdout }, ...args.split(" "))).toEqual({
      status: 1,
      stdout: "",
      stderr: "palloc: cannot write: ENOSPC: that is why, write\n",
    });
  });

  it.each(USES)("exits with 141, as after SIGPIPE, if the reader is gone: %s", async (args) => {
    const stdout = failing("EPIPE");
    expect(await pallocIn({ stdout }, ...args.split(" "))).toEqual({
      status: 141,
      stdout: "",
      stderr: "",
    });
  });

  it("stops the command before the next trace", async () => {
    const missing = join(folder, "none.pt");
    const { stderr } = await pallocIn({ stdout: failing("EIO") }, "replay", LINK, missing);
    expect(stderr).toBe("palloc: cannot write: EIO: that is why, write\n");
  });

  it.each(["EPIPE", "ENOSPC"])("does not stop the command if it is stderr: %s", async (code) => {
    const missing = join(folder, "none.pt");
    const bad = await pallocIn({ stderr: failing(code) }, "replay", missing, LINK);
    expect(bad.status).toBe(1);
    expect(bad.stdout).toContain("4,193");
    const shown = await pallocIn({ stderr: failing(code), isTTY: true }, "replay", LINK);
    expect(shown.status).toBe(0);
    expect(shown.stdout).toContain("4,193");
    expect((await pallocIn({ stderr: failing(code) }, "replay", "--fast")).status).toBe(2);
    expect(
      (await pallocIn({ stderr: failing(code), stdout: failing(code) }, "replay")).status,
    ).toBeGreaterThan(0);
  });
});

describe("a trace that is cut short", () => {
  let cut: string;
  beforeAll(async () => {
    cut = join(folder, "cut.pt");
    const whole = gunzipSync(await readFile(LINK));
    await writeFile(cut, whole.subarray(0, 20_000));
  });

  it.each(["replay", "replay --json", "replay --csv", "replay --engine=ts"])(
    "is replayed as far as it goes, with a warning: %s",
    async (args) => {
      const { status, stdout, stderr } = await palloc(...args.split(" "), cut, LINK);
      expect(status).toBe(0);
      expect(stderr).toMatch(/^palloc: .*\n$/);
      expect(stderr.startsWith(`palloc: ${cut}: warning: the file seems to be cut short, or `)).toBe(true);
      expect(stdout).toContain(cut);
      expect(stdout).toContain(LINK);
    },
  );

  it.each(["go-link", "go-compile-runtime", "go1-json", "gofmt-std", "go-compile-types2-2procs"])(
    "is told from a complete one: %s",
    async (name) => {
      expect(await palloc("replay", fixture(name))).toMatchObject({ status: 0, stderr: "" });
    },
  );
});

describe("a long trace", () => {
  it("of 8 GiB is read only up to its first bad event", async () => {
    const long = join(folder, "long.pt");
    await writeFile(long, "");
    await truncate(long, 2 ** 33);
    const { status, stderr } = await palloc("replay", long);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^palloc: .*: byte 0: this is no trace of a known format; .*\n$/);
  });

  it("is read up to --limit bytes", async () => {
    const { status, stdout, stderr } = await palloc("replay", "--limit", "1000", LINK);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(
      /^palloc: .*: byte 1000: .* the limit of 1000 bytes; raise the option limit .*\n$/,
    );
    for (const limit of ["Infinity", "34472"]) {
      expect((await palloc("replay", "--limit", limit, LINK)).status).toBe(0);
    }
  });
});

describe("a bad trace", () => {
  it("is reported in one line with file, event, byte and page, and with status 1", async () => {
    const bad = fixture("go-vet-interleaved");
    const { status, stdout, stderr } = await palloc("replay", bad);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^palloc: .*\n$/);
    expect(stderr.startsWith(`palloc: ${bad}: event 4694 at byte 38272, after page 0xc000026000: `)).toBe(
      true,
    );
  });

  it.each(["--json", "--csv", "--engine=ts"])(
    "is reported the same with %s, and the other traces are replayed",
    async (option) => {
      const bad = fixture("go-vet-interleaved");
      const { status, stdout, stderr } = await palloc("replay", option, bad, LINK);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^palloc: .* event 4694 at byte 38272, .*\n$/);
      expect(stdout).toContain(LINK);
      expect(stdout).not.toContain(bad);
    },
  );

  it("is reported if the replay finds a page allocated twice", async () => {
    const bad = join(folder, "twice.pt");
    // P 0, a time base, and the same page allocated twice.
    const words = BigUint64Array.of(4n, 8n, 0xc00000000009n, 0xc00000000009n);
    await writeFile(bad, new Uint8Array(words.buffer));
    const { status, stderr } = await pallocIn({ isTTY: true }, "replay", bad);
    expect(status).toBe(1);
    expect(stderr).toContain(
      `palloc: ${bad}: event 1 at byte 24, page 0xc00000000000: it is allocated twice`,
    );
  });

  it.each([
    ["no such file", join(fileURLToPath(BUNDLED), "..", "none.pt"), "no such file"],
    ["a folder", fileURLToPath(new URL(".", BUNDLED)), "directory"],
    ["a file that cannot be read", "/proc/self/mem", existsSync("/proc/self/mem") ? "EIO" : "no such file"],
    ["a folder's file", join(fileURLToPath(BUNDLED), "x.pt"), "not a directory"],
  ])("is reported in one line with status 1: %s", async (_, path, reason) => {
    const { status, stdout, stderr } = await palloc("replay", path);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^palloc: .*\n$/);
    expect(stderr).toContain(path);
    expect(stderr).toContain(reason);
  });
});

describe("usage", () => {
  it.each([
    { args: ["--help"], shows: /^Usage: palloc / },
    { args: ["replay", "--help"], shows: /--engine[\s\S]*--scavenge[\s\S]*--json[\s\S]*--csv/ },
    { args: ["bench", "--help"], shows: /--page \[port\][\s\S]*--json[\s\S]*--quick/ },
    { args: ["help", "bench"], shows: /^Usage: palloc bench / },
    { args: ["--version"], shows: /^1\.2\.3\n$/ },
  ])("$args prints to stdout and exits with 0", async ({ args, shows }) => {
    const { status, stdout, stderr } = await palloc(...args);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(shows);
  });

  it.each([
    { args: [], says: /^Usage: palloc / },
    { args: ["play"], says: /unknown command 'play'/ },
    { args: ["replay", "--fast"], says: /unknown option '--fast'/ },
    { args: ["replay", "--engine", "c"], says: /'c' is invalid\. Allowed choices are wasm, ts\./ },
    { args: ["replay", "--engine"], says: /argument missing/ },
    { args: ["replay", "--scavenge", "all"], says: /Allowed choices are none, recorded\./ },
    {
      args: ["replay", "--limit", "-1"],
      says: /'-1' is invalid\. It must be a whole number of bytes, or Infinity\./,
    },
    { args: ["replay", "--page-size", "8 K"], says: /'8 K' is invalid\. It must be a whole number of bytes/ },
    { args: ["replay", "--placement", "best"], says: /Allowed choices are first-fit, recorded\./ },
    { args: ["replay", "--growth", "no"], says: /Allowed choices are recorded, needed\./ },
    { args: ["replay", "--device", "a"], says: /'a' is invalid/ },
    { args: ["replay", "--limit", "1e3"], says: /'1e3' is invalid/ },
    { args: ["replay", "--limit", "9007199254740992"], says: /'9007199254740992' is invalid/ },
    { args: ["bench", "--page", "65536"], says: /'65536' is invalid\. It must be a port, 0 to 65535/ },
    { args: ["bench", "--page", "a"], says: /'a' is invalid/ },
    { args: ["replay", "--json", "--csv"], says: /'--json' cannot be used with option '--csv'/ },
  ])("$args prints to stderr and exits with 2", async ({ args, says }) => {
    const { status, stdout, stderr } = await palloc(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(says);
  });
});

describe("the progress bar", () => {
  it("is shown on a terminal and erased at the end", async () => {
    const { status, stdout, stderr } = await pallocIn({ isTTY: true }, "replay", LINK);
    expect(status).toBe(0);
    expect(stderr).toContain("0 of 19,950 bytes");
    // The last thing is to erase the line.
    expect(stderr.endsWith("\u001b[2K")).toBe(true);
    expect(stdout).toContain("4,193");
  });

  it("changes no terminal mode, since a signal could leave it changed", async () => {
    const { stderr } = await pallocIn({ isTTY: true }, "replay", LINK);
    expect(stderr).toContain("\u001b[2K");
    expect(stderr).not.toContain("\u001b[?");
  });
});

const COMMAND = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const POSIX = process.platform !== "win32";

describe.runIf(existsSync(COMMAND))("dist/cli.js", () => {
  /** How a run of the built command ended. */
  interface End extends Outcome {
    signal: NodeJS.Signals | null;
  }

  /** Runs a program from a folder that has nothing to do with it. */
  const start = (program: string, args: string[], options: SpawnOptions = {}) => {
    const child = spawn(program, args, { cwd: folder, ...options });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.on("data", (text) => {
        said[name] += text;
      });
    }
    const end = new Promise<End>((resolve) => {
      child.on("close", (code, signal) => resolve({ status: code ?? -1, signal, ...said }));
    });
    return { child, end };
  };
  const run = (...args: string[]) => start(process.execPath, [COMMAND, ...args]).end;
  /** Runs it by a line of shell, in which "$@" is the command. */
  const shell = (line: string) => start("sh", ["-c", line, "sh", process.execPath, COMMAND]).end;

  it("replays the bundled trace", async () => {
    const { status, stdout, stderr } = await run("replay");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("32,294 of 32,294");
  });

  it("times the kernels, with the same results in all columns", async () => {
    const { status, stdout, stderr } = await run("bench", "--quick", "--json");
    expect([status, stderr]).toEqual([0, ""]);
    const { header, columns, rows } = JSON.parse(stdout);
    expect(columns.slice(0, 3)).toEqual(["BigInt", "ts", "wasm"]);
    expect(columns.slice(3)).toEqual(header.cc.endsWith("no native column") ? [] : ["native C"]);
    expect(rows.length).toBe(22);
    for (const { id, cells } of rows) {
      for (const column of id.startsWith("kernels, per call") ? columns.slice(0, 3) : columns.slice(1))
        expect(cells[column].median, `${id}, ${column}`).toBeGreaterThan(0);
    }
  });

  it("says that CC cannot be run, and goes on without C", async () => {
    const env = { ...process.env, CC: "no-such-cc" };
    const { status, stdout, stderr } = await start(
      process.execPath,
      [COMMAND, "bench", "--quick", "--json"],
      { env },
    ).end;
    const why = "the compiler cannot be run, so there is no native column";
    expect([status, stderr]).toEqual([0, `palloc: bench: CC is "no-such-cc": ${why}\n`]);
    const { header, columns } = JSON.parse(stdout);
    expect([header.cc, columns]).toEqual([why, ["BigInt", "ts", "wasm"]]);
  });

  it("prints the times as a table", async () => {
    const { status, stdout } = await run("bench", "--quick");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^machine {2}.*cores/m);
    expect(stdout).toContain("findScavengeCandidate");
    expect(stdout).toMatch(/All columns computed the same in all 22 rows\.\n$/);
  });

  it.each(["--help", "replay --help", "bench --help", "--version"])("exits with 0: %s", async (args) => {
    expect(await run(...args.split(" "))).toMatchObject({ status: 0, stderr: "" });
  });

  it("sets the exit status", async () => {
    const bad = await run("replay", fixture("go-vet-interleaved"));
    expect([bad.status, bad.stderr.split("\n").length]).toEqual([1, 2]);
    expect((await run("replay", "--engine", "c")).status).toBe(2);
  });

  it("prints the package's version", async () => {
    const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
    expect((await run("--version")).stdout).toBe(`${version}\n`);
  });

  it("exits quietly with 141 when its reader closes the pipe", async () => {
    const traces = Array.from({ length: 40 }, () => LINK);
    const { child, end } = start(process.execPath, [COMMAND, "replay", "--json", ...traces]);
    child.stdout?.once("data", () => child.stdout?.destroy());
    expect(await end).toMatchObject({ status: 141, stderr: "" });
  });

  it.runIf(POSIX)("writes complete output to a file", async () => {
    const { status } = await shell(`"$@" replay --json > all.json && "$@" replay --json >> all.json`);
    expect(status).toBe(0);
    const lines = (await readFile(join(folder, "all.json"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).events)).toEqual([44311, 44311]);
  });

  it.runIf(existsSync("/dev/full")).each(["replay", "replay --json", "replay --csv", "--help", "--version"])(
    "reports a full disk: %s",
    async (args) => {
      expect(await shell(`"$@" ${args} > /dev/full`)).toMatchObject({
        status: 1,
        stderr: "palloc: cannot write: ENOSPC: no space left on device, write\n",
      });
    },
  );

  it.runIf(POSIX)("reports a partial write", async () => {
    // A file may have 4 or 8 KiB, as blocks have 512 or 1,024 bytes, and the report has more.
    const { status, stderr } = await shell(`trap "" XFSZ; ulimit -f 8; "$@" replay --json > part.json`);
    expect(stderr).toBe("palloc: cannot write: EFBIG: file too large, write\n");
    expect(status).toBe(1);
  });

  it.runIf(existsSync("/dev/full"))("continues if stderr cannot be written", async () => {
    const { status, stdout } = await shell(`"$@" replay none.pt '${LINK}' 2> /dev/full`);
    expect(status).toBe(1);
    expect(stdout).toContain("4,193");
  });

  it.runIf(POSIX)("reads a pipe and a file as standard input, and refuses a folder", async () => {
    for (const line of [`cat '${LINK}' | "$@" replay -`, `"$@" replay - < '${LINK}'`]) {
      const { status, stdout, stderr } = await shell(line);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^standard input\n.* 4,193\n/);
    }
    expect(await shell(`"$@" replay - < .`)).toMatchObject({
      status: 1,
      stderr: "palloc: standard input: EISDIR: illegal operation on a directory, read\n",
    });
  });

  it.each([
    ["plain", new Uint8Array(2 ** 16)],
    ["gzipped", gzipSync(new Uint8Array(2 ** 16))],
  ])("exits before bad standard input ends: %s", async (_, data) => {
    const { child, end } = start(process.execPath, [COMMAND, "replay", "-"]);
    child.stdin?.write(data);
    const { status, stdout, stderr } = await end;
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^palloc: standard input: byte 0: /);
  });

  it.runIf(POSIX).each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "dies of %s while the progress bar is shown",
    async (signal) => {
      const long = join(folder, "long-replay.pt");
      const pairs = new BigUint64Array(2 ** 23);
      // P 0, a time base, and a page that is allocated and freed over and over.
      pairs.forEach((_, i) => {
        pairs[i] = i % 2 === 0 ? 0xc00000000009n : 0xc0000000000an;
      });
      pairs.set([4n, 8n]);
      await writeFile(long, pairs);
      const terminal = "data:text/javascript,process.stderr.isTTY = true";
      const { child, end } = start(process.execPath, ["--import", terminal, COMMAND, "replay", long]);
      child.stderr?.on("data", (text) => {
        if (String(text).includes("of 67,108,864 bytes")) child.kill(signal);
      });
      const ended = await end;
      expect([ended.signal, ended.stdout]).toEqual([signal, ""]);
      expect(ended.stderr).not.toContain("\u001b[?");
    },
  );
});
