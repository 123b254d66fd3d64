// The neutral form: what is written comes back exactly; damage is found; the index leads to every block. And Go's page
// traces, written and read back.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { same } from "../../support/same.ts";
import type { Subject } from "../../support/subject.ts";
import { changeEverywhere, cutEverywhere } from "../../support/trace-fuzz.ts";
import { gzip, inBlocks, unpackedTrace } from "../../support/trace-words.ts";

type Api = Subject["trace"];
type Trace = Awaited<ReturnType<Api["readTrace"]>>;
type Event = readonly [time: number, proc: number, kind: number, page: number, npages: number];

const RECORDED = ["go-link", "go-compile-runtime", "go1-json", "gofmt-std", "go-compile-types2-2procs"];
const COLUMNS = ["time", "proc", "kind", "base", "npages"] as const;
const CYCLE = ["start", "time", "sweepEnd", "heapLive", "heapGoal"] as const;
const CORRECTIONS = {
  ...{ impliedFrees: 1, impliedGrows: 2, skippedFrees: 3 },
  ...{ skippedGrows: 4, skippedUnmaps: 5, movedAllocs: 2 ** 40 },
};
const HEAD_BYTES = 20;
/** Events of the largest frame. */
const FRAME_EVENTS = 2 ** 16;

export function neutralSuite({ trace }: Subject): void {
  describe("the neutral form", () => {
    roundTrips(trace);
    damage(trace);
    index(trace);
    wrongIndex(trace);
    refusals(trace);
  });
  describe("page traces, written", () => pageTraces(trace));
}

/** A trace of these events. */
function traceOf(events: readonly Event[], more: Partial<Trace> = {}): Trace {
  const pageSize = more.pageSize ?? 8192;
  return {
    length: events.length,
    time: Float64Array.from(events, ([time]) => time),
    proc: Int32Array.from(events, ([, proc]) => proc),
    kind: Uint8Array.from(events, ([, , kind]) => kind),
    base: Float64Array.from(events, ([, , , page]) => page * pageSize),
    npages: Uint32Array.from(events, ([, , , , npages]) => npages),
    ...more,
  };
}

/** So many events, 7 ns apart. */
function longTrace(length: number, more: Partial<Trace> = {}): Trace {
  const events = Array.from(
    { length },
    (_, i): Event => [7 * i, i % 3, 1 + (i % 6), (i * 37) % 1000, 1 + (i % 5)],
  );
  return traceOf(events, more);
}

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part.slice());
  return new Uint8Array(await new Blob(all as BlobPart[]).arrayBuffer());
}

/** Throws unless both have the same events, -0 and 0 told apart. */
function sameEvents(got: Trace, want: Trace, what: string): void {
  same(got.length, want.length, `${what}: events`);
  for (const name of COLUMNS) {
    const at = want[name].findIndex((value, i) => !Object.is(value, got[name][i]));
    if (at >= 0)
      throw new Error(`${what}: ${name} of event ${at} is ${got[name][at]}, want ${want[name][at]}`);
  }
}

