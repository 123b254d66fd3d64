// A worker may be terminated at any instruction of a call on an arena. Here one ends after each of its stores, and each
// use of its lock. Once another has called `recover`, the blocks and the pages are those of before or after the call;
// of a block that moves, those of between too.
import { Arena } from "palloc/arena";
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import type { Palloc } from "./support/subject.ts";
import { attachWatchedArena, type Watcher, watch } from "./support/watched.ts";

const UNIT = 256;
/** Units of the arena: several chunks, so that blocks span them. */
const UNITS = 1400;
const END = new Error("the worker has ended");

/** Ends a worker after a number of deeds. */
class Fate implements Watcher {
  deeds = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  before(): void {
    if (this.deeds >= this.#most) throw END;
  }

  after(): void {
    this.deeds++;
    this.before();
  }
}

/** Makes a call whose worker ends after `most` deeds. Returns how many it did. */
function live(call: () => unknown, most = Infinity): number {
  const fate = new Fate(most);
  try {
    watch(fate, call);
  } catch (error) {
    if (error !== END) throw error;
  }
  return fate.deeds;
}

/** The blocks of an arena, and the pages in use and its counts, which must agree with them. */
function blocksOf(arena: Arena): string {
  arena.heap.check();
  const list = [...arena.blocks()];
  const { blocks, requested, inUse } = arena.stats();
  expect(blocks).toBe(list.length);
  expect(requested).toBe(list.reduce((sum, { nbytes }) => sum + nbytes, 0));
  // No page is lost.
  expect(inUse).toBe(list.reduce((sum, { nbytes }) => sum + Math.ceil(nbytes / UNIT) * UNIT, 0));
  return JSON.stringify(list);
}

interface Case {
  name: string;
  /** Prepares the arena, with `first` at its start, and gives the call. */
  begin: (worker: Arena, first: number) => () => unknown;
  /** How many locked sections change it. */
  steps?: number;
  hooked?: boolean;
}

const CASES: Case[] = [
  { name: "alloc", begin: (worker) => () => worker.alloc(700) },
  { name: "alloc of a block over chunks", begin: (worker) => () => worker.alloc(1100 * UNIT - 5) },
  { name: "alloc with align", begin: (worker) => () => worker.alloc(10, { align: 4096 }) },
  { name: "alloc with a hook", begin: (worker) => () => worker.alloc(700), hooked: true },
  { name: "free", begin: (worker, first) => () => worker.free(first) },
  {
    name: "free of a block over chunks",
    begin(worker) {
      const offset = worker.alloc(1000 * UNIT);
      return () => worker.free(offset);
    },
  },
  {
    name: "realloc that grows in place",
    begin: (worker, first) => () => worker.realloc(first, 600 * UNIT - 9),
  },
  {
    name: "realloc that grows in place, with a hook",
    begin: (worker, first) => () => worker.realloc(first, 50 * UNIT - 9),
    hooked: true,
  },
  { name: "realloc that shrinks", begin: (worker, first) => () => worker.realloc(first, 257) },
  { name: "realloc within its units", begin: (worker, first) => () => worker.realloc(first, 801) },
  {
    name: "realloc that moves",
    begin(worker, first) {
      worker.alloc(1);
      return () => worker.realloc(first, 2000);
    },
    steps: 2,
  },
];

/** An arena with one block, and a worker that is attached to it. */
function newArena(engine: Palloc["PageAlloc"], hooked: boolean) {
  const arena = new Arena(ts.PageAlloc, UNITS * UNIT, { shared: true });
  const sys = hooked ? { used: () => {} } : undefined;
  const worker = attachWatchedArena(arena.handle, { sys });
  const other = Arena.attach(engine, arena.handle);
  return { worker, other, first: arena.alloc(800) };
}

describe.each([
  ["wasm", wasm],
  ["ts", ts],
] as const)("a worker that ends in a call on an arena, recovered on %s", (_, { PageAlloc }) => {
  it.each(CASES)("has made it whole, or not at all: $name", ({ begin, steps = 1, hooked = false }) => {
    const whole = newArena(PageAlloc, hooked);
    const states = new Set<string>();
    const call = begin(whole.worker, whole.first);
    states.add(blocksOf(whole.other));
    const deeds = live(call);
    states.add(blocksOf(whole.other));
    const found = new Set<string>();
    for (let most = 1; most <= deeds; most++) {
      const { worker, other, first } = newArena(PageAlloc, hooked);
      const call = begin(worker, first);
      live(call, most);
      other.heap.recover(worker.heap.owner);
      const after = blocksOf(other);
      found.add(after);
      if (steps === 1) expect([...states], `after ${most} of ${deeds} deeds`).toContain(after);
      // The arena goes on.
      const again = other.alloc(UNIT);
      other.free(again);
      for (const { offset } of other.blocks()) other.free(offset);
      expect(blocksOf(other)).toBe("[]");
    }
    for (const state of states) expect(found).toContain(state);
    expect(found.size).toBe(steps + 1);
  });

  it("has grown it whole, or not at all", () => {
    const grown = () => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 64, shared: true });
      const arena = new Arena(ts.PageAlloc, memory, { shared: true });
      const first = arena.alloc(60_000);
      memory.grow(2);
      const worker = attachWatchedArena(arena.handle);
      return {
        worker,
        first,
        other: Arena.attach(PageAlloc, arena.handle),
        call: () => worker.alloc(100_000),
      };
    };
    const deeds = live(grown().call);
    for (let most = 1; most <= deeds; most++) {
      // Most of the stores zero the new table, one like the other.
      if (most > 40 && most < deeds - 150 && most % 50) continue;
      const { worker, first, other, call } = grown();
      live(call, most);
      other.heap.recover(worker.heap.owner);
      blocksOf(other);
      other.free(first);
      for (const { offset } of other.blocks()) other.free(offset);
      expect(other.alloc(3 * 65536)).toBe(0);
      blocksOf(other);
    }
  });
});
