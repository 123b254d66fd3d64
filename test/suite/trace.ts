// Reading page traces: every column against a plainer reader, and every way in which a file can be bad.
import { describe, expect, it } from "vitest";
import { loadFixture } from "../support/fixtures.ts";
import { same } from "../support/same.ts";
import type { Subject } from "../support/subject.ts";
import {
  ALLOC,
  alloc,
  buffersOf,
  event,
  FREE,
  file,
  free,
  goPage,
  gzip,
  type PlainEvent,
  plainEvents,
  proc,
  SCAVENGE,
  scavenge,
  timeBase,
  traceOf,
  unpackedTrace,
  WORD,
} from "../support/trace-words.ts";
import { traceSourceSuite } from "./trace-sources.ts";

type Trace = Awaited<ReturnType<Subject["trace"]["readPageTrace"]>>;

const RECORDED = ["go-link", "go-compile-runtime", "go1-json", "gofmt-std", "go-compile-types2-2procs"];
const INTERLEAVED = "several programs wrote into this file at once";
const NO_TRACE = "this is not a page trace";

export function traceSuite(subject: Subject): void {
  describe("reading page traces", () => {
    recordedTests(subject);
    orderTests(subject);
    fieldTests(subject);
    dataTests(subject);
    cutTests(subject);
    badTests(subject);
    cutShortTests(subject);
    traceSourceSuite(subject);
  });
}

/** The columns as objects, one an event. */
function rows(trace: Trace): PlainEvent[] {
  const offset = trace.offset as Float64Array;
  return Array.from({ length: trace.length }, (_, i) => ({
    time: trace.time[i],
    proc: trace.proc[i],
    kind: trace.kind[i],
    base: trace.base[i],
    npages: trace.npages[i],
    offset: offset[i],
  }));
}

function recordedTests({ trace }: Subject): void {
  it.each(RECORDED)("%s: every column is right, gzipped and plain", async (name) => {
    const data = await unpackedTrace(name);
    const want = plainEvents(data);
    for (const file of [data, await gzip(data)]) {
      const read = await trace.readPageTrace(file);
      same(read.length, want.length, "events");
      const got = rows(read);
      want.forEach((event, i) => {
        same(got[i], event, `event ${i}`);
      });
      for (const column of [read.time, read.proc, read.kind, read.base, read.npages]) {
        expect(column.length).toBe(want.length);
      }
    }
  });
}

function orderTests({ trace }: Subject): void {
  it("orders events of all Ps by time, then by file order", async () => {
    const read = await trace.readPageTrace(
      file(
        ...[proc(1), timeBase(100), alloc(goPage(0), 1, 5), alloc(goPage(1), 1, 5), alloc(goPage(2), 1, 9)],
        ...[proc(0), timeBase(101), alloc(goPage(3), 1, 0), alloc(goPage(4), 1, 4), alloc(goPage(5), 1, 8)],
        ...[proc(-1), timeBase(90), alloc(goPage(6), 1, 0), timeBase(105), alloc(goPage(7), 1, 0)],
        ...[proc(1), timeBase(105), alloc(goPage(8), 1, 0), alloc(goPage(9), 1, 100)],
      ),
    );
    const pages = Array.from(read.base, (base) => (base - goPage(0)) / 8192);
    expect(pages).toEqual([6, 3, 0, 1, 4, 7, 8, 2, 5, 9]);
    expect([...read.proc]).toEqual([-1, 0, 1, 1, 0, -1, 1, 1, 0, 1]);
    expect(read.time[0]).toBe(90 * 128);
    expect(read.time[9]).toBe(205 * 128);
  });

  it("orders any number of buffers", async () => {
    for (const buffers of [1, 2, 3, 4, 5, 7, 8, 9, 33]) {
      const words = Array.from({ length: buffers }, (_, b) => [
        ...[proc(b), timeBase(50)],
        ...[0, 1, 2, 3].flatMap((i) => alloc(goPage(b * 4 + i), 1, ((b * 7 + i * 13) % 40) + i * 40)),
      ]);
      const data = file(...words);
      same(rows(await trace.readPageTrace(data)), plainEvents(data), `${buffers} buffers`);
    }
  });

  it("accepts times that go back after one time base", async () => {
    const data = file(proc(0), timeBase(7), alloc(goPage(0), 1, 3), alloc(goPage(1), 1, 1));
    expect([...(await trace.readPageTrace(data)).base]).toEqual([goPage(1), goPage(0)]);
  });
}

