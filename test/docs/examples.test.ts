// The examples that run in Node print what their READMEs say. test/pages/ has the one that needs a browser.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root, run } from "./project.ts";

/** The output in the README of an example. */
function outputOf(name: string): string {
  const readme = readFileSync(join(root, "examples", name, "README.md"), "utf8");
  return readme.match(/^```text\n([^`]*)```$/m)?.[1] as string;
}

describe("the example of records in a file", () => {
  /** Without what depends on the file system. */
  const stable = (output: string) => output.replace(/ +\d+ KiB on the disk/g, "");

  it("prints what its README says", async () => {
    const { status, stdout, stderr } = await run(root, process.execPath, "examples/page-file/main.mjs");
    expect(`${stderr}status ${status}`).toBe("status 0");
    expect(stable(stdout)).toBe(stable(outputOf("page-file")));
  });

  it("does so where the middle of a file cannot be given back", async () => {
    const command = 'PATH= exec "$0" examples/page-file/main.mjs';
    const { status, stdout, stderr } = await run(root, "/bin/sh", "-c", command, process.execPath);
    expect(`${stderr}status ${status}`).toBe("status 0");
    expect(stable(stdout)).toBe(stable(outputOf("page-file")));
  });
});

describe("the example of messages in a shared buffer", () => {
  /** Without what depends on when the worker was terminated. */
  const stable = (output: string) => output.replace(/: \d+ messages read, \d+ blocks/, "");

  it("prints what its README says", async () => {
    const { status, stdout, stderr } = await run(root, process.execPath, "examples/shared-buffer/main.mjs");
    expect(`${stderr}status ${status}`).toBe("status 0");
    expect(stable(stdout)).toBe(stable(outputOf("shared-buffer")));
  });
});
