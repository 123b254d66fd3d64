// What the facade asks of an engine: nothing checks arguments there, so all must be in their ranges, at least one page
// among them. Here each call is checked, through calls of every kind with the least and the most that they take.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine } from "../src/engine/contract.ts";
import { Lockstep } from "./support/lockstep.ts";
import { PAGES } from "./support/naive.ts";
import type { Palloc } from "./support/subject.ts";

type Calls = Record<string, (...args: number[]) => unknown>;

/** Where a call has a page's index within its chunk, a number of pages, and how many those may be. */
const RANGES: Record<string, [index: number, npages: number, most: number]> = {
  setRange: [1, 2, PAGES],
  clearRange: [1, 2, PAGES],
  popcntRange: [1, 2, PAGES],
  find: [2, 1, PAGES],
  alloc: [-1, 1, 2 ** 31],
  findFree: [-1, 1, 2 ** 31],
  allocRange: [2, 3, 2 ** 31],
  free: [2, 3, 2 ** 31],
  inspect: [2, 3, 2 ** 31],
  map: [2, 3, 2 ** 31],
  mappedPage: [2, 3, 2 ** 31],
  scavengeRange: [2, 3, 2 ** 31],
  markUnmapped: [2, 3, 2 ** 31],
  hold: [4, 5, 2 ** 31],
  cacheAlloc: [-1, 2, 64],
};

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("arguments passed to an engine (%s)", (name, palloc) => {
  const engine = palloc.PageAlloc.instance().engine as Engine & Calls;
  const plain = { ...engine };
  const seen = new Set<string>();

  beforeAll(() => {
    for (const [call, [index, npages, most]] of Object.entries(RANGES)) {
      (engine as Calls)[call] = (...args) => {
        seen.add(call);
        const inside = Number.isInteger(args[npages]) && args[npages] >= 1 && args[npages] <= most;
        if (!inside) throw new Error(`${call} was asked for ${args[npages]} pages`);
        if (index >= 0 && !(args[index] >= 0 && args[index] < PAGES))
          throw new Error(`${call} was asked for index ${args[index]}`);
        return (plain as Calls)[call](...args);
      };
    }
  });

  afterAll(() => {
    Object.assign(engine, plain);
  });

  it("are in range in calls of every kind", () => {
    for (let seed = 1; seed <= 20; seed++) new Lockstep(seed, [{ name, palloc }] as never).run(150);
    const data = new palloc.PallocData();
    data.allocRange(0, PAGES);
    data.freeRange(PAGES - 1, 1);
    const sys = { used: () => {}, unused: () => false };
    const heap = new palloc.PageAlloc({ sys });
    heap.grow(0, 2 ** 22);
    expect(heap.alloc(2 ** 35)).toBe(-1);
    heap.run(new Float64Array(0), new Float64Array(0));
    heap.allocToCache().flush();
    heap.alloc(3);
    heap.scavenge();
    sys.used = () => {
      throw new Error("not now");
    };
    expect(() => heap.alloc(2)).toThrow("not now");
    heap.dispose();
    const heaps = Array.from({ length: 1000 }, () => new palloc.PageAlloc());
    for (const each of heaps) each.dispose();
    expect([...Object.keys(RANGES)].filter((call) => !seen.has(call))).toEqual([]);
  });
});
