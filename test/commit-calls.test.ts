// A commit calls no function once it has begun, as any call may overflow the stack. What it uses is inlined.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** The functions in which a commit begins: those that the compiler has not inlined in turn. */
const COMMITS = {
  "palloc.wat": ["claim", "unclaim", "commitRange", "commitRefill", "reset", "makeRecord", "dropRecord"],
  "palloc.own.wat": [
    ...["claim", "unclaim", "commitRange", "commitRefill", "commitFlush", "commitPassed", "reset"],
    ...["linkRecord", "unlinkRecord"],
  ],
};
const FUNCTION = /^ \(func \$\S*\/(?<name>\w+) [\s\S]*?^ \)$/gm;

/** Returns the functions that each function of a module calls. */
function callsOf(file: string): Map<string, string[]> {
  const text = readFileSync(new URL(`../build/${file}`, import.meta.url), "utf8");
  const functions = [...text.matchAll(FUNCTION)];
  return new Map(
    functions.map(([code, name]) => [
      name,
      [...code.matchAll(/ call(?:_indirect)? (\S+)/g)].map(([, to]) => to),
    ]),
  );
}

describe.each(Object.entries(COMMITS))("in %s", (file, commits) => {
  const calls = callsOf(file);

  it.each(commits)("%s calls nothing", (commit) => {
    expect(calls.get(commit)).toEqual([]);
  });

  it("other functions call some", () => {
    expect(calls.get("allocRange")).not.toEqual([]);
  });
});
