// Records a program with heaptrack, and reads what it has written. Fixtures show one version of heaptrack; this shows
// the one that is installed.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTrace } from "palloc/trace";
import { expect, it } from "vitest";
import { checkInvariants } from "../support/trace-invariants.ts";

const missing = ["heaptrack", "zstd"].find((tool) => spawnSync(tool, ["--version"]).error);
if (missing) console.warn(`heaptrack is not recorded, because ${missing} is not installed`);

it.skipIf(missing)("reads what heaptrack records", async () => {
  const folder = mkdtempSync(join(tmpdir(), "palloc-heaptrack-"));
  try {
    execFileSync("heaptrack", ["-r", "-o", join(folder, "ls"), "ls", "-l", "/usr"], { stdio: "ignore" });
    const data = execFileSync("zstd", ["-dc", join(folder, "ls.raw.zst")], { maxBuffer: 2 ** 28 });
    const trace = await readTrace(data);
    checkInvariants(trace);
    const lines = data.toString("latin1").split("\n");
    const allocs = lines.filter((line) => line.startsWith("+ "));
    expect(allocs.length).toBeGreaterThan(10);
    const addresses = allocs.map((line) => Number.parseInt(line.split(" ")[3], 16));
    const placed = Array.from(trace.base.subarray(0, trace.length)).filter((_, i) => trace.kind[i] === 1);
    expect(placed).toEqual(addresses);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
