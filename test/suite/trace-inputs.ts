// How readTrace and openTrace take their bytes: sources of every kind, packed or not, watched, stopped and limited.
import { describe, expect, it } from "vitest";
import { loadFixture } from "../support/fixtures.ts";
import type { Subject } from "../support/subject.ts";
import {
  alloc,
  endlessGzip,
  goPage,
  gzip,
  inBlocks,
  traceOf,
  unpackedTrace,
} from "../support/trace-words.ts";

type Source = Parameters<Subject["trace"]["readTrace"]>[0];

const TRACE = traceOf(...Array.from({ length: 1500 }, (_, i) => alloc(goPage(3 * i), 1 + (i % 3))));
/** A trace of one event, packed by zstd: it unpacks to 24 bytes. */
const SMALL_ZSTD = Uint8Array.from(atob("KLUv/SQYpQAAYAQACAAJAAAAwAAAAAIAYOABYAHwyfHz"), (char) =>
  char.charCodeAt(0),
);

/** The bytes from every kind of source. */
const KINDS: Record<string, (data: Uint8Array, size: number) => Source> = {
  "an array": (data) => data,
  "a Blob": (data) => new Blob([data as BlobPart]),
  "an async iterable": inBlocks,
  "a stream": (data, size) => {
    const blocks = inBlocks(data, size);
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await blocks.next();
        if (done) controller.close();
        else controller.enqueue(value.slice());
      },
    });
  },
};

/** A source that gives the data in blocks, then waits forever. It counts how often it is closed. */
function hanging(data: Uint8Array) {
  const seen = { asked: 0, closed: 0, ask: () => {} };
  const parts = data.length > 0 ? [data] : [];
  const source: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        seen.asked++;
        seen.ask();
        const value = parts.shift();
        return value ? { done: false, value } : new Promise<never>(() => {});
      },
      async return() {
        seen.closed++;
        return { done: true, value: undefined };
      },
    }),
  };
  return { source, seen };
}

