// The named cases of Go's own tests: test/fixtures/tables.
import { describe, expect, it } from "vitest";
import { hexOf } from "../support/bitmaps.ts";
import { loadCases } from "../support/fixtures.ts";
import { addressOf, bytesOf, type GoRanges, goRanges } from "../support/go-heap.ts";
import { PAGES } from "../support/naive.ts";
import { same } from "../support/same.ts";
import type { PageAlloc, Palloc, PallocData, Subject } from "../support/subject.ts";

type Ranges = [first: number, count: number][];
interface AllocCase {
  before: GoRanges;
  after: GoRanges;
  ops: (["alloc", npages: number, page: number | null] | ["free", page: number, npages: number])[];
}
interface FreeCase {
  before: GoRanges;
  after: GoRanges;
  npages: number;
  frees: number[];
}
interface ScavengeCase {
  beforeAlloc: GoRanges;
  beforeScavenged: GoRanges;
  afterScavenged: GoRanges;
  ops: ["scavenge", nbytes: number | "max", released: number][];
}
interface BitsAllocCase {
  before: Ranges;
  after: Ranges;
  npages: number;
  hits: (number | "max")[];
}
interface BitsFreeCase {
  beforeInv: Ranges;
  afterInv: Ranges;
  frees: number[];
  npages: number;
}
interface SummarizeCase {
  free: Ranges;
  /** Go's packed summary: start, max and end, 21 bits each, start lowest. */
  hits: [string];
}
interface CandidateCase {
  alloc: Ranges;
  scavenged: Ranges;
  min: number;
  max: number;
  want: [start: number, npages: number];
}

export function tablesSuite({ palloc }: Subject): void {
  describe("the cases of Go's tests", async () => {
    await heapTables(palloc);
    await bitTables(palloc);
  });
}

/** One `it` for each case of a table. */
async function forEachCase<T>(table: string, run: (want: T) => void): Promise<void> {
  const cases = await loadCases<T & { name: string }>(`tables/${table}.json`);
  describe(table, () => {
    for (const want of cases) it(want.name, () => run(want));
  });
}

async function heapTables(palloc: Palloc): Promise<void> {
  const heapOf = (alloc: GoRanges, scavenged?: GoRanges): PageAlloc =>
    palloc.PageAlloc.from({ alloc: goRanges(alloc), scavenged: scavenged && goRanges(scavenged) });

  for (const table of ["page-alloc-alloc", "page-alloc-alloc-and-free"]) {
    await forEachCase<AllocCase>(table, ({ before, after, ops }) => {
      const heap = heapOf(before);
      for (const op of ops) {
        if (op[0] === "free") heap.free(addressOf(op[1]), op[2]);
        else same(heap.alloc(op[1]), addressOf(op[2]), `alloc(${op[1]})`);
      }
      heap.check();
      if (Object.keys(after).length > 0) expect(heap.ranges().alloc).toEqual(heapOf(after).ranges().alloc);
    });
  }
  await forEachCase<FreeCase>("page-alloc-free", ({ before, after, npages, frees }) => {
    const heap = heapOf(before);
    for (const page of frees) heap.free(addressOf(page), npages);
    heap.check();
    expect(heap.ranges().alloc).toEqual(heapOf(after).ranges().alloc);
  });
  await forEachCase<ScavengeCase>("page-alloc-scavenge", (want) => {
    const heap = heapOf(want.beforeAlloc, want.beforeScavenged);
    for (const [, nbytes, released] of want.ops) expect(heap.scavenge(bytesOf(nbytes))).toBe(released);
    heap.check();
    expect(heap.ranges()).toEqual(heapOf(want.beforeAlloc, want.afterScavenged).ranges());
  });
}

async function bitTables(palloc: Palloc): Promise<void> {
  const inUse = (ranges: Ranges): PallocData => {
    const data = new palloc.PallocData();
    for (const [first, count] of ranges) if (count > 0) data.alloc.setRange(first, count);
    return data;
  };
  const allBut = (ranges: Ranges): PallocData => {
    const data = inUse([[0, PAGES]]);
    for (const [first, count] of ranges) data.alloc.clearRange(first, count);
    return data;
  };

  await forEachCase<BitsAllocCase>("palloc-bits-alloc", ({ before, after, npages, hits }) => {
    const data = inUse(before);
    for (const hit of hits) {
      const { index } = data.find(npages, 0);
      expect(index).toBe(hit === "max" ? -1 : hit);
      if (index !== -1) data.allocRange(index, npages);
    }
    expect(hexOf(data.alloc)).toBe(hexOf(inUse(after).alloc));
  });
  await forEachCase<BitsFreeCase>("palloc-bits-free", ({ beforeInv, afterInv, frees, npages }) => {
    const data = allBut(beforeInv);
    for (const first of frees) data.freeRange(first, npages);
    expect(hexOf(data.alloc)).toBe(hexOf(allBut(afterInv).alloc));
  });
  await forEachCase<SummarizeCase>("palloc-bits-summarize", ({ free, hits }) => {
    const count = (k: number) => Number((BigInt(hits[0]) >> BigInt(21 * k)) & 0x1fffffn);
    expect(allBut(free).summarize()).toEqual({ start: count(0), max: count(1), end: count(2) });
  });
  await forEachCase<CandidateCase>("palloc-data-find-scavenge-candidate", (c) => {
    const data = inUse(c.alloc);
    for (const [first, count] of c.scavenged) data.scavenged.setRange(first, count);
    const pagesPerHugePage = 256; // 2 MiB of 8 KiB pages
    const got = data.findScavengeCandidate(PAGES - 1, c.min, c.max, pagesPerHugePage);
    expect(got.npages).toBe(c.want[1]);
    if (got.npages > 0) expect(got.start).toBe(c.want[0]);
  });
}
