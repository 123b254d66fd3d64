// Replaying traces: the numbers that recorded programs gave, the calls that a replay makes on its heap, and what it
// does where the heap places pages elsewhere or a trace contradicts itself.
import { describe, expect, it, vi } from "vitest";
import { loadFixture } from "../support/fixtures.ts";
import { CHUNK, PAGE } from "../support/heaps.ts";
import { Random } from "../support/random.ts";
import type { PageAlloc, Subject } from "../support/subject.ts";
import { type Event, eventsOf } from "../support/trace-events.ts";
import {
  ALLOC,
  alloc,
  buffersOf,
  FREE,
  file,
  free,
  goPage,
  proc,
  SCAVENGE,
  scavenge,
  timeBase,
  traceOf,
  unpackedTrace,
} from "../support/trace-words.ts";

type Trace = Awaited<ReturnType<Subject["trace"]["readPageTrace"]>>;
type Options = Parameters<Subject["trace"]["replay"]>[2];

interface Facts {
  events?: number;
  allocs?: number;
  addressMatches?: number;
  peakInUseBytes?: number;
  rejected?: boolean;
}

const ONE_PROC = ["go-link", "go-compile-runtime", "go1-json", "gofmt-std"];
const TWO_PROCS = "go-compile-types2-2procs";

export function replaySuite(subject: Subject): void {
  describe("replaying page traces", () => {
    recordedTests(subject);
    callTests(subject);
    batchTests(subject);
    procTests(subject);
    bookkeepingTests(subject);
    elsewhereTests(subject);
    inPlaceTests(subject);
    scavengeTests(subject);
    seriesTests(subject);
    progressTests(subject);
    badTraceTests(subject);
    optionTests(subject);
    columnTests(subject);
    interleavedTests(subject);
  });
}

/**
 * An engine that notes what its heaps are asked to do, those of a batch from its operations and results, and keeps the
 * last heap's state at its end. An allocation is noted with the number of the page cache to ask and where it was
 * placed, a growth with the bytes of its chunks.
 */
function watched({ palloc }: Subject) {
  const seen = { calls: [] as unknown[][], disposed: 0, stats: undefined as Stats | undefined };
  const { Op, PageAlloc } = palloc;
  class Watched extends PageAlloc {
    override grow(base: number, nbytes: number): void {
      seen.calls.push(["grow", base, Math.ceil(nbytes / CHUNK) * CHUNK]);
      super.grow(base, nbytes);
    }
    override run(...[ops, results, options]: Parameters<PageAlloc["run"]>): void {
      super.run(ops, results, options);
      for (let i = 0; i < ops.length / 4; i++) {
        const [code, npages, where] = ops.subarray(4 * i);
        const value = results[2 * i];
        if (code === Op.alloc) seen.calls.push(["alloc", npages, where, value]);
        else if (code !== Op.scavengeRange) seen.calls.push(["free", value, npages]);
      }
    }
    override dispose(): void {
      this.check();
      seen.stats = this.stats();
      seen.disposed++;
      super.dispose();
    }
  }
  return { engine: Watched, seen };
}
type Stats = ReturnType<PageAlloc["stats"]>;

/** Reads the words and replays them on a watched heap. */
async function replayOf(subject: Subject, data: Uint8Array, options?: Options) {
  const { engine, seen } = watched(subject);
  const report = subject.trace.replay(engine, await subject.trace.readPageTrace(data), options);
  return { report, ...seen };
}

async function facts(): Promise<Record<string, Facts>> {
  return JSON.parse(new TextDecoder().decode(await loadFixture("traces/manifest.json")));
}

function recordedTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;
  const { PageAlloc } = subject.palloc;

  it.each(ONE_PROC)("%s: every allocation is where Go placed it", async (name) => {
    const trace = await readPageTrace(await loadFixture(`traces/${name}.pt.gz`));
    const want = (await facts())[`${name}.pt.gz`];
    for (const scavenge of ["none", "recorded"] as const) {
      const report = replay(PageAlloc, trace, { scavenge });
      expect(report).toMatchObject({ ...want, addressMatches: want.allocs, firstMismatch: null });
    }
  });

  it.each(ONE_PROC)("%s: every scavenged page could be released", async (name) => {
    const trace = await readPageTrace(await loadFixture(`traces/${name}.pt.gz`));
    const released = trace.npages.reduce((sum, n, i) => sum + (trace.kind[i] === SCAVENGE ? n * PAGE : 0), 0);
    const { engine, seen } = watched(subject);
    expect(replay(engine, trace).scavengedBytes).toBe(released);
    expect(seen.stats?.scavengedTotal).toBe(released);
  });

  it("two Ps: the replay continues where the order of events is ambiguous", async () => {
    const { report, stats } = await replayOf(subject, await unpackedTrace(TWO_PROCS));
    const want = (await facts())[`${TWO_PROCS}.pt.gz`];
    expect(report).toMatchObject({ ...want, addressMatches: expect.any(Number) });
    expect(report.addressMatches).toBeGreaterThanOrEqual(want.addressMatches as number);
    expect(report.addressMatches).toBeLessThan(report.allocs);
    expect(report.firstMismatch).not.toBeNull();
    expect(report.heapBytes).toBe(stats?.sys);
  });

  it("an empty trace gives an empty report", async () => {
    const empty = await readPageTrace(traceOf(alloc(0, 1)));
    const { engine, seen } = watched(subject);
    const report = replay(engine, { ...empty, length: 0 }, { onProgress: () => expect.unreachable() });
    expect(report).toMatchObject({
      events: 0,
      allocs: 0,
      addressMatches: 0,
      heapBytes: 0,
      peakRetainedBytes: 0,
    });
    expect(report.series.time.length).toBe(0);
    expect(seen).toMatchObject({ calls: [], disposed: 1 });
  });
}

