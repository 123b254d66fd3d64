// Go execution traces: every column of recorded ones against a plainer reader, and made ones for what is rare.
import { describe, expect, it } from "vitest";
import {
  alloc,
  END,
  event,
  events,
  file,
  fileOf,
  free,
  frequency,
  info,
  kindOf,
  MIN,
  PAGE,
  plainEvents,
  procStart,
  procStatus,
  procStop,
  span,
  start,
  strings,
  sync,
} from "../../support/exec-trace.ts";
import { loadFixture } from "../../support/fixtures.ts";
import { Random } from "../../support/random.ts";
import { same } from "../../support/same.ts";
import type { Subject } from "../../support/subject.ts";
import { changeEverywhere, cutEverywhere } from "../../support/trace-fuzz.ts";

type Trace = Awaited<ReturnType<Subject["trace"]["readTrace"]>>;
type Row = [kind: number, page: number, npages: number, time: number, proc: number];

const [ALLOC, FREE, EXISTS, GROW] = [1, 2, 4, 5];
const RECORDED = [
  ["go1.24-prog-1p", 4582],
  ["go1.27-prog-1p", 4605],
] as const;
/** Ns per tick. */
const TICK = 64;

export function goExecSuite(subject: Subject): void {
  describe("Go execution traces", () => {
    recordedTests(subject);
    formTests(subject);
    repairTests(subject);
    growTests(subject);
    gcTests(subject);
    objectTests(subject);
    refusalTests(subject);
    fuzzTests(subject);
  });
}

/** The events, with pages counted from MIN and times in ticks. */
function rows({ length, kind, base, npages, time, proc }: Trace): Row[] {
  const row = (i: number): Row => [kind[i], (base[i] - MIN) / PAGE, npages[i], time[i] / TICK, proc[i]];
  return Array.from({ length }, (_, i) => row(i));
}

