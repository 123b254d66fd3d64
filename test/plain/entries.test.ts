// What the entries without shared heaps say to a use of one, and that their heaps are those of the other entries.
import * as wasm from "palloc";
import * as ts from "palloc/ts";
import { describe, expect, it } from "vitest";
import type { PageAlloc, Palloc } from "../support/subject.ts";

const CHUNK = 512 * 8192;

/** A use of something that only shared heaps have. */
type Use = (heap: PageAlloc, palloc: Palloc) => unknown;

const uses: [name: string, use: Use][] = [
  ["new PageAlloc({ shared: true })", (_, { PageAlloc }) => new PageAlloc({ shared: true })],
  [
    "PageAlloc.from(state, { shared: true })",
    (_, { PageAlloc }) => PageAlloc.from({ alloc: {} }, { shared: true }),
  ],
  [
    "PageAlloc.restore(snapshot, { shared: true })",
    (heap, { PageAlloc }) => PageAlloc.restore(heap.snapshot(), { shared: true }),
  ],
  ["PageAlloc.attach", (_, { PageAlloc }) => PageAlloc.attach({} as never)],
  ["handle", (heap) => heap.handle],
  ["recover", (heap) => heap.recover(2)],
];

const asyncUses: [name: string, use: (heap: PageAlloc) => Promise<unknown>][] = [
  ["callAsync", (heap) => heap.callAsync(() => 1)],
  ["allocAsync", (heap) => heap.allocAsync(1)],
  ["freeAsync", (heap) => heap.freeAsync(0, 1)],
  ["scavengeAsync", (heap) => heap.scavengeAsync()],
];

describe.each([
  ["palloc", wasm as Palloc],
  ["palloc/ts", ts as Palloc],
])("%s", (entry, palloc) => {
  const notShared = expect.objectContaining({
    name: "PageAllocError",
    code: "ERR_NOT_SHARED",
    message: `heaps of this entry cannot be shared; import PageAlloc from "${entry}/shared"`,
  });

  function heapInUse(): PageAlloc {
    const heap = new palloc.PageAlloc();
    heap.grow(0, CHUNK);
    heap.alloc(3);
    return heap;
  }

  it.each(uses)("%s throws ERR_NOT_SHARED and changes nothing", (_, use) => {
    const heap = heapInUse();
    const before = heap.snapshot();
    expect(() => use(heap, palloc)).toThrow(notShared);
    expect(heap.snapshot()).toEqual(before);
  });

  it.each(asyncUses)("%s rejects with ERR_NOT_SHARED and changes nothing", async (_, use) => {
    const heap = heapInUse();
    const before = heap.snapshot();
    await expect(use(heap)).rejects.toEqual(notShared);
    expect(heap.snapshot()).toEqual(before);
  });

  it.each(uses.slice(4))("%s throws ERR_DISPOSED after dispose", (_, use) => {
    const heap = heapInUse();
    heap.dispose();
    expect(() => use(heap, palloc)).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
  });

  it("checks the options for shared heaps, and takes { shared: false }", () => {
    expect(() => new palloc.PageAlloc({ metadataLimit: 1 })).toThrow(RangeError);
    expect(() => new palloc.PageAlloc({ lockTimeoutMs: -1 })).toThrow(RangeError);
    expect(new palloc.PageAlloc({ shared: false, lockTimeoutMs: 5 }).stats().sys).toBe(0);
  });
});

it("both entries throw the same class of error", () => {
  expect(wasm.PageAllocError).toBe(ts.PageAllocError);
});
