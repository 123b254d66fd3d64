// Replays of traces that come in blocks.
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE } from "../support/heaps.ts";
import type { Subject } from "../support/subject.ts";
import { ALLOC, EXISTS, eventsOf, FREE, GROW } from "../support/trace-events.ts";
import { goPage, unpackedTrace } from "../support/trace-words.ts";

type Trace = Awaited<ReturnType<Subject["trace"]["readPageTrace"]>>;
type Report = Awaited<ReturnType<Subject["trace"]["replay"]>>;

/** The trace in blocks of so many events. */
async function* inBlocks(trace: Trace, size: number): AsyncGenerator<Trace> {
  for (let start = 0; start < trace.length; start += size) {
    const end = Math.min(trace.length, start + size);
    const part = { ...trace, length: end - start };
    for (const name of ["time", "proc", "kind", "base", "npages", "offset"] as const) {
      Object.assign(part, { [name]: trace[name]?.slice(start, end) });
    }
    yield part;
  }
}

/** What does not depend on the clock, or on how samples are chosen. */
function factsOf({ elapsedMs, eventsPerSecond, series, ...facts }: Report) {
  return facts;
}

export function replayBlocksSuite({
  palloc: { PageAlloc },
  trace: { readPageTrace, replay },
}: Subject): void {
  const some = eventsOf(
    [ALLOC, goPage(0), 1],
    [ALLOC, goPage(1), 1],
    [FREE, goPage(0), 1],
    [ALLOC, goPage(0), 1],
  );

  describe("replaying blocks", () => {
    it.each(["go1-json", "go-compile-types2-2procs"])(
      "gives the same as the whole trace: %s",
      async (name) => {
        const trace = await readPageTrace(await unpackedTrace(name));
        const want = factsOf(replay(PageAlloc, trace));
        for (const size of [97, 4096, trace.length]) {
          expect(factsOf(await replay(PageAlloc, inBlocks(trace, size)))).toEqual(want);
        }
      },
    );

    it("gives an empty report for no blocks, and for empty ones", async () => {
      const want = factsOf(replay(PageAlloc, eventsOf()));
      expect(factsOf(await replay(PageAlloc, inBlocks(eventsOf(), 1)))).toEqual(want);
      async function* empty() {
        yield eventsOf();
        yield some;
        yield eventsOf();
      }
      expect(factsOf(await replay(PageAlloc, empty()))).toEqual(factsOf(replay(PageAlloc, some)));
    });

    it("keeps what is in use, Ps' caches and the first cache from block to block", async () => {
      const trace = eventsOf(
        [GROW, goPage(0), 512],
        [EXISTS, goPage(70), 1],
        [ALLOC, goPage(68), 1, 3],
        [ALLOC, goPage(71), 2, 3],
        [FREE, goPage(70), 1],
        [ALLOC, goPage(69), 1, 3],
        [FREE, goPage(68), 2],
      );
      const report = await replay(PageAlloc, inBlocks(trace, 1));
      expect(report).toMatchObject({ addressMatches: 3, exists: 1, heapBytes: CHUNK });
    });

    it("uses the page size of the stream", async () => {
      const blocks = Object.assign(inBlocks(eventsOf([ALLOC, 4096, 8]), 1), { pageSize: 512 });
      expect((await replay(PageAlloc, blocks)).peakInUseBytes).toBe(4096);
    });

    it("counts events in messages from the first block", async () => {
      const twice = eventsOf(...some.events, [ALLOC, goPage(1), 1]);
      await expect(replay(PageAlloc, inBlocks(twice, 2))).rejects.toThrow(
        /^event 4, page 0xc000002000: it is all/,
      );
      const impossible = eventsOf(...some.events, [ALLOC, goPage(1), 0]);
      await expect(replay(PageAlloc, inBlocks(impossible, 2))).rejects.toThrow(/^event 4, .* has no pages/);
    });

    it.each([1, 2, 7, 64, 512])(
      "takes at most %i samples, at equal distances, and of the last event",
      async (samples) => {
        const trace = await readPageTrace(await unpackedTrace("go-link"));
        const all = replay(PageAlloc, trace, { samples: trace.length }).series;
        const { series } = await replay(PageAlloc, inBlocks(trace, 1000), { samples });
        const { length } = series.time;
        expect(length).toBeLessThanOrEqual(samples);
        expect(length).toBeGreaterThanOrEqual(Math.floor(samples / 2));
        const stride = 2 ** Math.ceil(Math.log2(trace.length / samples));
        const events = Array.from(series.time, (_, i) => Math.min((i + 1) * stride, trace.length) - 1);
        if (samples > 1) {
          for (const name of ["time", "inUse", "retained", "sys"] as const) {
            expect([...series[name]]).toEqual(events.map((event) => all[name][event]));
          }
        }
        expect(series.sys.at(-1)).toBe(all.sys.at(-1));
      },
    );

    it("takes no samples if none are wanted", async () => {
      const { series } = await replay(PageAlloc, inBlocks(some, 2), { samples: 0 });
      expect(series.time.length).toBe(0);
    });

    it("reports progress once a block", async () => {
      const seen: unknown[] = [];
      await replay(PageAlloc, inBlocks(some, 3), { onProgress: (...counts) => seen.push(counts) });
      expect(seen).toEqual([
        [3, Number.NaN],
        [4, Number.NaN],
      ]);
    });

    it("stops when it is told to, with the signal's reason", async () => {
      const stop = new AbortController();
      let asked = 0;
      async function* endless() {
        for (;;) {
          if (++asked === 3) stop.abort(new Error("enough"));
          yield eventsOf([ALLOC, goPage(asked), 1]);
        }
      }
      await expect(replay(PageAlloc, endless(), { signal: stop.signal })).rejects.toThrow("enough");
      expect(asked).toBe(3);
      await expect(replay(PageAlloc, inBlocks(some, 1), { signal: stop.signal })).rejects.toThrow("enough");
    });

    it("lets the event loop run", async () => {
      const trace = await readPageTrace(await unpackedTrace("gofmt-std"));
      let turns = 0;
      const timer = setInterval(() => turns++, 0);
      await replay(PageAlloc, inBlocks(trace, 1024));
      clearInterval(timer);
      expect(turns).toBeGreaterThan(0);
    });

    it("disposes its heap and closes the stream whatever happens", async () => {
      let disposed = 0;
      let closed = 0;
      class Watched extends PageAlloc {
        override dispose(): void {
          disposed++;
          super.dispose();
        }
      }
      async function* failing(error?: Error) {
        try {
          yield some;
          if (error) throw error;
          yield some;
        } finally {
          closed++;
        }
      }
      await expect(replay(Watched, failing(new Error("no more")))).rejects.toThrow("no more");
      await expect(replay(Watched, failing())).rejects.toThrow("it is allocated twice");
      expect([disposed, closed]).toEqual([2, 2]);
    });

    it("refuses wrong options and blocks", async () => {
      await expect(async () => replay(PageAlloc, inBlocks(some, 1), { signal: 1 as never })).rejects.toThrow(
        "options.signal must be an AbortSignal, got 1",
      );
      expect(() => replay(PageAlloc, some, { signal: new AbortController().signal } as never)).toThrow(
        "options.signal is unknown",
      );
      async function* wrong() {
        yield { ...some, kind: new Uint16Array(4) } as never;
      }
      await expect(replay(PageAlloc, wrong())).rejects.toThrow("trace.kind must be a Uint8Array");
      expect(factsOf(await replay(PageAlloc, inBlocks(some, 1))).peakInUseBytes).toBe(2 * PAGE);
    });
  });
}
