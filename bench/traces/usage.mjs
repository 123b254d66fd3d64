// Imported before a program that is measured: at its exit, it reports the most memory that the process has had. A line
// on file descriptor 3, in bytes.
import { readFileSync, writeSync } from "node:fs";

const REPORT = 3;

/** What resourceUsage() says may be that of the process that has started this one. */
function mostBytes() {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
}

process.on("exit", () => writeSync(REPORT, `${mostBytes()}\n`));
