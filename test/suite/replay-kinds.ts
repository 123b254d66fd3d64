// Replays of what only some traces have: pages from before the recording, growth, other page sizes, recorded places.
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE } from "../support/heaps.ts";
import { Random } from "../support/random.ts";
import type { Subject } from "../support/subject.ts";
import { ALLOC, EXISTS, eventsOf, FREE, GROW, SCAVENGE, UNMAP } from "../support/trace-events.ts";
import { goPage, unpackedTrace } from "../support/trace-words.ts";

export function replayKindsSuite(subject: Subject): void {
  describe("replaying what existed", () => existsTests(subject));
  describe("replaying growth", () => growthTests(subject));
  describe("replaying at recorded places", () => placeTests(subject));
  describe("replaying on other page sizes", () => pageSizeTests(subject));
  describe("replaying addresses that the heap cannot have", () => rangeTests(subject));
  describe("replaying what no Go program recorded", () => otherProgramsTests(subject));
  describe("replaying events of very many pages", () => manyPagesTests(subject));
}

function otherProgramsTests({ palloc: { PageAlloc }, trace }: Subject): void {
  const { openTrace, readTrace, replay, writeTrace } = trace;
  // Two threads take turns. With page caches, the second one's page would be 64 pages further up.
  const LOG = new TextEncoder().encode("1: malloc 0x2000 16\n2: malloc 0x2010 16\n1: malloc 0x2020 16\n");

  it("gives threads no page caches, and guesses nothing from before", async () => {
    const log = await readTrace(LOG);
    expect(replay(PageAlloc, log)).toMatchObject({ addressMatches: 3, peakRetainedBytes: 48 });
    expect(await replay(PageAlloc, await openTrace(LOG))).toMatchObject({ addressMatches: 3 });
    expect(replay(PageAlloc, { ...log, format: undefined }).addressMatches).toBe(2);
    const late = { ...log, base: log.base.map((base) => base + 4096) };
    expect(replay(PageAlloc, late).peakRetainedBytes).toBe(48);
  });

  it("knows the program when the trace has been converted", async () => {
    const parts: Uint8Array[] = [];
    for await (const part of writeTrace(await readTrace(LOG))) parts.push(part);
    const converted = new Blob(parts as BlobPart[]);
    expect(replay(PageAlloc, await readTrace(converted)).addressMatches).toBe(3);
    expect((await replay(PageAlloc, await openTrace(converted))).addressMatches).toBe(3);
  });
}

function manyPagesTests({ palloc: { PageAlloc }, trace: { replay } }: Subject): void {
  const MOST = 2 ** 32 - 1;

  it.each([
    ["alloc", "first-fit", ALLOC],
    ["alloc", "recorded", ALLOC],
    ["exists", "first-fit", EXISTS],
  ] as const)("refuses an event that alone has too many: %s, placement %s", (_, placement, kind) => {
    expect(() => replay(PageAlloc, eventsOf([kind, 0, MOST]), { placement })).toThrow(
      expect.objectContaining({
        code: "ERR_TRACE",
        message: expect.stringMatching(/^event 0, page 0x0: the trace has touched more than 1024 GiB/),
      }),
    );
  });

  it("names the event that grows the heap beyond what it can have", () => {
    expect(() => replay(PageAlloc, eventsOf([ALLOC, 0, 1], [GROW, 512 * PAGE, MOST]))).toThrow(
      expect.objectContaining({
        code: "ERR_TRACE",
        message: expect.stringMatching(
          /^event 1, page 0x400000: the heap cannot hold this trace: a heap can have/,
        ),
      }),
    );
  });

  it("takes many chunks at their place at once, with the rest of the first and the last", () => {
    const trace = eventsOf([GROW, goPage(512 * 9), 1], [EXISTS, goPage(700), 512 * 8]);
    const report = replay(PageAlloc, trace, { placement: "recorded" });
    // The last chunk has a page that is mapped, so no more of it is mapped than needed.
    expect(report.heapBytes).toBe((512 * 8 + 188) * PAGE);
    expect(report.peakInUseBytes).toBe(512 * 8 * PAGE);
  });

  it("guesses no more than a chunk of the trace's pages, and no pages that are larger", () => {
    const events = [
      [ALLOC, goPage(511 + 2 ** 20), 1],
      [FREE, goPage(2 ** 20), 512],
    ] as const;
    for (const pageSize of [2 ** 21, 2 ** 30]) {
      const report = replay(PageAlloc, eventsOf(...events), { pageSize });
      expect(report).toMatchObject({ peakRetainedBytes: pageSize, peakInUseBytes: pageSize });
    }
  });
}