/** Any trace, with times of every size. */
const anyTrace = fc
  .record({
    shift: fc.integer({ min: 4, max: 30 }),
    times: fc.array(
      fc.oneof(
        fc.integer({ min: 0, max: 1000 }),
        fc.maxSafeInteger(),
        fc.integer({ min: 0, max: 1000 }).map((i) => 1.7e18 + 256 * i),
        fc.integer({ min: 0, max: 1000 }).map((i) => (i * 1000) / 24),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constantFrom(-0, 0, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE),
      ),
      { maxLength: 40 },
    ),
    seeds: fc.array(
      fc.tuple(
        fc.integer(),
        fc.integer({ min: 1, max: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(),
      ),
      {
        minLength: 40,
        maxLength: 40,
      },
    ),
  })
  .map(({ shift, times, seeds }) => {
    const pages = 2 ** 48 / 2 ** shift;
    const events = Float64Array.from(times)
      .sort()
      .map((time) => time);
    return traceOf(
      Array.from(events, (time, i): Event => {
        const [proc, kind, where, many] = seeds[i];
        const npages = Math.min(pages, i % 3 === 0 ? 2 ** 32 - 1 - many : 1 + (many % 20));
        return [time, proc, kind, Math.floor(where * (pages - npages)), npages];
      }),
      { pageSize: 2 ** shift },
    );
  });

function roundTrips({ writeTrace, readTrace, readPageTrace, openTrace }: Api): void {
  it("gives any trace back", async () => {
    await fc.assert(
      fc.asyncProperty(anyTrace, async (want) => {
        const got = await readTrace(await collect(writeTrace(want)));
        same(
          [got.format, got.pageSize, got.origin, got.offset],
          ["neutral", want.pageSize, undefined, undefined],
          "facts",
        );
        sameEvents(got, want, "trace");
      }),
      { numRuns: 150 },
    );
  });

  it.each([
    [-0, 0],
    [0, 0],
    [-0, -0],
    [-0, 0, 5],
    [-5, -0],
    [0.1, 0.2, 0.3],
    [2 ** 53, 2 ** 60, 1e300],
    [-1e308, 1e308],
  ])("gives the times %d, %d ... back", async (...times) => {
    const want = traceOf(times.map((time): Event => [time, 0, 1, 1, 1]));
    sameEvents(await readTrace(await collect(writeTrace(want))), want, "trace");
  });

  it.each(RECORDED)("gives %s back, in less than 0.6 of its gzipped bytes", async (name) => {
    const data = await unpackedTrace(name);
    const want = await readTrace(data);
    const file = await collect(writeTrace(want));
    expect(file.length).toBeLessThan((await gzip(data)).length * 0.6);
    const got = await readTrace(file);
    sameEvents(got, want, name);
    expect([got.origin, got.cutShort]).toEqual(["go-page-trace", undefined]);
    // A Blob, a gzip, blocks that are reused; and from a stream to a file again.
    sameEvents(await readTrace(new Blob([file as BlobPart])), want, "Blob");
    sameEvents(await readTrace(await gzip(file)), want, "gzip");
    same(await collect(writeTrace(await openTrace(file))), file, "written again");
    expect((await readPageTrace(data)).length).toBe(want.length);
  });

  it("is read from blocks of 1 to 7 bytes", async () => {
    const want = longTrace(500);
    const file = await collect(writeTrace(want));
    for (let size = 1; size <= 7; size++)
      sameEvents(await readTrace(inBlocks(file, size)), want, `${size} bytes`);
  });

  it.each([0, 1, FRAME_EVENTS - 1, FRAME_EVENTS, FRAME_EVENTS + 1])("holds %i events", async (length) => {
    const want = longTrace(length, { format: "perf-kmem", pageSize: 4096 });
    const got = await readTrace(await collect(writeTrace(want)));
    sameEvents(got, want, "trace");
    expect([got.pageSize, got.origin]).toEqual([4096, "perf-kmem"]);
  });

  it("holds cycles, each in the block in which it ended; objects, corrections, and the reason of a cut", async () => {
    const length = FRAME_EVENTS + 100;
    const times = [7, 7 * FRAME_EVENTS - 7, 7 * FRAME_EVENTS - 6, 1e9];
    const column = (add: number) => Float64Array.from(times, (time) => time + add);
    const gc = {
      length: 4,
      start: column(-5),
      time: column(0),
      sweepEnd: Float64Array.of(1, NaN, 3, NaN),
      heapLive: column(0.5),
      heapGoal: column(1e6),
    };
    const objects = {
      length: 2,
      size: Float64Array.of(8, 1e9),
      existing: Float64Array.of(0, 1),
      allocs: Float64Array.of(3, 4),
      frees: Float64Array.of(5, 6),
    };
    const want = longTrace(length, { gc, objects, corrections: CORRECTIONS, cutShort: "it stops — früh" });
    const file = await collect(writeTrace(want));
    const got = await readTrace(file);
    for (const name of CYCLE) expect([...(got.gc?.[name] ?? [])], name).toEqual([...gc[name]]);
    expect([got.objects, got.cutShort]).toEqual([objects, want.cutShort]);
    expect(got.corrections).toEqual(CORRECTIONS);
    const perBlock: number[] = [];
    for await (const block of await openTrace(file)) perBlock.push(block.gc?.length ?? 0);
    expect(perBlock).toEqual([2, 1, 1]);
    const none = {
      length: 0,
      start: gc.start,
      time: gc.time,
      sweepEnd: gc.start,
      heapLive: gc.time,
      heapGoal: gc.time,
    };
    expect((await readTrace(await collect(writeTrace(longTrace(3, { gc: none }))))).gc?.length).toBe(0);
    expect("gc" in (await readTrace(await collect(writeTrace(longTrace(3)))))).toBe(false);
  });
}

function damage({ writeTrace, readTrace }: Api): void {
  const small = () =>
    collect(writeTrace(longTrace(60, { format: "go-exec", cutShort: "cut", corrections: CORRECTIONS })));

  it("refuses a file that is cut anywhere", async () => {
    const file = await small();
    await cutEverywhere(readTrace, file, { format: "neutral" });
    for (let length = 0; length < file.length; length++) {
      await expect(readTrace(file.subarray(0, length), { format: "neutral" }), `${length}`).rejects.toThrow(
        /^byte \d+: /,
      );
    }
  });

  it("refuses a file with any byte changed, or with more bytes", async () => {
    const file = await small();
    await changeEverywhere(readTrace, file, { format: "neutral" }, 1);
    for (let at = 0; at < file.length; at++) {
      const changed = file.slice();
      changed[at] ^= 1 << (at % 8);
      await expect(readTrace(changed, { format: "neutral" }), `${at}`).rejects.toThrow(/^byte \d+: /);
    }
    await expect(readTrace(new Uint8Array([...file, 0]))).rejects.toThrow(
      `byte ${file.length}: bytes follow the end of the file; the file is damaged`,
    );
  });

  it.each([0, 2])("refuses %i rows of corrections", async (count) => {
    const file = await collect(writeTrace(traceOf([], { corrections: CORRECTIONS })));
    const start = 16 + 4;
    expect(new DataView(file.buffer).getUint32(start, true)).toBe(5);
    const content = new Uint8Array(48 * count);
    // Deflate without compression: one last block, its length twice, its bytes.
    const packed = [1, content.length, 0, 255 - content.length, 255, ...content];
    const head = [...new Uint8Array(Uint32Array.of(5, count, content.length, packed.length).buffer)];
    const sum = [...new Uint8Array(Uint32Array.of(plainCrc32([...head, ...packed])).buffer)];
    const forged = Uint8Array.from([...file.subarray(0, start), ...head, ...sum, ...packed]);
    await expect(readTrace(forged)).rejects.toThrow(
      `byte ${start}: the frame cannot be: it has ${count} rows of corrections; the file is damaged, or`,
    );
  });

  it("refuses another version by its number", async () => {
    const file = await small();
    file[7] = 2;
    await expect(readTrace(file)).rejects.toThrow(
      "byte 7: the file has version 2, and this palloc reads version 1",
    );
  });
}

/** The sum of a frame, bit by bit. */
function plainCrc32(bytes: readonly number[]): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 && 0xedb88320);
  }
  return ~sum >>> 0;
}