function callTests(subject: Subject): void {
  const base = goPage(0);

  it("allocates the pages below the first one before the replay", async () => {
    const { report, calls, stats } = await replayOf(subject, traceOf(alloc(goPage(100), 20)));
    expect(calls).toEqual([["grow", base, CHUNK]]);
    expect(stats?.inUse).toBe(120 * PAGE);
    const inUse = { peakInUseBytes: 20 * PAGE, peakRetainedBytes: 120 * PAGE, heapBytes: CHUNK };
    expect(report).toMatchObject({ addressMatches: 1, ...inUse });
  });

  it("starts with an empty heap if the first page is the first of a chunk", async () => {
    const { calls } = await replayOf(subject, traceOf(alloc(base, 513)));
    expect(calls).toEqual([
      ["grow", base, 2 * CHUNK],
      ["alloc", 513, -1, base],
    ]);
  });

  it("can start at address 0", async () => {
    const { report, calls } = await replayOf(subject, traceOf(alloc(0, 16), alloc(16 * PAGE, 16)));
    expect(report).toMatchObject({ addressMatches: 2, firstMismatch: null });
    expect(calls[0]).toEqual(["grow", 0, CHUNK]);
  });

  it("grows upward by the request, rounded up to whole chunks", async () => {
    const sizes = [500, 600, 16, 1024, 1100];
    const { report, calls } = await replayOf(
      subject,
      traceOf(...sizes.map((n, i) => alloc(goPage(1 + i * 4096), n))),
    );
    expect(calls.filter(([name]) => name === "grow")).toEqual([
      ["grow", base, CHUNK],
      ["grow", base + CHUNK, 2 * CHUNK],
      ["grow", base + 3 * CHUNK, 2 * CHUNK],
      ["grow", base + 5 * CHUNK, 3 * CHUNK],
    ]);
    expect(report.heapBytes).toBe(8 * CHUNK);
  });

  it("serves a P's small requests from its cache, all others from the heap", async () => {
    const { report, stats } = await replayOf(
      subject,
      file(
        ...[proc(-1), timeBase(1), alloc(goPage(0), 1, 0)],
        ...[proc(0), timeBase(1), alloc(goPage(1), 15, 1), alloc(goPage(64), 16, 2), alloc(goPage(16), 1, 3)],
        ...[proc(1), timeBase(1), alloc(goPage(80), 2, 4)],
        ...[proc(0), timeBase(1), alloc(goPage(17), 3, 5)],
      ),
    );
    expect(report.addressMatches).toBe(6);
    // The heap served the first page, the rest of its block, 16 pages, and the rest of the next block.
    expect(stats?.allocs).toBe(4);
  });

  it("tells Ps apart, whatever their numbers", async () => {
    const { report } = await replayOf(
      subject,
      file(
        ...[
          proc(2 ** 31 - 1),
          timeBase(1),
          alloc(goPage(0), 16),
          alloc(goPage(16), 1, 1),
          alloc(goPage(17), 1, 4),
        ],
        ...[
          proc(70_000),
          timeBase(1),
          alloc(goPage(64), 2, 2),
          alloc(goPage(66), 2, 3),
          alloc(goPage(68), 2, 5),
        ],
      ),
    );
    expect(report.addressMatches).toBe(6);
  });

  it("refills a cache only when it is empty", async () => {
    const { report, stats } = await replayOf(
      subject,
      traceOf(
        ...[0, 15, 30, 45].map((page) => alloc(goPage(page), 15)),
        ...[alloc(goPage(64), 5), alloc(goPage(60), 4), alloc(goPage(69), 5)],
      ),
    );
    expect(report.addressMatches).toBe(7);
    // The first 15 pages, the rest of their block, 5 pages, and the rest of theirs.
    expect(stats?.allocs).toBe(4);
  });

  it("counts pages in use before the trace as retained", async () => {
    const release = [free(goPage(0), 100), scavenge(goPage(0), 100)];
    const { report } = await replayOf(
      subject,
      traceOf(scavenge(goPage(100), 1), ...release, alloc(goPage(0), 16)),
    );
    expect(report).toMatchObject({ peakInUseBytes: 16 * PAGE, peakRetainedBytes: 100 * PAGE });
  });

  it("frees pages to the heap, not to a cache", async () => {
    const { report, stats } = await replayOf(
      subject,
      traceOf(alloc(goPage(1), 2), free(goPage(1), 2), alloc(goPage(3), 1), alloc(goPage(64), 16)),
    );
    expect(report.addressMatches).toBe(3);
    // All of the first block but pages 1 and 2, and 16 pages.
    expect(stats).toMatchObject({ frees: 1, inUse: (62 + 16) * PAGE });
  });
}