function fieldTests({ trace }: Subject): void {
  it.each([
    { what: "the kinds", words: [alloc(8192, 1), free(8192, 1), scavenge(8192, 1)].flat() },
    { what: "the lowest page", words: alloc(0, 1) },
    { what: "the highest page", words: alloc(2 ** 48 - 8192, 1) },
    { what: "the longest time after a base", words: alloc(8192, 1, 0xffff) },
    { what: "the most pages in one word", words: alloc(8192, 1023) },
    { what: "the fewest pages in two words", words: alloc(8192, 1024) },
    { what: "few pages in two words", words: event(ALLOC, 8192, 1, 0, true) },
    { what: "all pages of the address space", words: alloc(0, 2 ** 35 - 1).with(1, 2n ** 32n - 1n) },
    {
      what: "a number of pages that looks like a sync word",
      words: [...alloc(8192, 2052), ...free(8192, 2052)],
    },
  ])("reads $what", async ({ words }) => {
    const data = file(proc(3), timeBase(12), words);
    same(rows(await trace.readPageTrace(data)), plainEvents(data), "events");
  });

  it.each([-1, 0, 1, 255, 2 ** 28, 2 ** 29 - 1, 2 ** 29, 2 ** 31 - 1])("reads P %i", async (id) => {
    const { proc: procs } = await trace.readPageTrace(file(proc(id), timeBase(1), alloc(8192, 1)));
    expect([...procs]).toEqual([id]);
  });

  it.each([0n, 2n ** 29n - 1n, 2n ** 29n, 2n ** 53n - 2n ** 16n - 1n])(
    "reads time base %i",
    async (ticks) => {
      const { time } = await trace.readPageTrace(file(proc(0), timeBase(ticks), alloc(8192, 1, 0xffff)));
      expect(BigInt(time[0])).toBe((ticks + 0xffffn) * 128n);
    },
  );

  it("numbers the kinds as documented", async () => {
    const { kind } = await trace.readPageTrace(traceOf(alloc(0, 1), free(0, 1), scavenge(0, 1)));
    expect([...kind]).toEqual([ALLOC, FREE, SCAVENGE]);
  });
}

function dataTests({ trace }: Subject): void {
  it("reads a view that starts anywhere and leaves it unchanged", async () => {
    const data = traceOf(alloc(goPage(0), 2000), free(goPage(0), 2000));
    const bytes = new Uint8Array(data.length + 3);
    bytes.set(data, 3);
    const before = bytes.slice();
    same(rows(await trace.readPageTrace(bytes.subarray(3))), plainEvents(data), "events");
    expect(bytes).toEqual(before);
  });

  it.runIf(typeof SharedArrayBuffer === "function")("reads shared memory", async () => {
    const data = traceOf(alloc(goPage(0), 2000));
    for (const content of [data, await gzip(data)]) {
      const shared = new Uint8Array(new SharedArrayBuffer(content.length));
      shared.set(content);
      same(rows(await trace.readPageTrace(shared)), plainEvents(data), "events");
    }
  });
}

/** Expects ERR_TRACE with a message that starts with the place and ends with the reason. */
async function expectBad(
  { trace, palloc }: Subject,
  data: Uint8Array,
  place: string,
  reason: string,
): Promise<void> {
  const error = await trace.readPageTrace(data).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(palloc.PageAllocError);
  const { code, message } = error as Error & { code: string };
  expect(code).toBe("ERR_TRACE");
  expect(message).toMatch(/^event \d+ at byte \d+, (page 0x|after page 0x|before any page)/);
  expect(message.slice(0, place.length)).toBe(place);
  expect(message.slice(place.length)).toContain(reason);
}