/** A plain reader of the index: of each block its offset, events and first time. */
async function plainIndex(file: Uint8Array): Promise<Array<[offset: number, events: number, time: number]>> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = file.length - HEAD_BYTES;
  expect(view.getUint32(end, true)).toBe(7);
  const at = Number(view.getBigUint64(end + 4, true));
  const blocks = view.getUint32(end + 12, true);
  const packed = file.subarray(at + HEAD_BYTES, at + HEAD_BYTES + view.getUint32(at + 12, true));
  const stream = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  let next = 0;
  const whole = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = content[next++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  let offset = 0;
  const offsets = Array.from({ length: blocks }, () => {
    offset += whole();
    return offset;
  });
  const events = Array.from({ length: blocks }, whole);
  const times = new DataView(content.buffer, next);
  return offsets.map((each, i) => [each, events[i], times.getFloat64(8 * i, true)]);
}

function index({ writeTrace, openTrace }: Api): void {
  it("says where each block begins, so that reading can begin there", async () => {
    const length = 2 * FRAME_EVENTS + 321;
    const cycle = Float64Array.of(7 * FRAME_EVENTS + 70);
    const gc = { length: 1, start: cycle, time: cycle, sweepEnd: cycle, heapLive: cycle, heapGoal: cycle };
    const want = longTrace(length, { format: "malloc", gc });
    const file = await collect(writeTrace(want));
    const blocks = await plainIndex(file);
    same(
      blocks.map(([, events, time]) => [events, time]),
      [
        [FRAME_EVENTS, 0],
        [FRAME_EVENTS, 7 * FRAME_EVENTS],
        [321, 14 * FRAME_EVENTS],
      ],
      "index",
    );
    const view = new DataView(file.buffer, file.byteOffset);
    // The second block begins with its cycle. Its events are in the frame after that.
    expect(blocks.map(([offset]) => view.getUint32(offset, true))).toEqual([1, 2, 1]);
    const header = file.subarray(0, blocks[0][0]);
    for (const [block, [start]] of blocks.entries()) {
      // A file of the header and this block alone.
      const stop = blocks[block + 1]?.[0] ?? Number(view.getBigUint64(file.length - 16, true));
      const alone = new Uint8Array([...header, ...file.subarray(start, stop)]);
      const first = block * FRAME_EVENTS;
      const read = async () => {
        for await (const got of await openTrace(alone)) {
          same([...got.time], [...want.time.subarray(first, first + got.length)], `times of block ${block}`);
          same([...got.base], [...want.base.subarray(first, first + got.length)], `bases of block ${block}`);
          same(got.length, blocks[block][1], `events of block ${block}`);
          same(got.gc?.length, block === 1 ? 1 : undefined, `cycles of block ${block}`);
        }
      };
      // All that is missing is the end.
      await expect(read()).rejects.toThrow(
        `byte ${alone.length}: the file is cut short: it has no end frame`,
      );
    }
  });
}

