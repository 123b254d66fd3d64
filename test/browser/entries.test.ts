// The four entries side by side, as the package has them: one class of error, and snapshots that move between all.
import * as wasm from "palloc";
import * as sharedWasm from "palloc/shared";
import * as trace from "palloc/trace";
import * as ts from "palloc/ts";
import * as sharedTs from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { sameBytes } from "../support/same.ts";
import type { PageAlloc, Palloc } from "../support/subject.ts";

const CHUNK = 512 * 8192;

const entries: [name: string, palloc: Palloc, options: { shared?: boolean }][] = [
  ["palloc", wasm as Palloc, {}],
  ["palloc/ts", ts as Palloc, {}],
  ["palloc/shared", sharedWasm, {}],
  ["palloc/shared, a shared heap", sharedWasm, { shared: true }],
  ["palloc/ts/shared", sharedTs as Palloc, {}],
  ["palloc/ts/shared, a shared heap", sharedTs as Palloc, { shared: true }],
];

/** Calls of many kinds. */
function work(heap: PageAlloc): void {
  heap.grow(heap.bounds().end * CHUNK, 2 * CHUNK + 8192 * 5);
  const bases = [3, 70, 600, 1].map((npages) => heap.alloc(npages));
  heap.free(bases[1], 70);
  heap.scavenge(100 * 8192);
  const cache = heap.allocToCache();
  cache.alloc(4);
  cache.flush();
}

describe.each(entries)("a snapshot from %s", (_, from, options) => {
  it.each(entries)("is the same heap in %s", (_, to, restoreOptions) => {
    const heap = new from.PageAlloc(options);
    work(heap);
    const copy = to.PageAlloc.restore(heap.snapshot(), restoreOptions);
    sameBytes(copy.snapshot(), heap.snapshot(), "restored");
    for (const each of [heap, copy]) work(each);
    sameBytes(copy.snapshot(), heap.snapshot(), "after the same calls");
    copy.check();
  });
});

it("all entries throw one class of error", () => {
  const classes = [wasm, ts, sharedWasm, sharedTs, trace].map(({ PageAllocError }) => PageAllocError);
  expect(new Set(classes).size).toBe(1);
});