function existsTests({ palloc: { PageAlloc }, trace: { replay } }: Subject): void {
  it("counts an allocation elsewhere, but not pages that existed", () => {
    // The third page is in the P's cache when it is said to have existed.
    const start = [
      [ALLOC, goPage(0), 1],
      [ALLOC, goPage(1), 1, 0],
      [EXISTS, goPage(2), 1],
    ] as const;
    const some = replay(PageAlloc, eventsOf(...start));
    expect(some).toMatchObject({ exists: 1, addressMatches: 2, firstMismatch: null });
    const more = replay(PageAlloc, eventsOf(...start, [ALLOC, goPage(900), 16]));
    expect(more.firstMismatch).toMatchObject({ event: 3, recorded: goPage(900) });
    expect(more.peakInUseBytes).toBe(19 * PAGE);
  });

  it("takes the pages at their place, and gives others the lowest that fit", () => {
    const trace = eventsOf(
      [GROW, goPage(0), 512],
      [EXISTS, goPage(2), 3],
      [ALLOC, goPage(0), 2],
      [ALLOC, goPage(5), 4],
      [FREE, goPage(2), 3],
      [ALLOC, goPage(2), 1],
    );
    const report = replay(PageAlloc, trace);
    expect(report).toMatchObject({ allocs: 3, exists: 1, addressMatches: 3, firstMismatch: null });
    expect(report.peakInUseBytes).toBe(9 * PAGE);
    expect(report.heapBytes).toBe(CHUNK);
  });

  it("maps the whole chunk of a page that is not mapped", () => {
    const report = replay(PageAlloc, eventsOf([EXISTS, goPage(700), 400], [ALLOC, goPage(512), 188]));
    expect(report).toMatchObject({ addressMatches: 1, heapBytes: 2 * CHUNK, peakRetainedBytes: 588 * PAGE });
  });

  it("maps no more of a chunk of which a part is mapped", () => {
    const trace = eventsOf([GROW, goPage(500), 12], [EXISTS, goPage(400), 3], [ALLOC, goPage(500), 12]);
    expect(replay(PageAlloc, trace)).toMatchObject({ addressMatches: 1, heapBytes: 15 * PAGE });
  });

  it("guesses no pages from before the trace if it tells what existed", () => {
    const known = eventsOf([EXISTS, goPage(100), 1], [ALLOC, goPage(0), 1]);
    expect(replay(PageAlloc, known)).toMatchObject({ addressMatches: 1, peakRetainedBytes: 2 * PAGE });
    const guessed = eventsOf([ALLOC, goPage(100), 1], [ALLOC, goPage(101), 1]);
    expect(replay(PageAlloc, guessed)).toMatchObject({ addressMatches: 2, peakRetainedBytes: 102 * PAGE });
  });

  it("refuses pages that are in use already", () => {
    const trace = eventsOf([EXISTS, goPage(0), 4], [EXISTS, goPage(3), 1]);
    expect(() => replay(PageAlloc, trace)).toThrow(/^event 1, page 0xc000006000: it is allocated twice/);
  });

  it("places pages elsewhere if the heap has given theirs away", () => {
    const trace = eventsOf(
      [GROW, goPage(0), 512],
      [ALLOC, goPage(9), 4],
      [EXISTS, goPage(0), 4],
      [FREE, goPage(0), 4],
    );
    const report = replay(PageAlloc, trace);
    expect(report.firstMismatch).toEqual({ event: 1, recorded: goPage(9), placed: goPage(0) });
    expect(report.peakInUseBytes).toBe(8 * PAGE);
  });

  it("gives a P the page cache that its first request shows", () => {
    // The P's cache began at page 68 of the block at page 64; page 70 was in use.
    const before = [
      [GROW, goPage(0), 512],
      [EXISTS, goPage(70), 1],
    ] as const;
    const trace = eventsOf(
      ...before,
      [ALLOC, goPage(68), 1, 3],
      [ALLOC, goPage(71), 2, 3],
      [ALLOC, goPage(69), 1, 3],
      // Another P's first request shows another block.
      [ALLOC, goPage(130), 1, 0],
      [ALLOC, goPage(73), 1, 3],
      [ALLOC, goPage(131), 1, 0],
      // Without a P, and by a P of which 16 pages are too many for a cache: the lowest that fit.
      [ALLOC, goPage(0), 1, -1],
      [ALLOC, goPage(1), 16, 3],
    );
    expect(replay(PageAlloc, trace)).toMatchObject({ allocs: 8, addressMatches: 8 });
    const fresh = eventsOf(...trace.events.filter(([kind]) => kind !== EXISTS));
    expect(replay(PageAlloc, fresh).addressMatches).toBeLessThan(8);
  });

  it("gives a P a cache of its own if its first page is not free or not mapped", () => {
    const trace = eventsOf(
      [GROW, goPage(0), 512],
      [EXISTS, goPage(70), 1],
      [ALLOC, goPage(0), 1, -1],
      [FREE, goPage(0), 1],
      [ALLOC, goPage(3000), 1, 1],
      [ALLOC, goPage(1), 1, 1],
    );
    expect(replay(PageAlloc, trace)).toMatchObject({ addressMatches: 2, allocs: 3 });
  });
}