/** Where the index starts. */
function indexAt(file: Uint8Array): number {
  return Number(new DataView(file.buffer, file.byteOffset).getBigUint64(file.length - 16, true));
}

function wrongIndex({ writeTrace, readTrace }: Api): void {
  it("refuses an index of another file, and an end that is not where the index is", async () => {
    const events = (shift: number) => traceOf([0, 1, 2].map((i): Event => [i + shift, 0, 1, i, 1]));
    // Their first times are of one length, packed, whatever packs them.
    const file = await collect(writeTrace(events(100)));
    const others = await Promise.all(
      Array.from({ length: 50 }, (_, i) => collect(writeTrace(events(i + 101)))),
    );
    const swapped = (other: Uint8Array) =>
      new Uint8Array([...file.subarray(0, indexAt(file)), ...other.subarray(indexAt(other))]);
    const same = others.filter((other) => indexAt(other) === indexAt(file));
    const longer = await collect(writeTrace(longTrace(50)));
    expect(same.length).toBeGreaterThan(0);
    await expect(readTrace(swapped(same[0]))).rejects.toThrow(
      `byte ${indexAt(file)}: the frame cannot be: its entry for block 0 is not what the block has`,
    );
    const lost = new Uint8Array([...file.subarray(0, -HEAD_BYTES), ...longer.subarray(-HEAD_BYTES)]);
    await expect(readTrace(lost)).rejects.toThrow("the end does not say where the index of 1 blocks is");
  });
}