function batchTests(subject: Subject): void {
  /** More than a batch holds. */
  const many = Array.from({ length: 5000 }, (_, page) => page);

  it("handles an event that frees more allocations than a batch holds", async () => {
    const far = 0x7f0000000000;
    const allocs = [alloc(goPage(0), 1), ...many.map((page) => alloc(far + page * PAGE, 1))];
    const { calls, report, stats } = await replayOf(subject, traceOf(...allocs, free(far, many.length)));
    expect(report).toMatchObject({ addressMatches: 1, peakInUseBytes: (many.length + 1) * PAGE });
    expect(report.series.inUse.at(-1)).toBe(PAGE);
    expect(calls.filter(([name]) => name === "free")).toEqual(
      many.map((page) => ["free", goPage(page + 1), 1]),
    );
    expect(stats?.frees).toBe(many.length);
  });

  it("frees allocations of this batch and earlier ones, even if placed elsewhere", async () => {
    const far = 0x7f0000000000;
    const pairs = many.flatMap((page) => [
      alloc(far + page * 20 * PAGE, 20),
      ...(page > 0 ? [free(far + (page * 20 - 15) * PAGE, 20)] : []),
    ]);
    const { calls, report, stats } = await replayOf(subject, traceOf(alloc(goPage(0), 1), ...pairs));
    expect(report.series.inUse.at(-1)).toBe(21 * PAGE);
    expect(stats?.inUse).toBeGreaterThanOrEqual(21 * PAGE);
    const freed = calls.filter(([name]) => name === "free").map(([, , npages]) => npages);
    expect(freed).toEqual(many.slice(1).flatMap(() => [15, 5]));
  });

  it("samples the heap before the first allocation", async () => {
    const { report } = await replayOf(
      subject,
      traceOf(scavenge(goPage(0), 1), alloc(goPage(0), 16), alloc(goPage(16), 512)),
    );
    expect([...report.series.sys]).toEqual([0, CHUNK, 2 * CHUNK]);
    expect([...report.series.retained]).toEqual([0, 16 * PAGE, 528 * PAGE]);
    expect([...report.series.inUse]).toEqual([0, 16 * PAGE, 528 * PAGE]);
  });

  it("names an event that the heap cannot serve before a later contradiction", async () => {
    const trace = await subject.trace.readPageTrace(
      traceOf(alloc(2 ** 48 - CHUNK, 20), alloc(0, 500), free(0, 501)),
    );
    expect(() => subject.trace.replay(subject.palloc.PageAlloc, trace)).toThrow(
      /^event 1 at byte 24, page 0x0: the heap has reached the end of the address space/,
    );
  });
}

function procTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;

  /** An engine that notes how many operations and caches each batch has. */
  function counted() {
    const batches: Array<{ operations: number; caches: number; slots: number }> = [];
    class Counted extends subject.palloc.PageAlloc {
      override run(...[ops, results, options]: Parameters<PageAlloc["run"]>): void {
        const slots = new Set<number>();
        for (let at = 0; at < ops.length; at += 4) {
          if (ops[at] === subject.palloc.Op.alloc && ops[at + 2] >= 0) slots.add(ops[at + 2]);
        }
        const caches = options?.caches?.length ?? 0;
        batches.push({ operations: ops.length / 4, caches, slots: slots.size });
        super.run(ops, results, options);
      }
    }
    return { engine: Counted, batches };
  }

  it("passes only the caches that a batch uses", async () => {
    const procs = 3000;
    const events = Array.from({ length: 3 * procs }, (_, i) => [
      ...[proc(i % procs), timeBase(1000 + i)],
      ...alloc(goPage(i), 1),
    ]);
    const { engine, batches } = counted();
    const report = replay(engine, await readPageTrace(file(...events)));
    expect(report.allocs).toBe(3 * procs);
    expect(batches.length).toBeGreaterThan(8);
    for (const { operations, caches, slots } of batches) {
      expect(caches).toBe(slots);
      expect(caches).toBeLessThanOrEqual(operations);
    }
  });

  it("keeps each P's cache from batch to batch", async () => {
    // P 1's pages, two at a time, stay together though P 0 fills more than a batch between any two.
    const events = Array.from({ length: 10 }, (_, round) => [
      ...[proc(1), timeBase(2 * round + 1), ...alloc(goPage(64 + 2 * round), 2)],
      ...[proc(0), timeBase(2 * round + 2)],
      ...Array.from({ length: 600 }, () => [...alloc(goPage(0), 1), ...free(goPage(0), 1)]).flat(),
    ]);
    const first = [proc(0), timeBase(0), ...alloc(goPage(200), 16)];
    const { calls } = await replayOf(subject, file(first, ...events), { samples: 0 });
    const placed = calls.filter(([name, npages]) => name === "alloc" && npages === 2);
    expect(placed.length).toBe(10);
    const bases = placed.map(([, , , base]) => base as number);
    expect(bases).toEqual(bases.map((_, round) => bases[0] + 2 * round * PAGE));
  });

  it.each([
    ["in place", 0],
    ["elsewhere", 9],
  ])("makes no empty batches for pages that are %s", async (_, page) => {
    const start = [alloc(goPage(0), 1), ...(page > 0 ? [alloc(goPage(page), 1)] : [])];
    const apart = [scavenge(goPage(100), 1), scavenge(goPage(100), 1)];
    const { engine, batches } = counted();
    const trace = await readPageTrace(traceOf(...start, ...apart, free(goPage(page), 1)));
    replay(engine, trace, { scavenge: "none", onProgress: () => {} });
    expect(batches.map(({ operations }) => operations)).toEqual(page > 0 ? [1, 1, 1] : [1]);
  });
}

