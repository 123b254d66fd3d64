// The kernel's page events, as perf prints them.
import { describe, expect, it } from "vitest";
import type { Subject } from "../../support/subject.ts";
import { bytesOf, type Row, rowsOf, sameRows, unpackedText } from "../../support/texts.ts";
import { changeEverywhere, cutEverywhere } from "../../support/trace-fuzz.ts";
import { checkInvariants } from "../../support/trace-invariants.ts";
import { inBlocks } from "../../support/trace-words.ts";

type Read = Subject["trace"]["readTrace"];

const PAGE = 4096;

/** A line of perf. */
const line = (event: string, pfn: number | string, order: number | string, time = "1.000001") =>
  `   node 77 [001] ${time}: kmem:mm_page_${event}: page=0x1 pfn=${pfn} order=${order} migratetype=0\n`;
const alloc = (pfn: number | string, order: number | string, time?: string) =>
  line("alloc", pfn, order, time);
const free = (pfn: number | string, order: number | string, time?: string) => line("free", pfn, order, time);

/** Logs, and what comes of them, in pages. */
const CASES: [string, string, [string, number, number][]][] = [
  [
    "orders, hex and decimal",
    alloc("0x10", 0) + alloc(32, 3) + free("0x10", 0) + free("0x20", 3),
    [
      ["alloc", 16, 1],
      ["alloc", 32, 8],
      ["free", 16, 1],
      ["free", 32, 8],
    ],
  ],
  [
    "failed allocs, frees from before, other events",
    alloc("0x0", 3) +
      alloc("(null)", 0) +
      free(50, 2) +
      line("alloc_zone_locked", 60, 0) +
      "perf 1 [000] 1.5: sched:sched_switch: prev\n\tffff81 alloc_pages ([kernel])\n# header\n\n",
    [],
  ],
  [
    "a batched free after its free",
    alloc(7, 0) + free(7, 0) + line("free_batched", 7, 0),
    [
      ["alloc", 7, 1],
      ["free", 7, 1],
    ],
  ],
  [
    "a batched free alone",
    alloc(7, 0) + line("free_batched", 7, 0),
    [
      ["alloc", 7, 1],
      ["free", 7, 1],
    ],
  ],
  [
    "frees of parts: the middle, then what is left",
    alloc(16, 3) + free(18, 1) + free(16, 3),
    [
      ["alloc", 16, 8],
      ["free", 18, 2],
      ["free", 16, 2],
      ["free", 20, 4],
    ],
  ],
  [
    "a free of more than was allocated",
    alloc(17, 0) + alloc(19, 0) + free(16, 2),
    [
      ["alloc", 17, 1],
      ["alloc", 19, 1],
      ["free", 17, 1],
      ["free", 19, 1],
    ],
  ],
  [
    "an alloc of what is in use: freed first, and only that",
    alloc(16, 2) + alloc(17, 0) + alloc(16, 2),
    [
      ["alloc", 16, 4],
      ["free", 17, 1],
      ["alloc", 17, 1],
      ["free", 16, 1],
      ["free", 17, 1],
      ["free", 18, 2],
      ["alloc", 16, 4],
    ],
  ],
];