async function recording(name: string): Promise<Uint8Array> {
  const data = await loadFixture(`traces/go-exec/${name}.trace.gz`);
  if (data[0] !== 0x1f) return data;
  const stream = new Blob([data as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What the file has in its first info batch: the address that ids count from. */
const HEAPS = { "go1.24-prog-1p": 824633720832, "go1.27-prog-1p": 57422462844928 };

function recordedTests({ trace: { openTrace, readTrace } }: Subject): void {
  it.each(RECORDED)("%s: every column is right", async (name, allocs) => {
    const data = await recording(name);
    const read = await readTrace(data);
    expect([read.format, read.pageSize, read.cutShort]).toEqual(["go-exec", PAGE, undefined]);
    const plain = plainEvents(data);
    const pages = plain.filter(({ type }) => type >= 128 && type <= 130);
    const min = BigInt(HEAPS[name]);
    const baseOf = ({ numbers }: { numbers: bigint[] }) => Number(min + numbers[1] * 8192n);
    const existing = pages.filter(({ type }) => type === 128).sort((a, b) => baseOf(a) - baseOf(b));
    const later = pages.filter(({ type }) => type !== 128);
    same(read.length, 1 + pages.length, "events");
    same([read.kind[0], read.base[0]], [GROW, Math.min(...pages.map(baseOf))], "growth");
    const live = new Map<number, number>();
    [...existing, ...later].forEach((event, index) => {
      const i = index + 1;
      const base = baseOf(event);
      const isFree = event.type === 130;
      const npages = isFree ? live.get(base) : Number(event.numbers[2]);
      live.set(base, npages as number);
      const kind = { 128: EXISTS, 129: ALLOC, 130: FREE }[event.type];
      const got = [read.kind[i], read.base[i], read.npages[i], read.offset?.[i]];
      same(got, [kind, base, npages, event.offset], `event ${i}`);
      if (kind === EXISTS) same([read.time[i], read.proc[i]], [read.time[0], -1], `event ${i}`);
      else same([read.time[i], read.proc[i]], [Number(event.time) * TICK, event.proc], `event ${i}`);
    });
    same(read.kind.filter((kind) => kind === ALLOC).length, allocs, "allocs");
    expect(read.time[0]).toBeLessThanOrEqual(Number(plain[0].time) * TICK);
  });

  it.each(RECORDED)("%s: blocks, a stream and gzip give the same", async (name) => {
    const data = await recording(name);
    const want = await readTrace(data, { objects: true });
    const blob = new Blob([data as BlobPart]);
    const stream = await readTrace(blob.stream(), { objects: true });
    same(columns(stream), columns(want), "a stream");
    const opened = await openTrace(blob, { objects: true });
    expect([opened.format, opened.pageSize]).toEqual(["go-exec", PAGE]);
    const blocks: Trace[] = [];
    for await (const block of opened) blocks.push(block);
    same(blocks.flatMap(rows), rows(want), "blocks");
    same(columns(blocks.at(-1)?.objects), columns(want.objects), "objects");
  });

  it.each(RECORDED)("%s: the collector's cycles are plausible", async (name) => {
    const data = await recording(name);
    const { gc } = await readTrace(data);
    if (!gc) throw new Error("no cycles");
    const plain = plainEvents(data);
    const times = (type: number) => plain.filter((e) => e.type === type).map((e) => Number(e.time) * TICK);
    same([...gc.start], times(29), "starts");
    same([...gc.time], times(30), "ends");
    const sweeps = times(33);
    gc.time.forEach((time, i) => {
      const isNext = (sweep: number) => sweep >= time && !(sweep > gc.start[i + 1]);
      same(gc.sweepEnd[i], sweeps.filter(isNext).at(-1) ?? Number.NaN, `end of sweeping ${i}`);
    });
    for (let i = 0; i < gc.length; i++) {
      expect(gc.start[i]).toBeLessThan(gc.time[i]);
      if (i > 0) expect(gc.start[i]).toBeGreaterThan(gc.time[i - 1]);
      expect(gc.heapGoal[i]).toBeGreaterThan(gc.heapLive[i]);
      expect(gc.heapLive[i]).toBeGreaterThan(0);
    }
  });

  it.each(RECORDED)("%s: each object lies in a span of a known size", async (name) => {
    const data = await recording(name);
    const { objects } = await readTrace(data, { objects: true });
    if (!objects) throw new Error("no objects");
    const plain = plainEvents(data);
    const count = (type: number) => plain.filter((e) => e.type === type).length;
    const sum = (column: Float64Array) => column.reduce((a, b) => a + b, 0);
    same([objects.existing, objects.allocs, objects.frees].map(sum), [131, 132, 133].map(count), "objects");
    same(
      [...objects.size],
      [...objects.size].sort((a, b) => a - b),
      "sizes",
    );
    expect((await readTrace(data)).objects).toBeUndefined();
  });
}

/** All numbers of a trace, for comparison. */
const columns = (trace: object | undefined): unknown =>
  Object.entries(trace ?? {}).map(([name, value]) => [
    name,
    ArrayBuffer.isView(value) ? [...(value as never)] : value,
  ]);

function formTests({ trace: { readTrace } }: Subject): void {
  const batches = [
    events(1, 7, 100, procStatus(1, 3, 1), span(1, 2, 2), span(1, 0), alloc(10, 5), procStop(1), alloc(1, 6)),
    events(1, 8, 105, procStart(1, 4), alloc(1, 9), free(100, 5)),
    events(1, 7, 130, procStart(0, 1), free(1, 9)),
  ];
  const want: Row[] = [
    [GROW, 0, 512, 100, -1],
    [EXISTS, 0, 1, 100, -1],
    [EXISTS, 2, 2, 100, -1],
    [ALLOC, 9, 1, 107, 4],
    [ALLOC, 5, 1, 113, 3],
    [ALLOC, 6, 1, 115, -1],
    [FREE, 9, 1, 131, 1],
    [FREE, 5, 1, 207, 4],
  ];

  it.each([23, 25, 26])("reads the form of Go 1.%i: several Ms, whose Ps come and go", async (minor) => {
    const read = await readTrace(fileOf(minor, ...batches));
    same(rows(read), want, "events");
    expect(read.cutShort).toBeUndefined();
  });

  it.each([true, false])(
    "reads generations; Ps are forgotten, time never goes back (marked: %s)",
    async (marked) => {
      const end = marked ? END : [];
      const read = await readTrace(
        file(
          ...[start(26), sync(1), info(), events(1, 7, 100, procStart(0, 2), alloc(1, 0), alloc(9, 1)), end],
          ...[
            sync(2),
            events(2, 7, 105, alloc(0, 2), procStart(9, 2), free(1, 0), span(1, 1), span(1, 5)),
            end,
          ],
        ),
      );
      same(
        rows(read),
        [
          [GROW, 0, 512, 100, -1],
          [ALLOC, 0, 1, 101, 2],
          [ALLOC, 1, 1, 110, 2],
          [ALLOC, 2, 1, 110, -1],
          [FREE, 0, 1, 115, 2],
          [EXISTS, 5, 1, 117, -1],
        ],
        "events",
      );
      same(read.cutShort === undefined, marked, "cut short");
    },
  );

  it("reads ids that have wrapped around below the heap's address", async () => {
    const below = (2n ** 64n - 3n * 8192n) / 8192n;
    const data = fileOf(23, events(1, 7, 100, span(1, below), alloc(1, 4)));
    same(
      rows(await readTrace(data)).slice(0, 2),
      [
        [GROW, -3, 515 - 512, 100, -1],
        [EXISTS, -3, 1, 100, -1],
      ],
      "events",
    );
  });

  it("reads each generation by its own frequency, whose unit may be no whole number of ns", async () => {
    const data = fileOf(23, events(1, 7, 100, alloc(200, 4)));
    const slow = file(start(23), info(), events(1, 7, 100, alloc(200, 4)), frequency(1, 3), strings());
    expect((await readTrace(data)).time[1]).toBe(300 * TICK);
    expect((await readTrace(slow)).time[1]).toBeCloseTo(100e9, 0);
  });

  it.each([
    [23, fileOf(23, ...batches).length - strings().length],
    [25, fileOf(25, ...batches).length - strings().length],
    [26, fileOf(26, ...batches).length - 1],
  ])("says that a trace of Go 1.%i is cut short if its last generation has no end", async (minor, length) => {
    const { cutShort } = await readTrace(fileOf(minor, ...batches).subarray(0, length));
    expect(cutShort).toContain("its last generation has no end");
  });
}

function repairTests({ trace: { readTrace } }: Subject): void {
  const read = async (...list: number[][]) =>
    rows(await readTrace(fileOf(23, events(1, 7, 100, procStart(0, 1), ...list)))).slice(1);

  it("an alloc frees all that it overlaps, at its time and by its P", async () => {
    const got = await read(span(1, 0, 4), alloc(1, 4, 2), alloc(1, 8, 1), alloc(1, 3, 4), free(1, 0));
    const freed = [
      [FREE, 0, 4, 104, 1],
      [FREE, 4, 2, 104, 1],
    ];
    same(got.slice(3), [...freed, [ALLOC, 3, 4, 104, 1]], "events");
  });

  it("frees of spans that are unknown, or in the middle of one, are passed over", async () => {
    const got = await read(alloc(1, 0, 4), free(1, 2), free(1, 9), free(1, 0), free(1, 0));
    same(
      got,
      [
        [ALLOC, 0, 4, 101, 1],
        [FREE, 0, 4, 104, 1],
      ],
      "events",
    );
  });

  it("keeps thousands of spans apart, in any order", async () => {
    const ids = Array.from({ length: 3000 }, (_, i) => (i * 1009) % 3000);
    const got = await read(...ids.map((id) => alloc(1, 2 * id)), ...ids.map((id) => free(1, 2 * id)));
    same(
      got.map(([kind, page]) => [kind, page]),
      [ALLOC, FREE].flatMap((kind) => ids.map((id) => [kind, 2 * id])),
      "events",
    );
  });
}

function growTests({ trace: { readTrace } }: Subject): void {
  const growths = async (...list: number[][]) =>
    rows(await readTrace(fileOf(23, events(1, 7, 100, ...list))))
      .filter(([kind]) => kind === GROW)
      .map(([, ...at]) => at.slice(0, 2));

  it("the heap grows from the lowest page of all to the end of the highest chunk with an existing span", async () => {
    expect(await growths(span(1, 600), alloc(1, 3000), alloc(1, 7))).toEqual([[7, 1024 - 7]]);
    expect(await growths(alloc(1, 600))).toEqual([[600, 1024 - 600]]);
    expect(await growths(span(1, 511, 2), free(1, 3))).toEqual([[3, 1024 - 3]]);
    expect(await growths()).toEqual([]);
  });

  it("spans more than 64 GiB apart get the chunks around them", async () => {
    const far = 2 ** 23;
    expect(await growths(span(1, 1), span(1, far - 1))).toEqual([[1, far - 1]]);
    expect(await growths(span(1, 1), span(1, far + 600, 600), span(1, far + 1300))).toEqual([
      [1, 511],
      [far + 512, 1024],
    ]);
  });
}

function gcTests({ trace: { readTrace } }: Subject): void {
  it("puts cycles together, and leaves out what was not marked", async () => {
    const data = fileOf(
      23,
      events(
        ...([1, 7, 100] as const),
        ...[event(30, 1, 1), event(37, 1, 500), event(38, 1, 900), event(33, 1, 0, 0)],
        ...[event(29, 1, 2, 0), event(37, 1, 700), event(30, 1, 3), event(38, 1, 1400), event(38, 1, 9)],
        ...[
          event(33, 1, 0, 0),
          event(33, 1, 0, 0),
          event(29, 5, 4, 0),
          event(30, 5, 5),
          event(38, 0, 0),
          event(29, 5, 6, 0),
        ],
      ),
    );
    const { gc } = await readTrace(data);
    const ticks = (column?: Float64Array) => Array.from(column ?? [], (time) => time / TICK);
    expect(ticks(gc?.start)).toEqual([Number.NaN, 105, 116]);
    expect(ticks(gc?.time)).toEqual([101, 107, 121]);
    expect(ticks(gc?.sweepEnd)).toEqual([104, 111, Number.NaN]);
    expect([...(gc?.heapLive ?? [])]).toEqual([500, 700, 700]);
    expect([...(gc?.heapGoal ?? [])]).toEqual([900, 1400, Infinity]);
  });

  it.each([1, 2, 3, 4, 5])(
    "finds the cycles of several Ms, whose events interleave, seed %i",
    async (seed) => {
      const random = new Random(seed);
      const list: Array<[time: number, type: number, value: number]> = [];
      for (let time = 1; time < 1500; time++) {
        const type = random.oneIn(20) ? (Math.floor(time / 20) % 2 === 0 ? 29 : 30) : 0;
        list.push([time, type || [33, 37, 38][random.below(3)], random.below(2 ** 20)]);
      }
      const first = list.findIndex(([, type]) => type === 29);
      const all = list.slice(Math.max(0, first));
      const ofM = all.map(() => random.below(3));
      const batches = [0, 1, 2].map((m) => {
        let now = 0;
        const own = all.filter((_, i) => ofM[i] === m);
        const data = own.map(([time, type, value]) => {
          const ticks = time - now;
          now = time;
          return event(type, ticks, value, ...(type === 29 || type === 33 ? [0] : []));
        });
        return events(1, m, 0, ...data);
      });
      const { gc } = await readTrace(fileOf(23, ...batches));
      if (!gc) throw new Error("no cycles");
      const got = Array.from(gc.start, (start, i) =>
        [start / TICK, gc.time[i] / TICK, gc.sweepEnd[i] / TICK].concat(gc.heapLive[i], gc.heapGoal[i]),
      );
      same(got, plainCycles(all), "cycles");
    },
  );
}

/** The cycles that events give, one after the other: begin, end, end of sweeping, live bytes, goal. */
function plainCycles(list: ReadonlyArray<readonly [time: number, type: number, value: number]>): number[][] {
  const cycles: number[][] = [];
  let current: number[] | undefined;
  let live = Number.NaN;
  for (const [time, type, value] of list) {
    if (type === 29) current = undefined;
    if (type === 37) live = value;
    if (type === 29) cycles.push([time, Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    if (type === 30) {
      current = cycles.at(-1) as number[];
      [current[1], current[3]] = [time, live];
    } else if (!current) continue;
    else if (type === 33) current[2] = time;
    else if (type === 37 && Number.isNaN(current[3])) current[3] = value;
    else if (type === 38 && Number.isNaN(current[4])) current[4] = value;
  }
  return cycles.filter((cycle) => !Number.isNaN(cycle[1]));
}

function objectTests({ trace: { readTrace } }: Subject): void {
  it("counts objects by the size class of their span at the time", async () => {
    const at = (page: number, byte: number) => (page * PAGE + byte) / 8;
    const data = fileOf(
      23,
      events(
        ...([1, 7, 100] as const),
        ...[
          span(1, 0, 1, kindOf(5)),
          span(1, 1, 1, 1),
          event(131, 1, at(0, 48), 1),
          event(131, 1, at(1, 0), 1),
        ],
        ...[alloc(1, 2, 3, kindOf(0)), event(132, 1, at(2, 0), 1), event(133, 1, at(2, 0)), free(1, 2)],
        ...[event(133, 1, at(2, 0)), alloc(1, 2, 1, kindOf(67) + 2), event(132, 1, at(2, 0), 1)],
      ),
    );
    const { objects } = await readTrace(data, { objects: true });
    expect([...(objects?.size ?? [])]).toEqual([48, 3 * PAGE, 32768]);
    expect([...(objects?.existing ?? [])]).toEqual([1, 0, 0]);
    expect([...(objects?.allocs ?? [])]).toEqual([0, 1, 1]);
    expect([...(objects?.frees ?? [])]).toEqual([0, 1, 0]);
  });
}

function refusalTests({ palloc: { PageAllocError }, trace: { openTrace, readTrace } }: Subject): void {
  const noPages =
    "byte 0: this is a Go execution trace without page events; " +
    "record one by GODEBUG=traceallocfree=1 go test -trace=FILE, with Go 1.23 or later";
  const damaged = "; the trace is damaged";
  const head = 16 + info().length;
  const made = (...list: number[][]) => fileOf(23, events(1, 7, 100, ...list));

  const readBlocks = async (data: Uint8Array) => {
    for await (const block of await openTrace(data)) expect(block.format).toBe("go-exec");
  };

  it.each([
    ["version 1.22", file(start(22), frequency(), strings()), noPages],
    ["no experiment", file(start(23), events(1, 7, 100, procStart(1, 2)), frequency()), noPages],
    ["no batches", file(start(23)), noPages],
    [
      "a later version",
      file(start(29)),
      "byte 0: this is a Go execution trace of version 1.29; versions 1.23, 1.25, 1.26 can be read",
    ],
    [
      "an unknown event",
      made([99, 1]),
      `byte ${head + 5}: events of type 99 are unknown${damaged}, or of a later version of Go`,
    ],
    [
      "an unknown batch",
      file(start(23), info(), [77]),
      `byte ${head}: there is a 77 where a batch should start; batches start with 1, 49 or 52${damaged}`,
    ],
    [
      "a huge batch",
      file(start(23), [1, 1, 1, 1, 0x81, 0x80, 0x80, 8]),
      `byte 20: a batch's size is 16777217, must be below 16777217${damaged}`,
    ],
    ["an event that is too long", made([130, 1]), `byte ${head + 7}: an event exceeds its batch${damaged}`],
    [
      "a P of a number that is too high",
      made(procStart(0, 65_535), procStart(0, 65_536)),
      `byte ${head + 11}: no P can have the id 65536, as ids are below 65536${damaged}`,
    ],
    [
      "no pages",
      made(alloc(1, 4, 0)),
      `byte ${head + 5}: a span of 0 pages cannot lie at ${MIN + 4 * PAGE}; spans lie between 0 and 2^48${damaged}`,
    ],
    [
      "no frequency",
      file(start(23), info(), strings()),
      `byte ${head + strings().length}: the trace is cut short: the frequency of its clock is missing`,
    ],
    [
      "generations that go back",
      file(start(26), sync(2), info(2), END, sync(1)),
      `byte ${16 + sync().length + info().length + 1}: generation 1 follows generation 2; they must ascend${damaged}`,
    ],
    [
      "an end without a generation",
      file(start(26), END),
      `byte 16: a generation ends that has not begun${damaged}`,
    ],
    [
      "pages before the info",
      file(start(23), events(1, 7, 9, alloc(1, 2))),
      `byte 21: an event of a page comes before the address that it counts from${damaged}`,
    ],
    [
      "a wrong page size",
      file(start(23), info(1, MIN, 8191)),
      `byte 16: the page size is 8191, must be a power of two from 1024 to 1048576${damaged}`,
    ],
    [
      "a cut",
      made(alloc(1, 2)).subarray(0, head + 7),
      `byte ${head + 7}: the trace is cut short in the batch at byte ${head}, which has 5 bytes of data`,
    ],
  ])("%s is refused", async (_, data, message) => {
    for (const call of [readTrace, readBlocks]) {
      const error = await call(data).catch((error) => error);
      expect(error).toBeInstanceOf(PageAllocError);
      expect([error.code, error.message]).toEqual(["ERR_TRACE", message]);
    }
  });

  it("a stream is refused in blocks, which are read twice", async () => {
    const stream = new Blob([made(alloc(1, 2)) as BlobPart]).stream();
    const error = await openTrace(stream).catch((error) => error);
    expect(error.code).toBe("ERR_TRACE");
    expect(error.message).toBe(
      "byte 0: a Go execution trace in blocks is read twice, and a stream cannot be; give a Uint8Array or a Blob " +
        "(fs.openAsBlob in Node), or write the stream to a file first",
    );
  });
}

function fuzzTests({ trace: { readTrace } }: Subject): void {
  const data = file(
    ...[start(26), sync(1), info()],
    events(1, 7, 100, procStart(1, 2), span(1, 3, 2), alloc(1, 9), event(132, 1, 9216, 1), free(200, 9)),
    ...[
      strings(),
      END,
      sync(2),
      events(2, 8, 400, alloc(1, 9, 300), event(29, 1, 2, 3), event(30, 1, 2)),
      END,
    ],
  );

  it("reads or refuses it cut anywhere", async () => {
    await cutEverywhere(readTrace, data, { format: "go-exec", objects: true });
  });

  it("reads or refuses it with any byte changed", async () => {
    for (const seed of [1, 2, 3])
      await changeEverywhere(readTrace, data, { format: "go-exec", objects: true }, seed);
  });
}