function growthTests({ palloc: { PageAlloc }, trace: { replay } }: Subject): void {
  it("maps and unmaps exactly what the events say", () => {
    const trace = eventsOf(
      [GROW, goPage(10), 5],
      [ALLOC, goPage(10), 2],
      [GROW, goPage(1024), 512],
      [UNMAP, goPage(1024), 500],
      [UNMAP, goPage(12), 3],
    );
    const report = replay(PageAlloc, trace, { samples: 5 });
    expect(report.series.sys).toEqual(Float64Array.of(5, 5, 517, 17, 14).map((n) => n * PAGE));
    expect(report.peakHeapBytes).toBe(517 * PAGE);
  });

  it("maps only what is not mapped yet, and unmaps only what is", () => {
    const trace = eventsOf(
      [GROW, goPage(5), 5],
      [GROW, goPage(0), 20],
      [UNMAP, goPage(3), 4],
      [UNMAP, goPage(0), 10],
    );
    expect(replay(PageAlloc, trace, { samples: 4 }).series.sys).toEqual(
      Float64Array.of(5, 20, 16, 10).map((n) => n * PAGE),
    );
  });

  it("grows from the end of what is left", () => {
    const trace = eventsOf(
      [GROW, goPage(0), 1024],
      [UNMAP, goPage(512), 512],
      [ALLOC, goPage(0), 512],
      [ALLOC, goPage(512), 1],
    );
    expect(replay(PageAlloc, trace)).toMatchObject({ addressMatches: 2, heapBytes: 2 * CHUNK });
  });

  it("leaves pages that the heap has in use, as it has placed allocations elsewhere", () => {
    const trace = eventsOf([GROW, goPage(0), 512], [ALLOC, goPage(100), 8], [UNMAP, goPage(0), 50]);
    expect(replay(PageAlloc, trace)).toMatchObject({ heapBytes: CHUNK, addressMatches: 0 });
  });

  it('"needed" grows only when there is no room', () => {
    const trace = eventsOf([GROW, goPage(0), 5120], [ALLOC, goPage(0), 600], [UNMAP, goPage(600), 4520]);
    expect(replay(PageAlloc, trace)).toMatchObject({ peakHeapBytes: 10 * CHUNK, heapBytes: 600 * PAGE });
    expect(replay(PageAlloc, trace, { growth: "needed" })).toMatchObject({
      peakHeapBytes: 2 * CHUNK,
      heapBytes: 2 * CHUNK,
      addressMatches: 1,
    });
  });
}

