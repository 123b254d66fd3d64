// The command: its output and exit status, run within this process; and dist/cli.js as a shell runs it.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/cli/command.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/traces/${name}.pt.gz`, import.meta.url));
const LINK = fixture("go-link");
const JSON_TRACE = fixture("go1-json");
const CARRIED = new URL("fixtures/traces/go-compile-runtime.pt.gz", import.meta.url);
const CSV_HEADER = "time_ns,in_use_bytes,retained_bytes,sys_bytes";

/** What a run of the command left. */
interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the command in this process. */
async function palloc(...args: string[]): Promise<Outcome> {
  return onStreams(false, args);
}

async function onStreams(isTTY: boolean, args: string[]): Promise<Outcome> {
  const [stdout, stderr] = [new PassThrough(), Object.assign(new PassThrough(), { isTTY })];
  const status = await runCommand(args, { stdout, stderr, version: "1.2.3", carriedTrace: CARRIED });
  const text = (stream: PassThrough) => String(stream.read() ?? "");
  return { status, stdout: text(stdout), stderr: text(stderr) };
}

describe("the command's table", () => {
  it("of the carried trace, when none is named", async () => {
    const { status, stdout, stderr } = await palloc("replay");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.replace(/(second +)[\d,]+/, "$1N")).toBe(
      [
        "go-compile-runtime.pt.gz",
        "  events                               44,311",
        "  allocations at the recorded address  32,294 of 32,294",
        "  peak in use                          186.4 MiB",
        "  peak retained                        186.4 MiB",
        "  heap size                            188.0 MiB",
        "  scavenged                            13.6 MiB",
        "  events per second                    N",
        "  engine                               wasm",
        "",
      ].join("\n"),
    );
    expect(stdout).toMatch(/second +[1-9]/);
  });

  it("of each trace that is named, on the engine that is asked for", async () => {
    const { status, stdout } = await palloc("replay", "--engine", "ts", LINK, JSON_TRACE);
    expect(status).toBe(0);
    expect(stdout.match(/^\S.*/gm)).toEqual([LINK, JSON_TRACE]);
    expect(stdout.match(/(?<=engine +)\w+/g)).toEqual(["ts", "ts"]);
    expect(stdout.match(/(?<=events +)[\d,]+/g)).toEqual(["4,193", "41,694"]);
  });

  it("releases nothing with --scavenge none", async () => {
    const { stdout } = await palloc("replay", "--scavenge", "none", JSON_TRACE);
    expect(stdout).toMatch(/^ {2}scavenged +0\.0 MiB$/m);
  });
});