function refusals({ openTrace, readTrace, writeTrace }: Api): void {
  it("counts what its frames unpack to toward the limit, and names the byte of the frame", async () => {
    const file = await collect(
      writeTrace(traceOf(Array.from({ length: 200_000 }, (): Event => [5, 0, 3, 0, 1]))),
    );
    expect((await readTrace(file, { limit: 2 ** 20 })).length).toBe(200_000);
    expect(file.length).toBeLessThan(10_000);
    const refusal = /^byte (?!0:)\d+: the trace is longer than the limit of 300000 bytes/;
    await expect(readTrace(file, { limit: 300_000 })).rejects.toThrow(refusal);
    const reading = async () => {
      for await (const _ of await openTrace(file, { limit: 300_000 }));
    };
    await expect(reading()).rejects.toThrow(refusal);
  });

  it("gives many cycles in blocks without events", async () => {
    const column = Float64Array.from({ length: 600_000 }, (_, i) => i);
    const gc = {
      length: 600_000,
      start: column,
      time: column,
      sweepEnd: column,
      heapLive: column,
      heapGoal: column,
    };
    const file = await collect(writeTrace(traceOf([[1e9, 0, 3, 0, 1]], { gc })));
    const lengths: (number | undefined)[] = [];
    for await (const block of await openTrace(file)) lengths.push(block.gc?.length);
    expect(lengths).toEqual([2 ** 18, 2 ** 18, 600_000 - 2 ** 19]);
    same([...((await readTrace(file)).gc?.time ?? [])], [...column], "cycles");
  });

  const good: Event = [5, 0, 1, 4, 1];
  it.each<[string, Trace, string]>([
    ["a kind", traceOf([good, [6, 0, 7, 4, 1]]), "event 1, page 0x8000: kind must be 1 to 6, got 7"],
    ["no pages", traceOf([good, [6, 0, 1, 4, 0]]), "event 1, page 0x8000: 0 pages cannot lie here"],
    [
      "pages too high",
      traceOf([[6, 0, 1, 2 ** 35 - 1, 2]]),
      "event 0, page 0xffffffffe000: 2 pages cannot lie here",
    ],
    ["half a page", traceOf([[6, 0, 1, 0.5, 1]]), "event 0, page 0x1000: 1 pages cannot lie here"],
    [
      "time that goes back",
      traceOf([good, [4, 0, 1, 4, 1]]),
      "event 1, page 0x8000: times must be finite and ascend, got 4",
    ],
    [
      "time that is none",
      traceOf([[NaN, 0, 1, 4, 1]]),
      "event 0, page 0x8000: times must be finite and ascend, got NaN",
    ],
  ])("refuses to write %s", async (_, trace, message) => {
    const error = await collect(writeTrace(trace)).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "ERR_TRACE" });
    expect((error as Error).message).toContain(message);
  });

  it("refuses what is no trace, at once", () => {
    for (const none of [undefined, null, 3, "trace", {}]) {
      expect(() => writeTrace(none as unknown as Trace)).toThrow(/trace/);
    }
    expect(() => writeTrace(traceOf([], { pageSize: 100 }))).toThrow(/trace.pageSize must be a power of two/);
    expect(() => writeTrace(traceOf([], { format: "x".repeat(256) }))).toThrow(
      /trace.format must be at most 255 bytes/,
    );
  });
}

function pageTraces({ writePageTrace, readPageTrace, openTrace, writeTrace }: Api): void {
  it.each(RECORDED)("give %s back", async (name) => {
    const data = await unpackedTrace(name);
    const want = await readPageTrace(data);
    const got = await readPageTrace(await collect(writePageTrace(want)));
    sameEvents(got, want, name);
    expect(got.cutShort).toBeUndefined();
    const neutral = await openTrace(await collect(writeTrace(want)));
    sameEvents(await readPageTrace(await collect(writePageTrace(neutral))), want, "from blocks");
  });

  it("keep the order of events of the same time, whatever wrote them", async () => {
    const event = fc.tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: -1, max: 2 }),
      fc.integer({ min: 1, max: 3 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 60 }), async (events) => {
        let time = 2 ** 33 * 128;
        const want = traceOf(
          events.map(([step, proc, kind], i): Event => {
            time += [0, 128, 128 * 0xffff, 128 * 0x10000][step];
            return [time, proc, kind, 2 ** 35 - 5000 * (i + 1), i % 4 === 0 ? 1024 + i : 1 + i];
          }),
        );
        sameEvents(await readPageTrace(await collect(writePageTrace(want))), want, "trace");
      }),
      { numRuns: 200 },
    );
  });

  it("have times rounded down", async () => {
    const read = await readPageTrace(
      await collect(
        writePageTrace(
          traceOf([
            [127.5, 0, 1, 1, 1],
            [300, 0, 1, 2, 1],
          ]),
        ),
      ),
    );
    expect([...read.time]).toEqual([0, 256]);
  });

  it.each<[string, Trace, string]>([
    [
      "a kind",
      traceOf([[0, 0, 4, 1, 1]]),
      "event 0, page 0x2000: a page trace has allocs, frees and scavenges",
    ],
    [
      "a proc",
      traceOf([[0, -2, 1, 1, 1]]),
      "event 0, page 0x2000: a page trace has procs from -1, and this is of -2",
    ],
    ["a time", traceOf([[-1, 0, 1, 1, 1]]), "event 0, page 0x2000: a page trace has times from 0 to 2^60 ns"],
    [
      "a page size",
      traceOf([], { pageSize: 4096 }),
      "a page trace has pages of 8192 bytes, and this trace has pages of 4096",
    ],
  ])("refuse %s that they cannot express", async (_, trace, message) => {
    const write = async () => collect(writePageTrace(trace));
    const error = await write().catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "ERR_TRACE" });
    expect((error as Error).message).toContain(message);
  });
}