function placeTests({ palloc: { PageAlloc }, trace: { replay } }: Subject): void {
  it("puts allocations where the trace says, wherever that is", () => {
    const random = new Random(15);
    const live = new Map<number, number>();
    const events: Array<readonly [kind: number, base: number, npages: number]> = [];
    for (let i = 0; i < 500; i++) {
      const place = goPage(random.below(400) * 40);
      const npages = live.get(place);
      if (npages) events.push([FREE, place, npages]);
      else events.push([ALLOC, place, 1 + random.below(40)]);
      if (npages) live.delete(place);
      else live.set(place, events[i][2]);
    }
    const trace = eventsOf(...events);
    const report = replay(PageAlloc, trace, { placement: "recorded" });
    expect(report.addressMatches).toBe(report.allocs);
    expect(replay(PageAlloc, trace).addressMatches).toBeLessThan(report.allocs);
    expect(report.peakInUseBytes).toBe(replay(PageAlloc, trace).peakInUseBytes);
  });

  it("grows as recorded", () => {
    const trace = eventsOf([GROW, goPage(512), 512], [ALLOC, goPage(700), 9], [ALLOC, goPage(0), 1]);
    const report = replay(PageAlloc, trace, { placement: "recorded", samples: 3 });
    expect(report.series.sys).toEqual(Float64Array.of(CHUNK, CHUNK, 2 * CHUNK));
    expect(report.peakRetainedBytes).toBe(10 * PAGE);
  });

  it("still refuses a page that is allocated twice", () => {
    const trace = eventsOf([ALLOC, goPage(5), 2], [ALLOC, goPage(6), 1]);
    expect(() => replay(PageAlloc, trace, { placement: "recorded" })).toThrow(
      /^event 1, page 0xc00000c000: it is allocated twice/,
    );
  });
}

