// Heaps that are dropped without dispose give their memory back once they are collected.
import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { grownHeap } from "./support/heaps.ts";
import type { Palloc } from "./support/subject.ts";

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

/** Collects what is garbage, and lets finalizers run. */
async function collect(): Promise<void> {
  for (let k = 0; k < 3; k++) {
    await setTimeout(10);
    gc();
  }
  await setTimeout(10);
}

/** Bytes of the engine's memory, as a heap sees it. */
const engineBytes = (palloc: Palloc) => {
  using heap = grownHeap(palloc, [0]);
  return heap.chunk(0).alloc.words.buffer.byteLength;
};

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("garbage collection (%s)", (_, palloc) => {
  it("frees the memory of heaps", async () => {
    const round = () => void Array.from({ length: 1000 }, (_, i) => grownHeap(palloc, [i]));
    round();
    const bytes = engineBytes(palloc);
    for (let k = 0; k < 5; k++) {
      await collect();
      round();
    }
    expect(engineBytes(palloc)).toBe(bytes);
  });

  it("frees the memory of PallocData objects", async () => {
    const round = () => void Array.from({ length: 20_000 }, () => new palloc.PallocData());
    round();
    const bytes = engineBytes(palloc);
    for (let k = 0; k < 3; k++) {
      await collect();
      round();
    }
    expect(engineBytes(palloc)).toBe(bytes);
  });

  it("frees shared memory without a heap or a handle", async () => {
    const one = () => {
      const [read, unread] = [0, 1].map(() => grownHeap(palloc, [0], { shared: true }));
      unread.dispose();
      const { memory } = read.handle;
      read.dispose();
      return new WeakRef(memory);
    };
    const memory = one();
    await collect();
    expect(memory.deref()).toBe(undefined);
    expect(grownHeap(palloc, [0], { shared: true }).alloc(1)).toBe(0);
  });

  it("keeps shared memory while a handle exists", async () => {
    const handle = (() => {
      using heap = grownHeap(palloc, [0], { shared: true });
      heap.alloc(3);
      return heap.handle;
    })();
    await collect();
    for (let k = 0; k < 200; k++) grownHeap(palloc, [k], { shared: true }).alloc(512);
    expect(palloc.PageAlloc.attach(handle).alloc(1)).toBe(3 * 8192);
  });

  it("keeps a heap while a view of its chunk exists", async () => {
    const chunk = grownHeap(palloc, [3]).chunk(3);
    await collect();
    for (let k = 0; k < 200; k++) grownHeap(palloc, [k]).alloc(512);
    expect(chunk.scavenged.popcntRange(0, 512)).toBe(512);
    expect(chunk.alloc.popcntRange(0, 512)).toBe(0);
  });

  it("keeps a heap while its page cache exists", async () => {
    const cache = grownHeap(palloc, [3]).allocToCache();
    await collect();
    for (let k = 0; k < 200; k++) grownHeap(palloc, [k]).alloc(512);
    expect(cache.alloc(2)).toBe(3 * 2 ** 22);
    cache.flush();
  });
});
