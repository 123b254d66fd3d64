// The log beside a page trace: its cycles against a plain reader of it, and made logs for what is rare.
import { describe, expect, it } from "vitest";
import { loadFixture, loadLines } from "../../support/fixtures.ts";
import { same } from "../../support/same.ts";
import type { Subject } from "../../support/subject.ts";
import { changeEverywhere, cutEverywhere } from "../../support/trace-fuzz.ts";
import { alloc, goPage, gzip, inBlocks, traceOf } from "../../support/trace-words.ts";

type Api = Subject["trace"];
type Trace = Awaited<ReturnType<Api["readTrace"]>>;
type Line = Readonly<Record<string, unknown>>;
type Cycle = readonly number[];

const NAME = "traces/logged/types-gogc50-limit60";
/** Events at 128,000 ns, and then every 128 ns. */
const TRACE = traceOf(...Array.from({ length: 5 }, (_, i) => alloc(goPage(i), 1)));
const START = 128_000;

const logOf = (...lines: readonly unknown[]): Uint8Array => logOfList(lines);
const logOfList = (lines: readonly unknown[]): Uint8Array =>
  new TextEncoder().encode(
    lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"),
  );
const pace = (t: number, heapMarked = 10, heapGoal: unknown = 20) => ({ k: "pace", t, heapGoal, heapMarked });
const swept = (t: number) => ({ k: "swept", t, heapInUse: 8192, heapFree: 0 });

/** Each cycle's numbers, in the order in which `GcEvents` has them. */
function cyclesOf(...blocks: Trace[]): Cycle[] {
  return blocks.flatMap(({ gc }) =>
    Array.from({ length: gc?.length ?? 0 }, (_, i) =>
      [gc?.start, gc?.time, gc?.sweepEnd, gc?.heapLive, gc?.heapGoal].map((column) => Number(column?.[i])),
    ),
  );
}

/** Reads a log the plainest way. */
function plainCycles(lines: readonly Line[]): Cycle[] {
  return lines.flatMap((line, i) => {
    if (line.k !== "pace") return [];
    const after = lines.slice(i + 1);
    const next = after.findIndex(({ k }) => k === "pace");
    const sweep = after.slice(0, next < 0 ? after.length : next).find(({ k }) => k === "swept");
    return [[NaN, line.t, sweep?.t ?? NaN, line.heapMarked, line.heapGoal] as number[]];
  });
}

async function blocksOf(stream: AsyncIterable<Trace>): Promise<Trace[]> {
  const blocks: Trace[] = [];
  for await (const block of stream) blocks.push(block);
  return blocks;
}