export function traceInputSuite({ palloc: { PageAllocError }, trace }: Subject): void {
  const { readTrace, openTrace, readPageTrace } = trace;

  async function readBlocks(source: Source, options?: Parameters<typeof openTrace>[1]): Promise<number> {
    let length = 0;
    for await (const block of await openTrace(source, options)) length += block.length;
    return length;
  }

  async function errorOf(reading: Promise<unknown>): Promise<Error & { code?: string }> {
    return reading.then(
      () => expect.fail("it should have been refused"),
      (error) => error,
    );
  }

  describe("readTrace and openTrace", () => {
    describe.each(Object.entries(KINDS))("from %s", (_, sourceOf) => {
      it.each([1, 7, 4096, 100_000])("in blocks of %i bytes, plain and gzip", async (size) => {
        const want = await readPageTrace(TRACE);
        for (const file of [TRACE, await gzip(TRACE)]) {
          const got = await readTrace(sourceOf(file, size));
          expect(got).toEqual({ format: "go-page-trace", pageSize: 8192, ...want });
          expect(await readBlocks(sourceOf(file, size))).toBe(want.length);
        }
      });

      it.each([1, 1000, 1_000_000])("in blocks of %i bytes, zstd", async (size) => {
        const file = await loadFixture("traces/go-link.pt.zst");
        const want = await readPageTrace(await unpackedTrace("go-link"));
        expect(await readTrace(sourceOf(file, size))).toEqual({
          format: "go-page-trace",
          pageSize: 8192,
          ...want,
        });
        expect(await readPageTrace(sourceOf(file, size))).toEqual(want);
        expect(await readBlocks(sourceOf(file, size))).toBe(want.length);
      });

      it("progress ascends and ends at the total", async () => {
        const isStream = !["an array", "a Blob"].some((kind) => KINDS[kind] === sourceOf);
        const zstd = await loadFixture("traces/go-link.pt.zst");
        for (const file of [TRACE, await gzip(TRACE), zstd]) {
          for (const [read, passes] of [[readTrace, 1] as const, [readBlocks, isStream ? 1 : 2] as const]) {
            const seen: number[] = [];
            const totals = new Set<number | undefined>();
            await read(sourceOf(file, 500), {
              onProgress(done, total) {
                seen.push(done);
                totals.add(total);
              },
            });
            expect([...totals]).toEqual([isStream ? undefined : passes * file.length]);
            expect(seen.every((done, i) => i === 0 || done > seen[i - 1])).toBe(true);
            expect(seen.at(-1)).toBe(passes * file.length);
          }
        }
      });
    });

    it("an array may be changed or transferred right after the call", async () => {
      const zstd = await loadFixture("traces/go-link.pt.zst");
      for (const file of [TRACE, await gzip(TRACE), zstd]) {
        const want = await readTrace(file);
        const changed = file.slice();
        const reading = readTrace(changed);
        changed.fill(0);
        expect(await reading).toEqual(want);
        const moved = file.slice();
        const opening = readBlocks(moved);
        structuredClone(moved.buffer, { transfer: [moved.buffer] });
        expect(await opening).toBe(want.length);
      }
    });

    it("a block may be reused once openTrace has returned", async () => {
      const block = TRACE.slice();
      async function* blocks() {
        yield block;
      }
      const stream = await openTrace(blocks());
      block.fill(0);
      let length = 0;
      for await (const part of stream) length += part.length;
      expect(length).toBe(1500);
    });
  });

  describe("damaged zstd data is refused, and the byte is named", () => {
    it("cut anywhere, or with a byte changed", async () => {
      for (let length = 5; length < SMALL_ZSTD.length; length++) {
        const error = await errorOf(readTrace(SMALL_ZSTD.slice(0, length)));
        expect(error.code, `cut after ${length}`).toBe("ERR_TRACE");
        expect(error.message).toMatch(/^byte \d+: the zstd data is cut short or damaged \(/);
        expect((await errorOf(readPageTrace(SMALL_ZSTD.slice(0, length)))).message).toContain(
          "the zstd data is",
        );
      }
      for (let at = 4; at < SMALL_ZSTD.length; at++) {
        const changed = SMALL_ZSTD.slice();
        changed[at] ^= 0x41;
        expect((await errorOf(readTrace(changed))).code, `byte ${at}`).toBe("ERR_TRACE");
      }
    });

    it("cut in a large file, and between two frames", async () => {
      const file = await loadFixture("traces/go-link.pt.zst");
      for (let length = 100; length < file.length; length += 997) {
        const error = await errorOf(readTrace(file.subarray(0, length)));
        expect(error.code, `cut after ${length}`).toBe("ERR_TRACE");
      }
    });

    it.each([
      ["a wrong checksum", [...SMALL_ZSTD.slice(0, -1), 0], "its checksum is wrong"],
      ["what is not zstd behind it", [...SMALL_ZSTD, 1, 2, 3, 4, 5], "what follows is not zstd"],
      ["a window above 128 MiB", [0x28, 0xb5, 0x2f, 0xfd, 0, 0x98, 1, 0, 0], "larger than 128 MiB"],
      ["a dictionary", [0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 1, 1, 0, 0], "needs a dictionary"],
    ])("%s", async (_, bytes, reason) => {
      expect((await errorOf(readTrace(Uint8Array.from(bytes)))).message).toContain(reason);
    });
  });

  describe("damage in the first bytes of gzip data", () => {
    it("is ERR_TRACE that names the byte", async () => {
      const packed = await gzip(TRACE);
      for (const length of [2, 10, 12, 40]) {
        const error = await errorOf(readTrace(packed.slice(0, length)));
        expect(error).toBeInstanceOf(PageAllocError);
        expect(error.message).toMatch(/^byte \d+: the gzip data is cut short or damaged/);
      }
    });
  });

  describe("the limit", () => {
    it("counts unpacked bytes", async () => {
      const zstd = await loadFixture("traces/go-link.pt.zst");
      const link = await unpackedTrace("go-link");
      for (const [file, length] of [
        [TRACE, TRACE.length],
        [await gzip(TRACE), TRACE.length],
        [zstd, link.length],
      ] as const) {
        expect((await readTrace(file, { limit: length })).length).toBeGreaterThan(0);
        for (const limit of [0, 100, length - 1]) {
          for (const read of [readTrace, readBlocks]) {
            const error = await errorOf(read(file, { limit }));
            expect(error.code).toBe("ERR_TRACE");
            expect(error.message).toContain(
              `byte ${limit}: the trace is longer than the limit of ${limit} bytes`,
            );
          }
        }
      }
    });

    it("ends what has no end, and closes it", async () => {
      const blocks = endlessGzip(TRACE);
      expect((await errorOf(readTrace(blocks, { limit: 100_000 }))).message).toContain(
        "limit of 100000 bytes",
      );
      expect(await blocks.next()).toEqual({ done: true, value: undefined });
    });
  });

  describe("a signal", () => {
    const reason = new Error("enough");

    it.each([
      ["readTrace", readTrace],
      ["openTrace", openTrace],
    ])("that was aborted before stops %s, and the source is closed", async (_, read) => {
      const { source, seen } = hanging(TRACE);
      expect(await errorOf(read(source, { signal: AbortSignal.abort(reason) }))).toBe(reason);
      expect([seen.asked, seen.closed]).toEqual([0, 1]);
    });

    it("stops a source that hangs, plain and packed", async () => {
      const zstd = await loadFixture("traces/go-link.pt.zst");
      for (const start of [new Uint8Array(0), TRACE, await gzip(TRACE), zstd]) {
        const { source, seen } = hanging(start.subarray(0, start.length >> 1));
        const controller = new AbortController();
        seen.ask = () => seen.asked === 2 && controller.abort(reason);
        if (start.length === 0) seen.ask = () => controller.abort(reason);
        expect(await errorOf(readTrace(source, { signal: controller.signal }))).toBe(reason);
        expect(seen.closed).toBe(1);
      }
    });

    it("stops in mid-read", async () => {
      const controller = new AbortController();
      const onProgress = () => controller.abort(reason);
      const options = { signal: controller.signal, onProgress };
      // Progress of a stream is reported once a MiB.
      const blocks = inBlocks(await unpackedTrace("gofmt-std"), 4096);
      expect(await errorOf(readTrace(blocks, options))).toBe(reason);
      expect(await blocks.next()).toEqual({ done: true, value: undefined });
    });
  });

  describe("a source", () => {
    it("whose error is passed on, as it is", async () => {
      const broken = new Error("EIO");
      for (const file of [
        new Uint8Array(0),
        TRACE,
        await gzip(TRACE),
        await loadFixture("traces/go-link.pt.zst"),
      ]) {
        async function* blocks() {
          yield* inBlocks(file.subarray(0, file.length >> 1), 500);
          throw broken;
        }
        expect(await errorOf(readTrace(blocks()))).toBe(broken);
        expect(await errorOf(readBlocks(blocks()))).toBe(broken);
      }
    });

    it("is closed once if it is no trace", async () => {
      for (const read of [readTrace, openTrace]) {
        const { source, seen } = hanging(new Uint8Array(5000));
        await errorOf(read(source));
        expect(seen.closed).toBe(1);
      }
    });

    it("is closed if the iteration is left early; and iterating twice is refused", async () => {
      const stream = await openTrace(TRACE);
      for await (const _ of stream) break;
      const error = await errorOf(stream[Symbol.asyncIterator]().next());
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toContain("can be iterated once");
    });

    it("of another kind is refused", async () => {
      for (const source of ["text", null, 5, {}]) {
        const error = await errorOf(readTrace(source as never));
        expect(error).toBeInstanceOf(TypeError);
        expect(error.message).toMatch(/^data must be a Uint8Array, a Blob, or a ReadableStream/);
      }
    });
  });

  it.each([
    [{ format: "elf" }, RangeError, /^options\.format must be .*"go-page-trace".*, got "elf"$/],
    [{ format: 5 }, TypeError, /^options\.format must be /],
    [{ device: -1 }, RangeError, /^options\.device must be an integer from 0 /],
    [{ limit: 0.5 }, RangeError, /^options\.limit must be /],
    [{ objects: 1 }, TypeError, /^options\.objects must be a boolean, got 1/],
    [{ window: 0 }, RangeError, /^options\.window must be an integer from 1 /],
    [{ signal: {} }, TypeError, /^options\.signal must be an AbortSignal, got /],
    [{ signal: null }, TypeError, /^options\.signal must be an AbortSignal, got null/],
    [{ onProgress: 1 }, TypeError, /^options\.onProgress must be a function or undefined, got 1/],
    [{ formats: "x" }, TypeError, /^options\.formats is unknown; did you mean options\.format\?/],
    [null, TypeError, /^options must be an object, got null/],
  ])("the options %o are refused, and the source is left alone", async (options, type, message) => {
    for (const read of [readTrace, openTrace]) {
      const stream = new ReadableStream<Uint8Array>();
      const error = await errorOf(read(stream, options as never));
      expect(error).toBeInstanceOf(type);
      expect(error.message).toMatch(message);
      expect(stream.locked).toBe(false);
    }
  });
}
