// Checks that no line of a source is longer than 120 columns. The formatter leaves strings, comments and assembly/
// alone.
//
//   node scripts/check-lines.mjs
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./files.mjs";

const MOST = 120;
const SOURCES = ["*.ts", "*.mjs", "*.cjs", "*.c", "*.h", ":!test/fixtures"];

const { stdout, status } = spawnSync("git", ["ls-files", "--", ...SOURCES], { cwd: root, encoding: "utf8" });
const files = stdout.trim().split("\n");
if (status !== 0 || files.length < 2) throw new Error("git ls-files named no sources.");
let found = 0;
for (const file of files) {
  for (const [i, line] of readFileSync(join(root, file), "utf8").split("\n").entries()) {
    if ([...line].length <= MOST) continue;
    console.error(`${file}:${i + 1} has ${[...line].length} columns; ${MOST} are the most`);
    found++;
  }
}
if (found) process.exitCode = 1;