function cutTests(subject: Subject): void {
  const data = traceOf(alloc(goPage(0), 1), alloc(goPage(1), 2000), alloc(goPage(3000), 1));

  it("refuses a plain trace that ends within a word", async () => {
    for (let rest = 1; rest < WORD; rest++) {
      const place = `event 2 at byte 40, after page 0xc000002000: the trace is cut short: `;
      await expectBad(
        subject,
        data.subarray(0, 5 * WORD + rest),
        place,
        `its last word has ${rest} of 8 bytes`,
      );
    }
  });

  it("refuses a plain trace that ends within an event", async () => {
    const place = "event 1 at byte 24, page 0xc000002000: the trace is cut short: ";
    await expectBad(
      subject,
      data.subarray(0, 4 * WORD),
      place,
      "the word with the number of pages is missing",
    );
    await expectBad(
      subject,
      data.subarray(0, 4 * WORD + 7),
      place,
      "the word with the number of pages is missing",
    );
  });

  it("refuses a plain trace that ends with a sync word", async () => {
    const cut = "the trace is cut short: nothing follows its last sync word";
    await expectBad(subject, data.subarray(0, WORD), "event 0 at byte 8, before any page: ", cut);
    await expectBad(subject, data.subarray(0, 2 * WORD), "event 0 at byte 16, before any page: ", cut);
  });

  it("refuses a gzipped trace that is cut anywhere", async () => {
    const whole = await gzip(await unpackedTrace("go-link"));
    for (const length of [2, 3, 10, 11, 100, 5000, whole.length - 9, whole.length - 8, whole.length - 1]) {
      await expectBad(subject, whole.subarray(0, length), "event ", "the gzip data is cut short or damaged");
    }
  });

  it("refuses a gzipped trace with one byte changed", async () => {
    const whole = await gzip(await unpackedTrace("go-link"));
    for (const at of [3, 1000, 9000, whole.length - 8, whole.length - 1]) {
      const changed = whole.slice();
      changed[at] ^= 0x55;
      await expectBad(subject, changed, "event ", "");
    }
  });

  it("says how far a gzipped trace could be read", async () => {
    const unpacked = await unpackedTrace("gofmt-std");
    const whole = await gzip(unpacked);
    const message = await subject.trace.readPageTrace(whole.subarray(0, whole.length - 4)).catch(String);
    const [, event, byte, page] =
      /event (\d+) at byte (\d+), after page (0x\w+)/.exec(message as string) ?? [];
    const before = plainEvents(unpacked.subarray(0, Number(byte))).sort((a, b) => a.offset - b.offset);
    expect(before.length).toBe(Number(event));
    expect(before.length).toBeGreaterThan(100_000);
    expect(before.at(-1)?.base).toBe(Number(page));
  });
}

function badTests(subject: Subject): void {
  const start = [proc(0), timeBase(1000)];
  const events = [alloc(goPage(0), 1), alloc(goPage(1), 1)].flat();
  const ZERO = 0n;

  it.each([
    ["nothing", new Uint8Array(0)],
    ["a few bytes", new Uint8Array(7)],
    ["zeros", new Uint8Array(64)],
    ["text", new TextEncoder().encode("event,time,page\n".repeat(20))],
    [
      "an image",
      new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xd, 0xa, 0x1a, 0xa, 0, 0, 0, 0xd, 0x49, 0x48, 0x44, 0x52]),
    ],
    ["events without a P", file(timeBase(5), events)],
    ["events from the start", file(events)],
  ])("refuses what is not a trace: %s", async (_, data) => {
    await expectBad(subject, data, "event 0 at byte 0, before any page: ", NO_TRACE);
  });

  it("refuses what is not a trace: events before a time base", async () => {
    await expectBad(subject, file(proc(0), events), "event 0 at byte 8, before any page: ", NO_TRACE);
  });

  it.each([
    ["no pages in one word", event(ALLOC, goPage(1), 0)],
    ["no pages in two words", event(FREE, goPage(1), 0, 0, true)],
    ["more pages than lie above", alloc(goPage(1), 2 ** 35 - 0xc000 * 512)],
    ["more than 2^32 pages", [...alloc(goPage(1), 1024).slice(0, 1), 2n ** 32n + 1n]],
  ])("refuses a damaged trace: %s", async (_, words) => {
    const place = "event 1 at byte 24, page 0xc000002000: the event has ";
    await expectBad(subject, file(start, alloc(goPage(0), 1), words), place, "the trace is damaged");
  });

  it.each([-2, -(2 ** 31), 2 ** 31, 2 ** 32, -(2 ** 40)])("refuses a damaged trace: P %i", async (id) => {
    const place = "event 2 at byte 32, after page 0xc000002000: no P can have this id";
    await expectBad(subject, file(start, events, proc(id)), place, "the trace is damaged");
  });

  it.each([2n ** 53n, 2n ** 61n - 1n])("refuses a damaged trace: time base %i", async (ticks) => {
    const place = "event 2 at byte 32, after page 0xc000002000: the time is out of range";
    await expectBad(subject, file(start, events, timeBase(ticks)), place, "the trace is damaged");
  });

  it("refuses an interleaved trace: a time base that goes back", async () => {
    const place = "event 2 at byte 40, after page 0xc000002000: the time of P 0 goes back; ";
    await expectBad(subject, file(start, events, proc(0), timeBase(999), events), place, INTERLEAVED);
  });

  it("refuses an interleaved trace: a gap without data", async () => {
    const place = "event 2 at byte 32, after page 0xc000002000: the time of P 0 goes back; ";
    await expectBad(subject, file(start, events, ZERO, ZERO, start, events), place, INTERLEAVED);
    const early = file(proc(0), timeBase(0), events, ZERO, ZERO, start, events);
    await expectBad(
      subject,
      early,
      "event 2 at byte 40, after page 0xc000002000: a time base without",
      INTERLEAVED,
    );
  });

  it("accepts the same time again, and an earlier time of another P", async () => {
    const data = file(start, events, proc(0), timeBase(1000), events, proc(1), timeBase(3), events);
    expect((await subject.trace.readPageTrace(data)).length).toBe(6);
  });

  it("refuses an interleaved trace: a recorded one", async () => {
    const place = "event 4694 at byte 38272, after page 0xc000026000: ";
    await expectBad(subject, await loadFixture("traces/go-vet-interleaved.pt.gz"), place, INTERLEAVED);
  });
}