function pageSizeTests({ palloc: { PageAlloc }, trace: { readPageTrace, replay } }: Subject): void {
  it("rounds each allocation up to larger pages, and frees them with its last part", () => {
    const trace = eventsOf(
      [ALLOC, goPage(0), 1],
      [ALLOC, goPage(1), 9],
      [FREE, goPage(1), 4],
      [FREE, goPage(0), 1],
      [FREE, goPage(5), 5],
    );
    const report = replay(PageAlloc, trace, { pageSize: 8 * PAGE, samples: 5 });
    expect(report.series.inUse).toEqual(Float64Array.of(1, 3, 3, 2, 0).map((n) => n * 8 * PAGE));
    expect(report.heapBytes).toBe(512 * 8 * PAGE);
  });

  it("leaves out what concerns recorded places on larger pages", () => {
    const trace = eventsOf(
      [GROW, goPage(0), 5120],
      [EXISTS, goPage(9), 1],
      [ALLOC, goPage(0), 3, 0],
      [SCAVENGE, goPage(200), 100],
      [UNMAP, goPage(300), 100],
      [FREE, goPage(9), 1],
    );
    const report = replay(PageAlloc, trace, { pageSize: 4 * PAGE });
    expect(report).toMatchObject({ heapBytes: 512 * 4 * PAGE, scavengedBytes: 0, peakInUseBytes: 8 * PAGE });
  });

  it.each(["scavenge", "placement"])('refuses the option %s "recorded" on larger pages', (name) => {
    const call = () =>
      replay(PageAlloc, eventsOf([ALLOC, goPage(0), 1]), { pageSize: 2 * PAGE, [name]: "recorded" });
    expect(call).toThrow(RangeError);
    expect(call).toThrow(
      `options.${name} can be "recorded" only for pages of at most 8192 bytes, the trace's`,
    );
  });

  it("takes the very bytes on smaller pages", async () => {
    const trace = await readPageTrace(await unpackedTrace("go-link"));
    const want = replay(PageAlloc, trace);
    const report = replay(PageAlloc, trace, { pageSize: PAGE / 2 });
    expect(report.peakInUseBytes).toBe(want.peakInUseBytes);
    expect(report.series.inUse).toEqual(want.series.inUse);
  });

  it("frees parts of an allocation on smaller pages", () => {
    const trace = eventsOf(
      [ALLOC, goPage(0), 9],
      [FREE, goPage(3), 2],
      [ALLOC, goPage(3), 2],
      [FREE, goPage(0), 9],
    );
    const report = replay(PageAlloc, trace, { pageSize: PAGE / 4, samples: 4 });
    expect(report.addressMatches).toBe(2);
    expect(report.series.inUse).toEqual(Float64Array.of(9, 7, 9, 0).map((n) => n * PAGE));
  });

  it("passes the sizes of the system's pages on to the heap", () => {
    const made: unknown[] = [];
    class Made extends PageAlloc {
      constructor(...args: ConstructorParameters<typeof PageAlloc>) {
        super(...args);
        made.push(args[0]);
      }
    }
    const sizes = { pageSize: 16384, physPageSize: 65536, physHugePageSize: 0 };
    replay(Made, eventsOf([ALLOC, goPage(0), 1]), sizes);
    replay(Made, { ...eventsOf([ALLOC, 4096, 1]), pageSize: 512 });
    expect(made).toEqual([sizes, { pageSize: 512 }]);
  });

  it("reads places in the trace's own pages", () => {
    const trace = { ...eventsOf([ALLOC, 4096, 8], [ALLOC, 8192, 1], [FREE, 4096, 8]), pageSize: 512 };
    expect(replay(PageAlloc, trace)).toMatchObject({ addressMatches: 2, peakInUseBytes: 9 * 512 });
    expect(() => replay(PageAlloc, { ...trace, pageSize: 8192 })).toThrow(
      "event 0, page 0x1000: 8 pages cannot lie",
    );
    for (const pageSize of [8, 100, 2 ** 31]) {
      expect(() => replay(PageAlloc, { ...trace, pageSize })).toThrow(RangeError);
    }
  });
}

function rangeTests({ palloc: { PageAlloc }, trace: { replay } }: Subject): void {
  const high = 2 ** 46;
  const trace = {
    ...eventsOf(
      [ALLOC, high, 3],
      [EXISTS, high + 1024, 5],
      [ALLOC, high + 64, 1],
      [FREE, high, 3],
      [ALLOC, high, 3],
    ),
    pageSize: 16,
  };

  it("places them by first fit from 0, and counts them", () => {
    const report = replay(PageAlloc, trace);
    expect(report).toMatchObject({ beyondRange: 4, allocs: 3, addressMatches: 0, peakInUseBytes: 9 * 16 });
    expect(report.firstMismatch).toEqual({ event: 0, recorded: high, placed: 0 });
  });

  it("refuses to place them where they were recorded", () => {
    expect(() => replay(PageAlloc, trace, { placement: "recorded" })).toThrow(
      /^event 0, page 0x400000000000: the heap's addresses end at 8796093022208; replay the trace by first fit/,
    );
  });

  it("leaves out growth and scavenging there", () => {
    const others = eventsOf([GROW, high, 512], [SCAVENGE, high, 5], [UNMAP, high, 512], [ALLOC, 2 ** 20, 1]);
    expect(replay(PageAlloc, { ...others, pageSize: 16 })).toMatchObject({
      beyondRange: 3,
      heapBytes: 512 * 16,
    });
  });
}