export function gcLogSuite({ trace, palloc: { PageAllocError } }: Subject): void {
  const { openTrace, readTrace, writeTrace } = trace;
  const read = async (gcLog: Uint8Array) => cyclesOf(await readTrace(TRACE, { gcLog }));
  const readBlocks = async (gcLog: Uint8Array) => blocksOf(await openTrace(TRACE, { gcLog }));

  describe("the GC log beside a page trace", () => {
    it("a recorded one gives the cycles that a plain reader finds", async () => {
      const want = plainCycles(await loadLines<Line>(`${NAME}.events.ndjson.gz`));
      expect(want.length).toBe(70);
      const data = await loadFixture(`${NAME}.pt.gz`);
      const gcLog = await loadFixture(`${NAME}.events.ndjson.gz`);
      const whole = await readTrace(data, { gcLog });
      same(cyclesOf(whole), want, "cycles");
      const { gc, ...rest } = whole;
      expect(await readTrace(data)).toEqual(rest);
      const stream = new Blob([gcLog as BlobPart]).stream();
      const blocks = await blocksOf(await openTrace(data, { gcLog: stream }));
      same(cyclesOf(...blocks), want, "cycles of blocks");
    });

    it("the neutral form keeps them", async () => {
      const data = await loadFixture(`${NAME}.pt.gz`);
      const gcLog = await loadFixture(`${NAME}.events.ndjson.gz`);
      const parts: Uint8Array[] = [];
      for await (const part of writeTrace(await openTrace(data, { gcLog }))) parts.push(part.slice());
      const kept = await readTrace(new Blob(parts as BlobPart[]));
      expect(kept.length).toBe(20_381);
      same(cyclesOf(kept), cyclesOf(await readTrace(data, { gcLog })), "cycles");
    });

    it("other lines are passed over, and what the log does not say is NaN", async () => {
      const gcLog = logOf(
        ...[swept(5), "", "  \t", { k: "gctrace", gc: 1, atS: 0.1 }, pace(10, 1, 2), { k: "new", t: 3 }],
        ...[swept(12), swept(14), pace(20, 3, null), pace(20, 5, 6), swept(20)],
      );
      const want = [
        [NaN, 10, 14, 1, 2],
        [NaN, 20, NaN, 3, Infinity],
        [NaN, 20, 20, 5, 6],
      ];
      expect(await read(gcLog)).toEqual(want);
      expect(await read(new Uint8Array([...gcLog, 10]))).toEqual(want);
      expect(await read(await gzip(gcLog))).toEqual(want);
      for (const size of [1, 7, 64]) {
        expect(cyclesOf(await readTrace(TRACE, { gcLog: inBlocks(gcLog, size) }))).toEqual(want);
      }
    });

    it("without a cycle it says so, and without a log nothing is known", async () => {
      for (const gcLog of [logOf(), logOf(swept(1))]) {
        expect((await readTrace(TRACE, { gcLog })).gc?.length).toBe(0);
        expect((await readBlocks(gcLog)).map(({ gc }) => gc?.length)).toEqual([0]);
      }
      expect("gc" in (await readTrace(TRACE))).toBe(false);
    });

    it("a block has the cycles whose marking ended in it, and those after the last event come last", async () => {
      const end = START + 4 * 128;
      const blocks = await readBlocks(logOf(pace(1), swept(2), pace(end), pace(end + 1), swept(end + 9)));
      expect(blocks.map(({ length, gc }) => [length, Array.from(gc?.time ?? [])])).toEqual([
        [5, [1, end]],
        [0, [end + 1]],
      ]);
      expect(blocks[1]).toMatchObject({ format: "go-page-trace", pageSize: 8192 });
      const data = await loadFixture("traces/gofmt-std.pt.gz");
      const { time } = await readTrace(data);
      const marks = Array.from({ length: 100 }, (_, i) => time[Math.floor((i * time.length) / 100)]);
      const many = await blocksOf(await openTrace(data, { gcLog: logOfList(marks.map((t) => pace(t))) }));
      expect(many.length).toBeGreaterThan(2);
      let last = -Infinity;
      for (const block of many) {
        const blockEnd = block.time[block.length - 1];
        const want = marks.filter((mark) => mark > last && mark <= blockEnd);
        expect(Array.from(block.gc?.time ?? [])).toEqual(want);
        last = blockEnd;
      }
    });

    it("very many cycles come in several blocks", async () => {
      const gcLog = logOfList(Array.from({ length: 150_000 }, (_, i) => pace(i)));
      const blocks = await readBlocks(gcLog);
      expect(blocks.map(({ length, gc }) => [length, gc?.length])).toEqual([
        [5, 65_536],
        [0, 65_536],
        [0, 18_928],
      ]);
      const { gc } = await readTrace(TRACE, { gcLog });
      expect(gc?.time).toEqual(Float64Array.from({ length: 150_000 }, (_, i) => i));
    });

    it.each<[string, Uint8Array, string]>([
      ["no JSON", logOf(pace(1), "{"), 'byte 49: expected a JSON object with the key k, in "{"'],
      ["another kind of object", logOf({ op: "free" }), "byte 0: expected a JSON object with the key k, in "],
      ["a list", logOf([1]), 'byte 0: expected a JSON object with the key k, in "[1]"'],
      ["null", logOf("null"), 'byte 0: expected a JSON object with the key k, in "null"'],
      ["no time", logOf({ k: "swept" }), "byte 0: expected t, a time in ns, in "],
      ["a time below 0", logOf(pace(-1)), "byte 0: expected t, a time in ns, in "],
      ["a time in text", logOf({ ...swept(1), t: "1" }), "byte 0: expected t, a time in ns, in "],
      ["no live bytes", logOf({ k: "pace", t: 1, heapGoal: 1 }), "byte 0: expected heapMarked in bytes, in "],
      [
        "no goal",
        logOf({ k: "pace", t: 1, heapMarked: 1 }),
        "byte 0: expected heapGoal in bytes, or null, in ",
      ],
      [
        "times that go back",
        logOf(swept(7), pace(6)),
        "byte 50: expected t, a time from 7 on, as times of pace and swept ascend, in ",
      ],
      ["a long line", logOf(" ".repeat(70_000)), "byte 0: a line of more than 65536 bytes"],
    ])("%s is refused", async (_, gcLog, message) => {
      for (const reading of [read, readBlocks]) {
        const error = await reading(gcLog).catch((error) => error);
        expect(error).toBeInstanceOf(PageAllocError);
        expect(error.code).toBe("ERR_TRACE");
        expect(error.message).toContain(`in the GC log, ${message}`);
      }
    });

    it("damage in it is found, and the byte is named", async () => {
      const file = logOf(pace(10, 1, 2), { k: "run", t: 11 }, swept(12), pace(20, 3, null));
      const readLog = (gcLog: Parameters<typeof readTrace>[0]) => readTrace(TRACE, { gcLog });
      await cutEverywhere(readLog, file, {});
      await changeEverywhere(readLog, file, {}, 6);
      const packed = await gzip(file);
      await cutEverywhere(readLog, packed, {});
      await expect(readLog(packed.subarray(0, 40))).rejects.toThrow(
        /^in the GC log, byte \d+: the gzip data is cut/,
      );
    });

    it("it has the limit and the signal of the trace", async () => {
      const gcLog = logOfList(Array.from({ length: 100 }, (_, i) => pace(i)));
      await expect(readTrace(TRACE, { gcLog, limit: 1000 })).rejects.toThrow(
        "in the GC log, byte 1000: the trace is longer than the limit of 1000 bytes",
      );
      const controller = new AbortController();
      let closed = 0;
      const endless: AsyncIterable<Uint8Array> = {
        [Symbol.asyncIterator]: () => ({
          next: async () => {
            controller.abort(new Error("enough"));
            return new Promise<never>(() => {});
          },
          return: async () => {
            closed++;
            return { done: true, value: undefined };
          },
        }),
      };
      const reading = readTrace(TRACE, { gcLog: endless, signal: controller.signal });
      await expect(reading).rejects.toThrow("enough");
      expect(closed).toBe(1);
    });

    it("leaving the iteration early stops it", async () => {
      let closed = 0;
      async function* log() {
        try {
          for (let t = START; ; t++) yield new TextEncoder().encode(`${JSON.stringify(pace(t))}\n`);
        } finally {
          closed++;
        }
      }
      for await (const _ of await openTrace(TRACE, { gcLog: log() })) break;
      await Promise.resolve();
      expect(closed).toBe(1);
    });

    it("is refused with traces of other formats, and if it is no source", async () => {
      const csv = new TextEncoder().encode("time,op,address,bytes\n1,malloc,4096,16\n");
      for (const call of [readTrace, openTrace]) {
        await expect(call(csv, { gcLog: logOf() })).rejects.toThrow(
          new TypeError(
            "options.gcLog is for Go page traces, and this is a trace of format malloc; leave it out",
          ),
        );
        await expect(call(TRACE, { gcLog: "x.ndjson" as never })).rejects.toThrow(
          /^options\.gcLog must be a Uint8Array, a Blob, or a ReadableStream or async iterable/,
        );
      }
    });
  });
}