export function perfKmemSuite(subject: Subject): void {
  const { readTrace: read } = subject.trace;
  describe("perf kmem", () => {
    it.each(CASES)("reads %s", async (_, text, expected) => {
      const trace = await read(bytesOf(text));
      expect([trace.format, trace.pageSize]).toEqual(["perf-kmem", PAGE]);
      checkInvariants(trace);
      const pages = rowsOf(trace).map(([kind, base, npages]) => [kind, base / PAGE, npages]);
      expect(pages).toEqual(expected);
    });

    it.each([
      ["node 25265 [001] 6003.646733:", 6003646733000, 25265],
      ["Web Content (x) 12/34 [123] 28816.496841119:", 28816496841119, 34],
      ["a [1] 99 [000]   0.5:", 500000000, 99],
      ["8000000.000000001:", 8000000000000001, -1],
      ["node 99999999999 [000] 7:", 7000000000, -1],
    ])("reads what is before the event: %j", async (before, time, thread) => {
      const [row] = rowsOf(await read(bytesOf(`  ${before}  kmem:mm_page_alloc: page=1 pfn=0x9 order=0\n`)));
      expect(row).toEqual(["alloc", 9 * PAGE, 1, time, thread, 0]);
    });

    it("never goes back in time", async () => {
      const text = alloc(1, 0, "2.5") + alloc(2, 0, "2.4") + alloc(3, 0, "2.6");
      expect(Array.from((await read(bytesOf(text))).time)).toEqual([2.5e9, 2.5e9, 2.6e9]);
    });

    it("refuses a time that no clock has", async () => {
      await expect(read(bytesOf(alloc(1, 0, "1.0") + alloc(2, 0, "99999999999.0")))).rejects.toThrow(
        /^byte \d+: times are below 2\^64 ns/,
      );
    });

    it("reads a real log as a plain reader does, whole and in small blocks", async () => {
      const text = await unpackedText("perf-kmem/node.txt.gz");
      const trace = await read(bytesOf(text));
      checkInvariants(trace);
      const rows = rowsOf(trace);
      expect(rows.length).toBe(19975);
      sameRows(rows, plainPerf(text));
      sameRows(rowsOf(await read(inBlocks(bytesOf(text), 1009))), rows);
    });

    refusalTests(read);
  });
}

function refusalTests(read: Read): void {
  const FIRST = alloc(5, 0);
  const at = FIRST.length;
  it.each([
    ["x kmem:mm_page_free: page=1 pfn=1 order=0\n", at + 1, /a time in seconds and a colon/],
    ["1: kmem:mm_page_free: page=1 order=0\n", at + 36, /pfn=, but the line ends here/],
    ["1: kmem:mm_page_free: page=1 pfn=z order=0\n", at + 33, /the number of a page/],
    ["1: kmem:mm_page_free: page=1 pfn=0x1000000000 order=0\n", at + 22, /pages below 2\^36/],
    ["1: kmem:mm_page_free: page=1 pfn=0xfffffffff order=1\n", at + 22, /pages below 2\^36/],
    ["1: kmem:mm_page_free: page=1 pfn=1\n", at + 34, /order=, but the line ends here/],
    ["1: kmem:mm_page_free: page=1 pfn=1 order=21\n", at + 41, /an order from 0 to 20/],
    ["1.0123456789: kmem:mm_page_free: page=1 pfn=1 order=2\n", at + 2, /1 to 9 digits/],
  ])("refuses %j", async (text, byte, expected) => {
    await expect(read(bytesOf(FIRST + text))).rejects.toMatchObject({
      code: "ERR_TRACE",
      message: expect.stringMatching(new RegExp(`^byte ${byte}: expected ${expected.source}`)),
    });
  });

  const SMALL = alloc(16, 2) + free("0x11", 0) + line("free_batched", 17, 0) + free(16, 2, "2.5");
  it("survives every cut", () => cutEverywhere(read, bytesOf(SMALL), { format: "perf-kmem" }));
  it("survives every change", () => changeEverywhere(read, bytesOf(SMALL), { format: "perf-kmem" }, 5));
}

/** Reads a log the plainest way: a regular expression, and a set of pages. */
function plainPerf(text: string): Row[] {
  const rows: Row[] = [];
  const live = new Set<number>();
  let offset = 0;
  for (const text1 of text.split("\n")) {
    const found =
      / (\d+) \[\d+\] +(\d+)\.(\d{6}): +kmem:mm_page_(alloc|free): .*pfn=(0x\w+) order=(\d+)/.exec(text1);
    if (found) {
      const [, thread, seconds, micros, kind, pfn, order] = found;
      const time = Number(`${seconds}${micros}000`);
      const pages = Array.from({ length: 2 ** Number(order) }, (_, i) => Number(pfn) + i);
      const used = pages.filter((page) => live.has(page));
      // In the sample, what is freed or allocated again has always been allocated as one.
      if (used.length > 0) rows.push(["free", used[0] * PAGE, used.length, time, Number(thread), offset]);
      for (const page of pages) live.delete(page);
      if (kind === "alloc") {
        rows.push(["alloc", Number(pfn) * PAGE, pages.length, time, Number(thread), offset]);
        for (const page of pages) live.add(page);
      }
    }
    offset += text1.length + 1;
  }
  return rows;
}