function bookkeepingTests(subject: Subject): void {
  it("leaves no records of emptied caches in the heap", async () => {
    const pages = Array.from({ length: 400 * 64 }, (_, page) => alloc(goPage(page), 1));
    const { report, stats } = await replayOf(subject, traceOf(...pages));
    expect(report.addressMatches).toBe(pages.length);
    // One a block, and one a chunk: what makes the heap grow is served by the heap itself.
    expect(stats?.allocs).toBe(400 + 50);
    const plain = new subject.palloc.PageAlloc();
    plain.grow(goPage(0), stats?.sys as number);
    expect(stats?.metadata).toBeLessThan(2 * plain.stats().metadata);
  });
}

function elsewhereTests(subject: Subject): void {
  const far = 0x7f0000000000;

  it("reports the first allocation placed elsewhere", async () => {
    const events = [alloc(goPage(0), 16), alloc(goPage(20), 16), alloc(far, 16), alloc(goPage(48), 16)];
    const { report } = await replayOf(subject, traceOf(...events));
    expect(report).toMatchObject({
      addressMatches: 2,
      firstMismatch: { event: 1, recorded: goPage(20), placed: goPage(16) },
    });
  });

  it("frees its own pages in place of the recorded ones, partly and across allocations", async () => {
    const start = [
      alloc(goPage(0), 16),
      alloc(far, 20),
      alloc(far + 40 * PAGE, 16),
      alloc(far + 20 * PAGE, 20),
    ];
    const { calls, report, stats } = await replayOf(
      subject,
      traceOf(...start, free(far + 18 * PAGE, 4), free(far, 18), free(far + 22 * PAGE, 34)),
    );
    expect(calls.filter(([name]) => name === "free")).toEqual([
      ["free", goPage(34), 2],
      ["free", goPage(52), 2],
      ["free", goPage(16), 18],
      ["free", goPage(54), 18],
      ["free", goPage(36), 16],
    ]);
    expect(report).toMatchObject({ addressMatches: 1, peakInUseBytes: 72 * PAGE });
    expect(stats?.inUse).toBe(16 * PAGE);
  });

  it("accepts a recorded page again after its free", async () => {
    const once = [alloc(far, 16), free(far, 16)];
    const { report } = await replayOf(
      subject,
      traceOf(alloc(goPage(0), 16), ...once, ...once, alloc(far, 16)),
    );
    expect(report.series.inUse.at(-1)).toBe(32 * PAGE);
    expect(report.peakInUseBytes).toBe(32 * PAGE);
  });

  it("frees pages in use before the trace without counting them as allocated", async () => {
    const { report, stats } = await replayOf(
      subject,
      traceOf(alloc(goPage(100), 20), free(goPage(90), 20), alloc(goPage(90), 20)),
    );
    expect(report.addressMatches).toBe(2);
    expect([...report.series.inUse]).toEqual([20 * PAGE, 10 * PAGE, 30 * PAGE]);
    expect(stats?.inUse).toBe(120 * PAGE);
  });

  it("accepts an allocation of pages assumed to be in use before the trace", async () => {
    const events = [alloc(goPage(100), 20), alloc(goPage(50), 20), free(goPage(50), 20)];
    const { report, stats } = await replayOf(subject, traceOf(...events));
    expect(report.firstMismatch).toEqual({ event: 1, recorded: goPage(50), placed: goPage(120) });
    expect(report.series.inUse.at(-1)).toBe(20 * PAGE);
    expect(stats?.inUse).toBe(120 * PAGE);
  });
}

interface Recorded {
  /** Events whose pages lie where a replay finds them. */
  events: Event[];
  /** For each alloc whose pages are freed at once: the event that frees them. */
  freedBy: Map<number, number>;
}

/** Records what a program with two Ps does on a heap of its own, from its start or from some moment on. */
function recorded({ palloc }: Subject, random: Random): Recorded {
  const heap = new palloc.PageAlloc();
  const caches = [heap.allocToCache(), heap.allocToCache()];
  const events: Event[] = [];
  const freedBy = new Map<number, number>();
  const live: Array<{ base: number; npages: number; event: number | undefined }> = [];
  const start = goPage(0);
  let end = start;
  const before = random.oneIn(2) ? random.between(1, 500) : 0;
  if (before > 0) {
    heap.grow(start, CHUNK);
    end += CHUNK;
    live.push({ base: heap.alloc(before), npages: before, event: undefined });
  }
  const place = (npages: number, proc: number) => {
    const cache = end > start && npages < 16 ? caches[proc] : undefined;
    const found = cache?.refill() ? cache.alloc(npages) : -1;
    return found < 0 ? heap.alloc(npages) : found;
  };
  const allocate = () => {
    const npages = random.oneIn(8) ? random.between(1, 900) : random.between(1, 20);
    const proc = random.between(-1, 1);
    let base = place(npages, proc);
    if (base < 0) {
      const nbytes = Math.ceil(npages / 512) * CHUNK;
      heap.grow(end, nbytes);
      end += nbytes;
      base = heap.alloc(npages);
    }
    live.push({ base, npages, event: events.length });
    events.push([ALLOC, base, npages, proc]);
  };
  const release = () => {
    const [{ base, npages, event }] = live.splice(random.below(live.length), 1);
    const freed = random.oneIn(4) ? random.between(1, npages) : npages;
    if (freed < npages) live.push({ base: base + freed * PAGE, npages: npages - freed, event: undefined });
    else if (event !== undefined) freedBy.set(event, events.length);
    heap.free(base, freed);
    events.push([FREE, base, freed]);
  };
  const clean = () => {
    const base = goPage(random.below((end - start) / PAGE));
    heap.scavengeRange(base, 16);
    events.push([SCAVENGE, base, 16]);
  };
  while (events.length < 3000) {
    const kind = random.weighted({ alloc: 10, free: 9, scavenge: 1 });
    if (kind === "alloc" || live.length === 0 || events.length === 0) allocate();
    else if (kind === "free") release();
    else clean();
  }
  heap.dispose();
  return { events, freedBy };
}

