// The memory of the processes that this one has started, and of those that they have started: on Linux only.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Returns a number of /proc/PID/status, 0 if it is not there. */
function statusOf(pid, field) {
  try {
    return Number(
      new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1],
    );
  } catch {
    return 0;
  }
}

/** Returns the numbers of all processes below this one. */
function descendants() {
  const children = new Map();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = statusOf(name, "PPid");
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (pid) => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(process.pid);
}

/**
 * Begins to watch. Returns a function that returns the most bytes by which one of the processes has grown since;
 * undefined where that cannot be known.
 */
export function watchGrowth() {
  if (process.platform !== "linux") return () => undefined;
  const before = new Map();
  for (const pid of descendants()) {
    // Forgets the most memory that the process has had so far.
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    before.set(pid, statusOf(pid, "VmRSS"));
  }
  return () => 1024 * Math.max(...[...before].map(([pid, kib]) => statusOf(pid, "VmHWM") - kib));
}
