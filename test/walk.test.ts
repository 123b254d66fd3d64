// What the walk reads while others store what it reads: it takes no lock, so it may see the tree between any two
// stores, and memory that has grown beyond its views. That may cost it a wasted look, but never the candidates that
// were there before.

import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { HEADER_ROOT, HEADER_SCAV_END, NODE_CANDIDATES, NODE_CHILDREN } from "../src/engine/layout.ts";
import { CORE } from "../src/heap/core.ts";
import { beginPass, type Pass } from "../src/heap/scavenger.ts";
import { CHUNK, PAGE } from "./support/heaps.ts";
import { PAGES } from "./support/naive.ts";
import type { PageAlloc, Palloc } from "./support/subject.ts";
import { attachWatched, watch } from "./support/watched.ts";

const CANDIDATE_PAGES = 10;

/** A shared heap of these chunks, all in use but for a candidate in chunk 40, with scavAddr at the top. */
function heapOf(...chunks: number[]): PageAlloc {
  const heap = new ts.PageAlloc({ shared: true, metadataLimit: 2 ** 24 });
  for (const chunk of chunks) growFull(heap, chunk);
  heap.free(40 * CHUNK, CANDIDATE_PAGES);
  heap.resetScavengeAddr();
  return heap;
}

function growFull(heap: PageAlloc, chunk: number): void {
  heap.grow(chunk * CHUNK, CHUNK);
  heap.allocRange(chunk * CHUNK, PAGES);
}

/** A pass of a heap object that has found nothing in its first chunk, and is about to walk. */
function walking(heap: PageAlloc): Pass {
  const pass = beginPass(heap[CORE], PAGES) as Pass;
  expect(pass).toMatchObject({ held: 0 });
  return pass;
}

/** Ends a pass. Returns the pages that it has released. */
function finish(pass: Pass): number {
  for (;;) {
    const released = pass.step();
    if (released !== undefined) return released;
  }
}

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("the walk (%s)", (_, { PageAlloc }) => {
  it("finds a candidate below a node whose last mark is just being cleared", () => {
    const heap = heapOf(0, 40, 80, 200);
    // Chunk 80 is marked and has no candidate; the chunks that its node covers below it are holes.
    heap.free(80 * CHUNK, 1);
    heap.allocRange(80 * CHUNK, 1);
    const core = heap[CORE];
    const marksOver80 = () => core.get(core.get(core.get(HEADER_ROOT) + NODE_CHILDREN + 4) + NODE_CANDIDATES);
    const pass = walking(PageAlloc.attach(heap.handle));
    const other = attachWatched(heap.handle)[CORE];
    let steps = 0;
    const after = () => {
      if (!marksOver80() && !steps++) pass.step();
    };
    watch({ after }, () =>
      other.locked(() => other.engine.passOver(other.at, 80, core.getF64(HEADER_SCAV_END))),
    );
    expect(steps).toBeGreaterThan(0);
    expect(finish(pass)).toBe(CANDIDATE_PAGES);
  });
});

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("the walk, while pages are unmapped (%s)", (_, { PageAlloc }) => {
  /** Chunks in leaves of their own, some of which can be unmapped. */
  const chunks = [0, 40, 80, 200, 600, 1000];
  const free = [80, 200, 1000];
  const unmappable = () => {
    const heap = heapOf(...chunks);
    for (const chunk of free) heap.free(chunk * CHUNK, PAGES);
    for (const chunk of free) heap.allocRange(chunk * CHUNK, PAGES);
    for (const chunk of free) heap.free(chunk * CHUNK, PAGES);
    heap.scavengeRange(80 * CHUNK, PAGES * 1000);
    heap.resetScavengeAddr();
    return heap;
  };
  const change = (heap: PageAlloc) => {
    for (const chunk of free) heap.unmap(chunk * CHUNK, CHUNK);
    heap.grow(5000 * CHUNK, 20 * CHUNK);
    heap.grow(45 * CHUNK, 20 * CHUNK);
  };

  it("returns a chunk or -1 after any store of an unmap and a grow", () => {
    const heap = unmappable();
    const { engine, at } = PageAlloc.attach(heap.handle)[CORE];
    const walks = new Set<number>();
    const after = () => {
      for (const from of [0, 40, 79, 80, 199, 200, 1000, 1007]) walks.add(engine.walk(at, from));
    };
    const other = attachWatched(heap.handle);
    watch({ after }, () => change(other));
    heap.check();
    expect([...walks].filter((chunk) => chunk !== -1 && chunk !== 40)).toEqual(
      [...walks].filter((chunk) => free.includes(chunk)),
    );
  });

  it("the look after it finds what is left, even if the walk has read a node that is elsewhere by now", () => {
    const heap = unmappable();
    const other = PageAlloc.attach(heap.handle);
    const core = other[CORE];
    const pass = walking(other);
    const { walk } = core.engine;
    // The first walk returns 0, as it may if the node that it reads is taken out and put elsewhere meanwhile.
    let walks = 0;
    const stale = { ...core.engine, walk: (at: number, chunk: number) => (walks++ ? walk(at, chunk) : 0) };
    Object.defineProperty(core, "engine", { value: stale });
    pass.step();
    change(heap);
    expect(finish(pass)).toBe(CANDIDATE_PAGES);
    expect(walks).toBe(2);
  });
});

describe("the walk (ts)", () => {
  it("skips no node, even in memory that its thread has not seen yet", () => {
    const heap = heapOf(0, 40, 4000);
    const pass = walking(attachWatched(heap.handle));
    // Enough for memory to grow, and then a leaf that is marked.
    heap.grow(10_000 * CHUNK, 12_000 * CHUNK);
    growFull(heap, 1000);
    heap.free(1000 * CHUNK, 1);
    expect(finish(pass)).toBe(1);
    expect(heap.scavenge()).toBe(CANDIDATE_PAGES * PAGE);
  });
});
