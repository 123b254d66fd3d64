// The assertions of the debug build: each traps when what it says does not hold.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { HEADER_LOCK } from "../../src/engine/layout.ts";
import { CORE } from "../../src/heap/core.ts";
import { CHUNK } from "../support/heaps.ts";
import type { Palloc } from "../support/subject.ts";

describe.each<[string, Palloc, RegExp]>([
  ["wasm", wasm, /unreachable/],
  ["ts", ts, /assertion failed/],
])("the debug build (%s)", (_, palloc, failed) => {
  const grown = (options = {}) => {
    const heap = new palloc.PageAlloc(options);
    heap.grow(0, CHUNK);
    const core = heap[CORE];
    return { heap, core, engine: core.engine, at: core.at };
  };

  it("refuses an empty range and a range beyond its bitmap", () => {
    const { core, engine } = grown();
    const bits = core.dataOf(0);
    expect(() => engine.setRange(bits, 510, 3)).toThrow(failed);
    expect(() => engine.clearRange(bits, 0, 0)).toThrow(failed);
    expect(() => engine.popcntRange(bits, 512, 1)).toThrow(failed);
    expect(() => engine.find(bits, 513, 0)).toThrow(failed);
    expect(engine.popcntRange(bits, 510, 2)).toBe(0);
  });

  it("refuses a candidate without pages", () => {
    const { core, engine } = grown();
    expect(() => engine.findScavengeCandidate(core.dataOf(0), 512, 0, 512, 0)).toThrow(failed);
    expect(() => engine.findScavengeCandidate(core.dataOf(0), 513, 1, 512, 0)).toThrow(failed);
  });

  it("refuses calls without the lock of a shared heap", () => {
    const { engine, at } = grown({ shared: true });
    expect(() => engine.alloc(at, 1, 1)).toThrow(failed);
    expect(() => engine.reset(at)).toThrow(failed);
    expect(() => engine.newRecord(at, 1, 1, 0, 0, 0)).toThrow(failed);
    engine.memory.i32[(at + HEADER_LOCK) >>> 2] = 1;
    expect(engine.alloc(at, 1, 1)).toBe(0);
  });

  it("refuses to allocate a page in use", () => {
    const { heap, core, engine } = grown();
    // Not what the summary says, so that the page is found.
    engine.setRange(core.dataOf(0), 3, 1);
    expect(() => heap.alloc(8)).toThrow(failed);
  });

  it("refuses a summary that differs from the bits", () => {
    const { heap, core, engine } = grown();
    engine.setRange(core.dataOf(0), 300, 1);
    expect(() => heap.alloc(8)).toThrow(failed);
  });
});