/** Files that end with an event, but not as Go ends them: what tells it. */
function cutShortTests({ trace: { readPageTrace } }: Subject): void {
  const cutShort = async (data: Uint8Array) => (await readPageTrace(data)).cutShort;
  const SEEMS_CUT = /^the file seems to be cut short, or its program was killed: /;
  const NOT_NO_P = /: it ends with events of P \d+; a whole file ends with events without a P$/;
  const NO_ENDS = /: the last buffers of its Ps are missing$/;

  /** A buffer of so many words, whose events are of one. */
  const buffer = (id: number, words: number, ticks = 1000) => [
    ...[proc(id), timeBase(ticks)],
    ...Array.from({ length: words - 2 }, (_, i) => alloc(goPage(i), 1, i)).flat(),
  ];
  const noP = buffer(-1, 20, 1);

  it.each(RECORDED)(
    "cutShort, %s: is unset for the whole file, and set for a file that ends with a P's buffer",
    async (name) => {
      const data = await unpackedTrace(name);
      expect(await cutShort(data)).toBeUndefined();
      expect("cutShort" in (await readPageTrace(data))).toBe(false);
      const buffers = buffersOf(data);
      let end = 0;
      for (const { length } of buffers.slice(0, -1)) {
        // After the buffer's first event, in the middle, before its last, and after it: no event here has two words.
        for (const words of [3, Math.floor(length / WORD / 2), length / WORD - 1, length / WORD]) {
          const cut = data.subarray(0, end + words * WORD);
          const seen = await cutShort(cut).catch(() => "a time base is the last word");
          expect(seen, `${words} words of ${length / WORD} at ${end}`).toMatch(
            /a time base|seems to be cut short/,
          );
        }
        end += length;
      }
    },
  );

  it("cutShort is unset for a cut within the last buffer, which looks complete", async () => {
    const data = await unpackedTrace("go-link");
    expect(await cutShort(data.subarray(0, -WORD))).toBeUndefined();
  });

  it("cutShort names the P", async () => {
    const cut = await cutShort(file(buffer(0, 4096), noP, buffer(7, 12)));
    expect(cut).toMatch(SEEMS_CUT);
    expect(cut).toMatch(NOT_NO_P);
    expect(cut).toContain(" P 7;");
  });

  it.each([4096, 4095])("cutShort is set if every P has only full buffers, of %i words", async (words) => {
    const cut = await cutShort(file(buffer(0, words), buffer(3, words), noP));
    expect(cut).toMatch(SEEMS_CUT);
    expect(cut).toMatch(NO_ENDS);
  });

  it("cutShort is set if there is no P", async () => {
    expect(await cutShort(file(noP))).toMatch(NO_ENDS);
  });

  it("cutShort is unset if a P ends with a buffer that is not full", async () => {
    expect(await cutShort(file(buffer(0, 4094), noP))).toBeUndefined();
    expect(await cutShort(file(buffer(0, 4096), buffer(0, 3, 9000), buffer(1, 4096), noP))).toBeUndefined();
  });

  it("cutShort counts both words of a large event", async () => {
    const large = alloc(goPage(9000), 2000, 5000);
    expect(await cutShort(file(buffer(0, 4093), large, noP))).toMatch(NO_ENDS);
    expect(await cutShort(file(buffer(0, 4092), large, noP))).toBeUndefined();
  });

  it("cutShort is the same for blocks", async () => {
    const data = file(buffer(0, 4096), noP);
    expect((await readPageTrace(new Blob([data as BlobPart]))).cutShort).toMatch(NO_ENDS);
  });
}