describe("the command's output for programs", () => {
  it("--json: a report a line, with the series", async () => {
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
      for (const column of Object.values(series) as number[][]) {
        expect(column).toHaveLength(512);
        expect(column.every(Number.isInteger)).toBe(true);
      }
    }
  });

  it("--csv: the series", async () => {
    const { status, stdout } = await palloc("replay", "--csv", LINK);
    const [header, ...lines] = stdout.trimEnd().split("\n");
    expect([status, header, lines.length]).toEqual([0, CSV_HEADER, 512]);
    const { series } = JSON.parse((await palloc("replay", "--json", LINK)).stdout);
    const want = series.time.map((time: number, i: number) =>
      [time, series.inUse[i], series.retained[i], series.sys[i]].join(),
    );
    expect(lines).toEqual(want);
  });

  it("--csv of several traces: which one, last", async () => {
    const folder = await mkdtemp(join(tmpdir(), "palloc-"));
    try {
      const odd = join(folder, 'a,"b".pt');
      await writeFile(odd, await readFile(LINK));
      const { stdout } = await palloc("replay", "--csv", LINK, odd);
      const lines = stdout.trimEnd().split("\n");
      expect(lines.length).toBe(1 + 2 * 512);
      expect(lines[0]).toBe(`${CSV_HEADER},trace`);
      expect(lines[512].endsWith(`,${LINK}`)).toBe(true);
      expect(lines[513].endsWith(`,"${folder}/a,""b"".pt"`)).toBe(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("the command on bad traces", () => {
  it("one line with file, event, byte and page, and status 1", async () => {
    const bad = fixture("go-vet-interleaved");
    const { status, stdout, stderr } = await palloc("replay", bad);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^palloc: .*\n$/);
    expect(stderr.startsWith(`palloc: ${bad}: event 4694 at byte 38272, after page 0xc000026000: `)).toBe(
      true,
    );
  });

  it.each(["--json", "--csv", "--engine=ts"])(
    "the same line with %s, and the other traces",
    async (option) => {
      const bad = fixture("go-vet-interleaved");
      const { status, stdout, stderr } = await palloc("replay", option, bad, LINK);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^palloc: .* event 4694 at byte 38272, .*\n$/);
      expect(stdout).toContain(LINK);
      expect(stdout).not.toContain(bad);
    },
  );

  it("a page that a replay finds allocated twice", async () => {
    const folder = await mkdtemp(join(tmpdir(), "palloc-"));
    try {
      const bad = join(folder, "twice.pt");
      // P 0, a time base, and the same page allocated twice.
      const words = BigUint64Array.of(4n, 8n, 0xc00000000009n, 0xc00000000009n);
      await writeFile(bad, new Uint8Array(words.buffer));
      const { status, stderr } = await onStreams(true, ["replay", bad]);
      expect(status).toBe(1);
      expect(stderr).toContain(
        `palloc: ${bad}: event 1 at byte 24, page 0xc00000000000: it is allocated twice`,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([
    ["no such file", join(fileURLToPath(CARRIED), "..", "none.pt"), "no such file"],
    ["a folder", fileURLToPath(new URL(".", CARRIED)), "directory"],
  ])("%s: one line, and status 1", async (_, path, reason) => {
    const { status, stdout, stderr } = await palloc("replay", path);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^palloc: .*\n$/);
    expect(stderr).toContain(path);
    expect(stderr).toContain(reason);
  });
});

describe("the command's usage", () => {
  it.each([
    { args: ["--help"], shows: /^Usage: palloc / },
    { args: ["replay", "--help"], shows: /--engine[\s\S]*--scavenge[\s\S]*--json[\s\S]*--csv/ },
    { args: ["--version"], shows: /^1\.2\.3\n$/ },
  ])("$args: on stdout, and status 0", async ({ args, shows }) => {
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
    { args: ["replay", "--json", "--csv"], says: /'--json' cannot be used with option '--csv'/ },
  ])("$args: on stderr, and status 2", async ({ args, says }) => {
    const { status, stdout, stderr } = await palloc(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(says);
  });
});

describe("the command's progress bar", () => {
  it("on a terminal, and gone at the end", async () => {
    const { status, stdout, stderr } = await onStreams(true, ["replay", LINK]);
    expect(status).toBe(0);
    expect(stderr).toContain("0 of 4,193 events");
    // The last thing is to erase the line.
    expect(stderr.endsWith("\u001b[2K")).toBe(true);
    expect(stdout).toContain("4,193");
  });
});

const COMMAND = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

describe.runIf(existsSync(COMMAND))("dist/cli.js", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "palloc-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Runs the built command from a folder that has nothing to do with it. */
  const run = (...args: string[]) =>
    new Promise<Outcome>((resolve) => {
      execFile(process.execPath, [COMMAND, ...args], { cwd: folder }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });

  it("replays the carried trace", async () => {
    const { status, stdout, stderr } = await run("replay");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("32,294 of 32,294");
  });

  it("gives the exit status", async () => {
    const bad = await run("replay", fixture("go-vet-interleaved"));
    expect([bad.status, bad.stderr.split("\n").length]).toEqual([1, 2]);
    expect((await run("replay", "--engine", "c")).status).toBe(2);
  });

  it("knows the package's version", async () => {
    const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
    expect((await run("--version")).stdout).toBe(`${version}\n`);
  });

  it("ends quietly when its reader does", async () => {
    const traces = Array.from({ length: 40 }, () => LINK);
    const child = spawn(process.execPath, [COMMAND, "replay", "--json", ...traces], { cwd: folder });
    child.stdout.once("data", () => child.stdout.destroy());
    let stderr = "";
    child.stderr.on("data", (text) => {
      stderr += text;
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect([status, stderr]).toEqual([0, ""]);
  });
});