function inPlaceTests(subject: Subject): void {
  const { replay } = subject.trace;

  it.each([1, 2, 3, 4, 5, 6])("counts the same wherever pages begin to lie elsewhere, seed %i", (seed) => {
    const random = new Random(seed);
    const { events, freedBy } = recorded(subject, random);
    const run = (events: readonly Event[]) => {
      const report = replay(engine, eventsOf(...events), { samples: events.length });
      return { ...report, elapsedMs: 0, eventsPerSecond: 0 };
    };
    const { engine, seen } = watched(subject);
    const want = run(events);
    expect(want).toMatchObject({ addressMatches: want.allocs, firstMismatch: null });
    const { stats } = seen;
    // The first event tells where the heap begins.
    const others = [...freedBy].filter(([event]) => event > 0);
    for (const [event, freeing] of others.filter((_, i) => i === 0 || random.oneIn(40))) {
      const [, placed, npages, proc] = events[event];
      const moved = [...events];
      const recorded = goPage(2 ** 20);
      moved[event] = [ALLOC, recorded, npages, proc];
      moved[freeing] = [FREE, recorded, npages];
      const firstMismatch = { event, recorded, placed };
      expect(run(moved)).toEqual({ ...want, addressMatches: want.allocs - 1, firstMismatch });
      expect(seen.stats).toEqual(stats);
    }
  });

  it.each([
    ["freed from a page cache", [FREE, goPage(2), 1], "0xc000004000: it is freed, but not in use"],
    ["freed, partly from a page cache", [FREE, goPage(0), 3], "0xc000004000: it is freed, but not in use"],
    ["freed above the heap", [FREE, goPage(2 ** 30), 1], "0x8c000000000: it is freed, but not in use"],
    ["allocated twice", [ALLOC, goPage(1), 1, 0], "0xc000002000: it is allocated twice"],
    ["allocated twice in part", [ALLOC, goPage(1), 2, 0], "0xc000002000: it is allocated twice"],
  ] as const)("refuses pages that are %s", (_, event, reason) => {
    const start: Event[] = [
      [ALLOC, goPage(0), 1],
      [ALLOC, goPage(1), 1, 0],
    ];
    expect(() => replay(subject.palloc.PageAlloc, eventsOf(...start, event))).toThrow(
      `event 2, page ${reason}`,
    );
  });
}

function scavengeTests(subject: Subject): void {
  const used = [alloc(goPage(0), 200), free(goPage(0), 100)];

  it.each([
    { what: "free pages", range: [50, 50], released: 50 },
    { what: "no pages in use", range: [90, 20], released: 10 },
    { what: "no pages never touched", range: [190, 300], released: 0 },
    { what: "no pages above the heap", range: [500, 1000], released: 0 },
    { what: "no pages below the heap", range: [-1000, 1010], released: 10 },
  ])("releases $what", async ({ range: [first, npages], released }) => {
    const { report, stats } = await replayOf(subject, traceOf(...used, scavenge(goPage(first), npages)));
    expect(report.scavengedBytes).toBe(released * PAGE);
    expect(report.series.retained.at(-1)).toBe((200 - released) * PAGE);
    expect(stats).toMatchObject({ retained: (200 - released) * PAGE, scavengedTotal: released * PAGE });
  });

  it("counts a scavenged page once, until it is used again", async () => {
    const twice = [scavenge(goPage(0), 100), scavenge(goPage(0), 100)];
    const again = [alloc(goPage(0), 100), free(goPage(0), 100)];
    const { report } = await replayOf(subject, traceOf(...used, ...twice, ...again, ...twice));
    expect(report).toMatchObject({ scavenges: 4, scavengedBytes: 200 * PAGE });
    const retained = [200, 200, 100, 100, 200, 200, 100, 100];
    expect([...report.series.retained]).toEqual(retained.map((n) => n * PAGE));
  });

  it("does not scavenge a cache's pages, and counts them as retained once allocated", async () => {
    const { report } = await replayOf(
      subject,
      traceOf(
        ...used,
        scavenge(goPage(0), 64),
        alloc(goPage(0), 4),
        scavenge(goPage(4), 60),
        alloc(goPage(4), 2),
      ),
    );
    expect(report.scavengedBytes).toBe(64 * PAGE);
    expect([...report.series.retained]).toEqual([200, 200, 136, 140, 140, 142].map((n) => n * PAGE));
  });

  it('"none" releases nothing but counts the events', async () => {
    const data = traceOf(...used, scavenge(goPage(0), 100));
    const { report, stats } = await replayOf(subject, data, { scavenge: "none" });
    expect(report).toMatchObject({ scavenges: 1, scavengedBytes: 0, peakRetainedBytes: 200 * PAGE });
    expect(stats?.scavengedTotal).toBe(0);
  });
}

function seriesTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;

  it.each([0, 1, 2, 7, 512, 4193, 10_000])("takes %i samples, evenly over the events", async (samples) => {
    const data = await unpackedTrace("go-link");
    const trace = await readPageTrace(data);
    const { series, peakInUseBytes, heapBytes } = replay(subject.palloc.PageAlloc, trace, { samples });
    const length = Math.min(samples, trace.length);
    const lengths = [series.time, series.inUse, series.retained, series.sys].map((column) => column.length);
    expect(lengths).toEqual([length, length, length, length]);
    const at = Array.from({ length }, (_, i) => Math.floor(((i + 1) * trace.length) / length) - 1);
    const inUse = inUseAfter(trace);
    expect([...series.time]).toEqual(at.map((event) => trace.time[event]));
    expect([...series.inUse]).toEqual(at.map((event) => inUse[event]));
    expect(peakInUseBytes).toBe(Math.max(...inUse));
    if (length > 0) expect(series.sys.at(-1)).toBe(heapBytes);
  });

  it("takes 512 samples by default", async () => {
    const trace = await readPageTrace(await unpackedTrace("go-link"));
    expect(replay(subject.palloc.PageAlloc, trace).series.time.length).toBe(512);
  });

  it("has retained between inUse and sys at every event", async () => {
    const trace = await readPageTrace(await unpackedTrace("go1-json"));
    const { engine, seen } = watched(subject);
    const report = replay(engine, trace, { samples: trace.length });
    expect(report.series.sys.at(-1)).toBe(seen.stats?.sys);
    expect(report.peakRetainedBytes).toBe(Math.max(...report.series.retained));
    report.series.retained.forEach((retained, i) => {
      if (retained < report.series.inUse[i] || retained > report.series.sys[i])
        expect.unreachable(`event ${i}`);
    });
  });
}

/** Bytes that a trace has in use after each event. */
function inUseAfter(trace: Trace): number[] {
  let sum = 0;
  const signs = [0, 1, -1, 0];
  return Array.from(trace.npages, (n, i) => {
    sum += signs[trace.kind[i]] * n * PAGE;
    return sum;
  });
}

function progressTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;

  it("reports progress a hundred times, upward, to the end", async () => {
    const trace = await readPageTrace(await unpackedTrace("go-link"));
    const told: number[][] = [];
    const want = replay(subject.palloc.PageAlloc, trace);
    const got = replay(subject.palloc.PageAlloc, trace, { onProgress: (...args) => void told.push(args) });
    expect(told.length).toBe(100);
    expect(told.every(([done, total], i) => total === 4193 && done > (told[i - 1]?.[0] ?? 0))).toBe(true);
    expect(told.at(-1)).toEqual([4193, 4193]);
    expect({ ...got, elapsedMs: 0, eventsPerSecond: 0 }).toEqual({
      ...want,
      elapsedMs: 0,
      eventsPerSecond: 0,
    });
  });

  it("reports progress once per event if there are few", async () => {
    const told: number[] = [];
    const data = traceOf(alloc(goPage(0), 1), free(goPage(0), 1), alloc(goPage(1), 1));
    await replayOf(subject, data, { onProgress: (done) => void told.push(done) });
    expect(told).toEqual([1, 2, 3]);
  });

  it("disposes its heap whatever happens", async () => {
    const trace = await readPageTrace(traceOf(alloc(goPage(0), 1), free(goPage(0), 1), free(goPage(0), 1)));
    const { engine, seen } = watched(subject);
    const stop = new Error("enough");
    const onProgress = () => {
      throw stop;
    };
    expect(() => replay(engine, trace, { onProgress })).toThrow(stop);
    expect(() => replay(engine, trace)).toThrow("not in use");
    expect(() => replay(engine, { ...trace, length: 2 })).not.toThrow();
    expect(seen.disposed).toBe(3);
  });

  it("reports the speed as events per second", async () => {
    const { report } = await replayOf(subject, await unpackedTrace("go-link"));
    expect(report.elapsedMs).toBeGreaterThan(0);
    expect(report.eventsPerSecond).toBeCloseTo(report.events / (report.elapsedMs / 1000), 3);
  });
}

function badTraceTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;
  const before = [alloc(goPage(0), 20), alloc(goPage(20), 2000), free(goPage(5), 5)];
  const twice = "it is allocated twice, with no free in between";
  const unused = "it is freed, but not in use";

  it.each([
    { what: "a page allocated twice", event: alloc(goPage(0), 1), page: 0, reason: twice },
    { what: "the end of a run allocated twice", event: alloc(goPage(7), 4), page: 10, reason: twice },
    { what: "the start of a run allocated twice", event: alloc(goPage(2019), 30), page: 2019, reason: twice },
    { what: "a page freed twice", event: free(goPage(5), 1), page: 5, reason: unused },
    { what: "the end of a run freed twice", event: free(goPage(3), 4), page: 5, reason: unused },
    { what: "pages never allocated", event: free(goPage(2019), 2), page: 2020, reason: unused },
    {
      what: "pages of a chunk not seen before",
      event: free(goPage(512 * 90), 1),
      page: 512 * 90,
      reason: unused,
    },
  ])("names event, byte and page for $what", async ({ event, page, reason }) => {
    const trace = await readPageTrace(traceOf(...before, event));
    const rest = `, page 0x${goPage(page).toString(16)}: ${reason}`;
    const error = (message: string) => expect.objectContaining({ code: "ERR_TRACE", message });
    expect(() => replay(subject.palloc.PageAlloc, trace)).toThrow(error(`event 3 at byte 48${rest}`));
    const { offset: _, ...handmade } = trace;
    expect(() => replay(subject.palloc.PageAlloc, handmade)).toThrow(error(`event 3${rest}`));
  });

  it("names the event by its position in time, the byte by its position in the file", async () => {
    const data = file(
      ...[proc(0), timeBase(50), free(goPage(0), 1)],
      ...[proc(-1), timeBase(40), alloc(goPage(0), 1), free(goPage(0), 1, 2)],
    );
    const trace = await readPageTrace(data);
    expect(() => replay(subject.palloc.PageAlloc, trace)).toThrow(/^event 2 at byte 16, page 0xc000000000: /);
  });

  it("refuses a trace that needs addresses above the highest", async () => {
    const trace = await readPageTrace(traceOf(alloc(2 ** 48 - CHUNK, 20), alloc(0, 500)));
    const wanted = /^event 1 at byte 24, page 0x0: the heap has reached the end of the address space/;
    expect(() => replay(subject.palloc.PageAlloc, trace)).toThrow(wanted);
  });

  it("refuses a trace that touches more pages than a replay can hold", async () => {
    const most = 2 ** 18;
    const chunks = Float64Array.from({ length: most + 1 }, (_, i) => i * CHUNK);
    const trace = {
      length: chunks.length,
      time: new Float64Array(chunks.length),
      proc: new Int32Array(chunks.length).fill(-1),
      kind: new Uint8Array(chunks.length).fill(ALLOC),
      base: chunks,
      npages: new Uint32Array(chunks.length).fill(1),
    };
    expect(() => replay(subject.palloc.PageAlloc, trace)).toThrow(
      /^event 262144, page 0x10000000000: the trace has touched more than 1024 GiB/,
    );
    const atOnce = await readPageTrace(traceOf(alloc(goPage(0), 1), alloc(2 ** 40, 2 ** 28)));
    expect(() => replay(subject.palloc.PageAlloc, atOnce)).toThrow(
      /^event 1 at byte 24, page 0x\w+: the trace has touched more than 1024 GiB/,
    );
  });

  it.each([
    ["kind", 0, "kind must be 1 to 6, got 0"],
    ["kind", 7, "kind must be 1 to 6, got 7"],
    ["npages", 0, "the event has no pages"],
    ["npages", 2 ** 32 - 1, "4294967295 pages cannot lie here"],
    ["base", 8191, "1 pages cannot lie here"],
    ["base", -8192, "1 pages cannot lie here"],
    ["base", Number.NaN, "1 pages cannot lie here"],
    ["base", Number.POSITIVE_INFINITY, "1 pages cannot lie here"],
    ["base", 2 ** 48, "1 pages cannot lie here"],
  ] as const)("refuses a handmade event with %s %d", async (column, value, reason) => {
    const trace = await readPageTrace(traceOf(alloc(2 ** 48 - 2 * PAGE, 1), alloc(2 ** 48 - PAGE, 1)));
    trace[column][1] = value;
    const wanted = expect.objectContaining({ code: "ERR_TRACE", message: expect.stringContaining(reason) });
    expect(() => replay(subject.palloc.PageAlloc, trace)).toThrow(wanted);
    expect(() => replay(subject.palloc.PageAlloc, trace)).toThrow(/^event 1 at byte 24, page /);
  });
}

function optionTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;
  const { PageAlloc, PageAllocError } = subject.palloc;
  const trace = () => readPageTrace(traceOf(alloc(goPage(0), 1)));

  it.each([
    ["sample", "samples"],
    ["Samples", "samples"],
    ["smaples", "samples"],
    ["scavange", "scavenge"],
    ["progress", "onProgress"],
    ["pagesize", "pageSize"],
    ["physPageSiz", "physPageSize"],
  ])("refuses the option %s and suggests %s", async (name, known) => {
    const events = await trace();
    for (const value of [1, undefined]) {
      const call = () => replay(PageAlloc, events, { [name]: value });
      expect(call).toThrow(TypeError);
      expect(call).toThrow(`options.${name} is unknown; did you mean options.${known}?`);
    }
  });

  it("reads each option once, and no unknown ones", async () => {
    const read: string[] = [];
    const values = { scavenge: "none", samples: 1, onProgress: () => {} };
    const options: object = {};
    for (const [name, value] of Object.entries(values)) {
      const get = () => {
        read.push(name);
        return value;
      };
      Object.defineProperty(options, name, { get, enumerable: true });
    }
    replay(PageAlloc, await trace(), options);
    expect(read.sort()).toEqual(["onProgress", "samples", "scavenge"]);
    const events = await trace();
    const odd = {
      get sample(): number {
        return expect.unreachable();
      },
    };
    expect(() => replay(PageAlloc, events, odd as never)).toThrow("options.sample is unknown");
  });

  it("accepts inherited options", async () => {
    const options = Object.create({ samples: 0 });
    expect(replay(PageAlloc, await trace(), options).series.time.length).toBe(0);
  });

  it("makes no heap if the options are refused", async () => {
    let made = 0;
    class Made extends PageAlloc {
      constructor(...args: ConstructorParameters<typeof PageAlloc>) {
        super(...args);
        made++;
      }
    }
    const events = await trace();
    expect(() => replay(Made, events, { pageSize: 4097 })).toThrow(RangeError);
    expect(made).toBe(0);
  });

  it("refuses a trace whose tables do not fit in memory", async () => {
    // One table has a number for each page of the chunks, the others for each allocation that is in use.
    const tables = {
      pages: Array.from({ length: 65 }, (_, chunk) => alloc(goPage(512 * chunk), 1)),
      allocations: [0, ...Array.from({ length: 4096 }, (_, i) => i + 2)].map((page) =>
        alloc(goPage(page), 1),
      ),
    };
    const failure = new RangeError("Array buffer allocation failed");
    const Scarce = new Proxy(Int32Array, {
      construct(type, args, newTarget) {
        if (args[0] === 2 ** 16 || args[0] === 2 ** 13) throw failure;
        return Reflect.construct(type, args, newTarget);
      },
    });
    for (const events of Object.values(tables)) {
      const trace = await readPageTrace(traceOf(...events));
      vi.stubGlobal("Int32Array", Scarce);
      try {
        const message = expect.stringMatching(/^the trace is too long to replay: no memory for a table of /);
        const wanted = expect.objectContaining({ code: "ERR_TRACE", message, cause: failure });
        expect(() => replay(PageAlloc, trace)).toThrow(wanted);
        expect(() => replay(PageAlloc, trace)).toThrow(PageAllocError);
      } finally {
        vi.unstubAllGlobals();
      }
    }
  });
}

function columnTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;

  it.each(["time", "proc", "kind", "base", "npages"] as const)("refuses a wrong column %s", async (name) => {
    const trace = await readPageTrace(traceOf(alloc(goPage(0), 1)));
    for (const column of [undefined, [1], trace[name].subarray(1), new Int16Array(1)]) {
      const call = () => replay(subject.palloc.PageAlloc, { ...trace, [name]: column as never });
      expect(call).toThrow(TypeError);
      expect(call).toThrow(`trace.${name} must be a `);
    }
  });
}

function interleavedTests(subject: Subject): void {
  const { readPageTrace, replay } = subject.trace;

  it("refuses two programs' buffers in one file, in any order and place", async () => {
    const names = [...ONE_PROC, TWO_PROCS];
    const programs = await Promise.all(names.map(unpackedTrace));
    const random = new Random(7);
    for (let round = 0; round < 40; round++) {
      const [a, b] = [random.pick(programs), random.pick(programs)];
      const data = random.oneIn(2) ? appended(a, b, random) : overwritten(a, b, random);
      // Whoever wrote last and most may have left nothing of the other.
      if (startsWith(a, data) || startsWith(b, data)) continue;
      const outcome = await readPageTrace(data)
        .then((trace) => replay(subject.palloc.PageAlloc, trace))
        .catch((error) => error.code);
      expect(outcome, `round ${round}`).toBe("ERR_TRACE");
    }
  });
}

function startsWith(whole: Uint8Array, start: Uint8Array): boolean {
  for (let i = 0; i < start.length; i++) if (whole[i] !== start[i]) return false;
  return true;
}

/** Both programs append their buffers to one file. */
function appended(a: Uint8Array, b: Uint8Array, random: Random): Uint8Array {
  const buffers = shuffled(a, b, random).map(({ buffer }) => buffer);
  const data = new Uint8Array(a.length + b.length);
  let at = 0;
  for (const buffer of buffers) {
    data.set(buffer, at);
    at += buffer.length;
  }
  return data;
}

/** Both programs write one file from its start, each over what the other left there. */
function overwritten(a: Uint8Array, b: Uint8Array, random: Random): Uint8Array {
  const data = new Uint8Array(Math.max(a.length, b.length));
  for (const { buffer, at } of shuffled(a, b, random)) data.set(buffer, at);
  return data;
}

/** The buffers of both, those of each in order, with their places. */
function shuffled(a: Uint8Array, b: Uint8Array, random: Random): Array<{ buffer: Uint8Array; at: number }> {
  const left = [a, b].map((program) =>
    buffersOf(program).map((buffer) => ({ buffer, at: buffer.byteOffset - program.byteOffset })),
  );
  const order = [];
  while (left[0].length > 0 || left[1].length > 0) {
    const from = left[1].length === 0 || (left[0].length > 0 && random.oneIn(2)) ? left[0] : left[1];
    order.push(from.shift() as (typeof from)[0]);
  }
  return order;
}
