// A call that is interrupted where that must not happen, and numbers as large as the layout has them: what cannot be
// made whole, or be had, is said so from then on, or before anything has changed.

import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { HEADER_USED, JOURNAL_OP, LEAF_BYTES, NODE_CHILDREN } from "../src/engine/layout.ts";
import { CORE } from "../src/heap/core.ts";
import { CHUNK, grownHeap, PAGE } from "./support/heaps.ts";
import type { Palloc } from "./support/subject.ts";

const engines: [string, Palloc][] = [
  ["wasm", wasm],
  ["ts", ts],
];

describe.each(engines)("an interrupted call (%s)", (_, palloc) => {
  it("in a damaged tree makes later calls on its heap throw ERR_CORRUPT, and those on others succeed", () => {
    const corrupt = expect.objectContaining({ code: "ERR_CORRUPT" });
    const heap = grownHeap(palloc, [1, 9, 17]);
    const other = grownHeap(palloc, [1]);
    heap.alloc(1);
    const core = heap[CORE];
    const { engine } = core;
    // What a call leaves that marked pages, in a tree with a child that is none.
    core.set(HEADER_USED + 16 + NODE_CHILDREN, 0);
    core.set(JOURNAL_OP, 16);
    core.set(JOURNAL_OP + 4, 500);
    core.set(JOURNAL_OP + 8, 0);
    core.set(JOURNAL_OP + 12, 5);
    for (let k = 0; k < 3; k++) {
      expect(() => heap.alloc(1)).toThrow(corrupt);
      expect(() => heap.free(CHUNK, 1)).toThrow(corrupt);
      expect(() => heap.stats()).toThrow(corrupt);
    }
    other.check();
    expect(other.alloc(1)).toBe(CHUNK);
    expect(engine.memory.i32[(core.at + 8) >>> 2]).toBe(0);
  });

  it("that has marked its pages is undone by the next call", () => {
    const heap = grownHeap(palloc, [1]);
    heap.alloc(3);
    const before = heap.snapshot();
    const core = heap[CORE];
    const data = core.dataOf(1);
    core.engine.setRange(data, 3, 9);
    [16, 1, 3, 9].forEach((word, i) => {
      core.set(JOURNAL_OP + 4 * i, word);
    });
    heap.check();
    expect(heap.snapshot()).toEqual(before);
    expect(heap.alloc(1)).toBe(CHUNK + 3 * PAGE);
  });
});

describe.each(engines)("a heap with about 2 GiB of metadata (%s)", (_, palloc) => {
  it.each([2 ** 31 - LEAF_BYTES, 2 ** 31, 2 ** 31 + 2 ** 29])(
    "grows or throws ERR_METADATA_FULL, at %d bytes",
    (used) => {
      const heap = grownHeap(palloc, [1]);
      const others = [1, 2, 3].map((chunk) => grownHeap(palloc, [chunk]));
      const before = others.map((other) => other.snapshot());
      const core = heap[CORE];
      core.set(HEADER_USED, used);
      expect(core.get(HEADER_USED)).toBe(used);
      try {
        heap.grow(1000 * CHUNK, CHUNK);
        expect(heap.alloc(600)).toBe(-1);
        heap.alloc(512);
        expect(heap.alloc(512)).toBe(1000 * CHUNK);
        heap.free(1000 * CHUNK, 512);
        heap.resetScavengeAddr();
        expect(heap.scavenge()).toBe(CHUNK);
        const cache = heap.allocToCache();
        expect(cache.alloc(2)).toBe(1000 * CHUNK);
        cache.flush();
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_METADATA_FULL" });
        core.set(HEADER_USED, used);
      }
      others.forEach((other, i) => {
        other.check();
        expect(other.snapshot()).toEqual(before[i]);
      });
      heap.dispose();
    },
  );
});
