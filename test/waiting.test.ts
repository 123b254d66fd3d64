// A process of Node that has nothing left to do but to wait for the lock of a shared heap does not end before it has
// waited.
import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";
import { ENGINES } from "./support/workers/crew.ts";
import { bundle } from "./support/workers/node-crew.ts";

const script = await bundle("waiting-entry.ts");

/** Runs the script in a process of its own. Returns what it prints. */
function printedBy(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, ["-", ...args], (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
    child.stdin?.end(script);
  });
}

describe.each(ENGINES)("a process with a promise that waits for the lock (%s)", (engine) => {
  it("lives until the promise is settled", async () => {
    expect(await printedBy(engine)).toBe("ERR_LOCKED\n");
  });
});
