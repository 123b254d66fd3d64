// Where traces are read from: arrays of every kind, and blocks that arrive one after the other; and how much is read of
// one that is bad or has no end.
import { afterEach, describe, expect, it, vi } from "vitest";
import { same } from "../support/same.ts";
import type { Subject } from "../support/subject.ts";
import {
  ALLOC,
  alloc,
  endlessGzip,
  event,
  file,
  goPage,
  gzip,
  inBlocks,
  proc,
  timeBase,
  traceOf,
  unpackedTrace,
  WORD,
} from "../support/trace-words.ts";

type Read = Subject["trace"]["readPageTrace"];
type Source = Parameters<Read>[0];

/** One and two words an event, by turns. */
const EVENTS = Array.from({ length: 40 }, (_, i) => alloc(goPage(3000 * i), i % 3 === 0 ? 2000 + i : 1 + i));
const TRACE = traceOf(...EVENTS);
const MIB = 2 ** 20;

/** Every kind of source that gives blocks. */
const KINDS: Record<string, (data: Uint8Array, size: number) => Source> = {
  "an async iterable": inBlocks,
  "a stream": (data, size) => streamOf(inBlocks(data, size)),
  "a Blob": (data) => new Blob([data as BlobPart]),
};

export function traceSourceSuite(subject: Subject): void {
  const { readPageTrace } = subject.trace;
  describe("from blocks", () => blockTests(readPageTrace));
  describe("from failing sources", () => failureTests(readPageTrace));
  describe("up to the first bad word", () => stopTests(subject));
  describe("up to a limit", () => limitTests(subject));
  describe("from arrays", () => arrayTests(readPageTrace));
}

/** A stream of the blocks, each a copy. */
function streamOf(blocks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await blocks.next();
      if (done) controller.close();
      else controller.enqueue(value.slice());
    },
    async cancel() {
      await blocks.return(undefined);
    },
  });
}

/** What reading gives: the columns, or the error's message. */
async function outcome(read: Promise<object>): Promise<unknown> {
  return read.then(
    (trace) => Object.entries(trace).map(([name, column]) => [name, column.length ? [...column] : column]),
    (error: Error) => error.message,
  );
}

function blockTests(read: Read): void {
  for (const [kind, sourceOf] of Object.entries(KINDS)) {
    it.each([1, 3, 7, 8, 9, 16, 1000])(
      `${kind} may have blocks of %i bytes, plain and gzipped`,
      async (size) => {
        const want = await outcome(read(TRACE));
        expect(want).toContainEqual(["length", EVENTS.length]);
        for (const data of [TRACE, await gzip(TRACE)]) {
          same(await outcome(read(sourceOf(data, size))), want, "columns");
        }
      },
    );

    it(`${kind} may hold a recorded trace`, async () => {
      const data = await unpackedTrace("go-compile-types2-2procs");
      const want = await outcome(read(data));
      for (const file of [data, await gzip(data)]) {
        same(await outcome(read(sourceOf(file, 4099))), want, "columns");
      }
    });

    it(`${kind} gives the same errors as an array, wherever it is cut or damaged`, async () => {
      for (let length = 0; length < 30 * WORD; length++) {
        const cut = TRACE.subarray(0, length);
        const want = await outcome(read(cut));
        same(await outcome(read(sourceOf(cut, 5))), want, `cut after ${length}`);
      }
      const packed = await gzip(TRACE);
      for (const length of [0, 1, 2, 9, 10, 40, packed.length - 1]) {
        const got = await outcome(read(sourceOf(packed.subarray(0, length), 5)));
        if (length < 2) expect(got).toMatch(/^event 0 at byte 0, before any page: this is not a page trace/);
        else expect(got).toMatch(/^event \d+ at byte \d+, .* the gzip data is cut short or damaged/);
      }
    });
  }

  it("empty blocks are allowed", async () => {
    async function* blocks() {
      for await (const block of inBlocks(await gzip(TRACE), 1)) {
        yield new Uint8Array(0);
        yield block;
      }
      yield new Uint8Array(0);
    }
    same(await outcome(read(blocks())), await outcome(read(TRACE)), "columns");
  });

  it("blocks may be in shared memory or of a subclass", async () => {
    class Odd extends Uint8Array {
      override get length() {
        return 1;
      }
    }
    async function* blocks(data: Uint8Array) {
      let odd = true;
      for await (const block of inBlocks(data, 9)) {
        odd = !odd || typeof SharedArrayBuffer !== "function";
        const copy = odd ? new Odd(block) : new Uint8Array(new SharedArrayBuffer(block.length));
        copy.set(block);
        yield copy;
      }
    }
    for (const data of [TRACE, await gzip(TRACE)]) {
      same(await outcome(read(blocks(data))), await outcome(read(TRACE)), "columns");
    }
  });

  it("an iterable that has ended or thrown is not closed", async () => {
    const ends = [
      async () => ({ done: true, value: undefined }) as const,
      async () => {
        throw new Error("EIO");
      },
    ];
    for (const end of ends) {
      for (const data of [TRACE, await gzip(TRACE)]) {
        const steps = [async () => ({ done: false, value: data }) as const, end];
        const iterator = { next: () => (steps.shift() as (typeof steps)[0])(), return: vi.fn() };
        await outcome(read({ [Symbol.asyncIterator]: () => iterator }));
        expect(steps.length).toBe(0);
        expect(iterator.return).not.toHaveBeenCalled();
      }
    }
  });

  it("a source without blocks is refused", async () => {
    expect(await outcome(read(inBlocks(new Uint8Array(0), 1)))).toBe(
      "event 0 at byte 0, before any page: this is not a page trace: it has only 0 bytes",
    );
  });
}

function failureTests(read: Read): void {
  const broken = new Error("EIO: the disk is broken");

  it.each([true, false])("the source's error is passed on (gzip: %s)", async (packed) => {
    async function* blocks() {
      yield* inBlocks(packed ? await gzip(TRACE) : TRACE, 20);
      throw broken;
    }
    await expect(read(blocks())).rejects.toBe(broken);
    await expect(read(streamOf(blocks()))).rejects.toBe(broken);
  });

  it("an error before the first block is passed on", async () => {
    // biome-ignore lint/correctness/useYield: it fails before it gives anything.
    async function* blocks(): AsyncGenerator<Uint8Array> {
      throw broken;
    }
    await expect(read(blocks())).rejects.toBe(broken);
  });

  it.each([["text"], [new DataView(new ArrayBuffer(8))], [[1, 2]], [undefined]])(
    "blocks that are not Uint8Arrays are refused: %o",
    async (block) => {
      let closed = false;
      async function* blocks() {
        try {
          yield TRACE.subarray(0, 20);
          yield block as never;
        } finally {
          closed = true;
        }
      }
      const error = await read(blocks()).catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/^data must yield Uint8Arrays, got /);
      expect(closed).toBe(true);
    },
  );

  it("detached blocks are refused", async () => {
    async function* blocks() {
      const block = TRACE.slice();
      structuredClone(block.buffer, { transfer: [block.buffer] });
      yield block;
    }
    const error = await read(blocks()).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^a block of data must be .* detached/);
  });

  it("locked streams are refused", async () => {
    const stream = streamOf(inBlocks(TRACE, 8));
    stream.getReader();
    const error = await read(stream).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^data must be a ReadableStream without another reader/);
  });
}

/** What unpacks gzip data here: Node's zlib is used where it can be had. */
const GUNZIPPERS: readonly string[] =
  "process" in globalThis ? ["zlib", "DecompressionStream"] : ["DecompressionStream"];

/** What a gunzipper does: bytes that it gives, and how often it was told to stop. */
interface Seen {
  bytes: number;
  stopped: number;
}

/** Has data unpacked by this gunzipper, and watches it. */
function watchGunzip(gunzipper: string): Seen {
  const seen = { bytes: 0, stopped: 0 };
  if (gunzipper === "zlib") {
    watchZlib(seen);
  } else {
    if (GUNZIPPERS.length > 1) vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
    watchDecompressionStream(seen);
  }
  return seen;
}

function watchZlib(seen: Seen): void {
  const { createGunzip } = process.getBuiltinModule("node:zlib");
  vi.spyOn(process, "getBuiltinModule").mockReturnValue({
    createGunzip(options: object) {
      const stream = createGunzip(options);
      const push = stream.push.bind(stream);
      stream.push = (block: Uint8Array | null) => {
        seen.bytes += block?.length ?? 0;
        return push(block);
      };
      stream.on("close", () => seen.stopped++);
      return stream;
    },
  } as never);
}

function watchDecompressionStream(seen: Seen): void {
  const Real = DecompressionStream;
  vi.stubGlobal(
    "DecompressionStream",
    class {
      readonly writable: WritableStream;
      readonly readable: ReadableStream;
      constructor(format: CompressionFormat) {
        const { writable, readable } = new Real(format);
        const reader = readable.getReader();
        this.writable = writable;
        this.readable = new ReadableStream({
          async pull(controller) {
            const { done, value } = await reader.read();
            if (done) return controller.close();
            seen.bytes += value.length;
            controller.enqueue(value);
          },
          cancel(reason) {
            seen.stopped++;
            return reader.cancel(reason);
          },
        });
      }
    },
  );
}

function stopTests({ trace: { readPageTrace: read } }: Subject): void {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  /** What follows makes no sense there. */
  const bad = file(proc(0), timeBase(1), timeBase(1));
  const reason = "event 0 at byte 16, before any page: a time base without events; ";

  it("an iterable is closed and asked for no more", async () => {
    const seen = { blocks: 0, closed: false };
    async function* endless() {
      try {
        for (;;) {
          seen.blocks++;
          yield bad;
        }
      } finally {
        seen.closed = true;
      }
    }
    expect(await outcome(read(endless()))).toContain(reason);
    expect(seen).toEqual({ blocks: 1, closed: true });
  });

  it("a stream is cancelled", async () => {
    let cancelled = false;
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(bad.slice()),
      cancel: () => {
        cancelled = true;
      },
    });
    expect(await outcome(read(stream))).toContain(reason);
    expect(cancelled).toBe(true);
  });

  it("a source that never answers is not waited for", async () => {
    const never = new Promise<never>(() => {});
    async function* stuck() {
      yield* inBlocks(await gzip(bad), 1000);
      await never;
    }
    // Nothing that comes after the bad word could make it good: not even the end of the gzip data.
    expect(await outcome(read(stuck()))).toContain(reason);
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(bad.slice()),
      cancel: () => never,
    });
    expect(await outcome(read(stream))).toContain(reason);
  });

  it.each(GUNZIPPERS)("stops unpacking by %s", async (gunzipper) => {
    const bomb = await gzip(new Uint8Array(32 * MIB));
    const seen = watchGunzip(gunzipper);
    expect(await outcome(read(bomb))).toMatch(
      /^event 0 at byte 0, before any page: this is not a page trace/,
    );
    expect(seen.bytes).toBeLessThan(2 * MIB);
    await vi.waitFor(() => expect(seen.stopped).toBe(1));
    expect(await outcome(read(new Blob([bomb as BlobPart])))).toMatch(/^event 0 at byte 0, /);
    expect(seen.bytes).toBeLessThan(4 * MIB);
    await vi.waitFor(() => expect(seen.stopped).toBe(2));
  });

  it("stops in gzip data without an end", async () => {
    const blocks = endlessGzip(bad);
    expect(await outcome(read(blocks))).toContain(reason);
    expect(await blocks.next()).toEqual({ done: true, value: undefined });
  });
}

function limitTests({
  palloc: { PageAllocError },
  trace: { readPageTrace: read, readTrace },
}: Subject): void {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  /** The data from every kind of source, plain and gzipped. */
  async function sources(data: Uint8Array): Promise<Array<[string, Source]>> {
    const files = { plain: data, gzipped: await gzip(data) };
    return Object.entries(files).flatMap(([what, file]) => [
      [what, file] as [string, Source],
      ...Object.entries(KINDS).map(([kind, of]): [string, Source] => [`${what}, ${kind}`, of(file, 50)]),
    ]);
  }

  it.each([
    [2 * WORD, "event 0 at byte 16, before any page: "],
    [3 * WORD, "event 0 at byte 24, before any page: "],
    [3 * WORD + 5, "event 0 at byte 24, before any page: "],
    [4 * WORD, "event 1 at byte 32, after page 0xc000000000: "],
    [TRACE.length - 1, `event ${EVENTS.length - 1} at byte ${TRACE.length - WORD}, after page 0x`],
  ])("a limit of %i bytes refuses the trace and names the place", async (limit, place) => {
    for (const [what, source] of await sources(TRACE)) {
      const error = await read(source, { limit }).catch((error) => error);
      expect(error, what).toBeInstanceOf(PageAllocError);
      expect(error.code).toBe("ERR_TRACE");
      expect(error.message.slice(0, place.length)).toBe(place);
      expect(error.message).toContain(`the limit of ${limit} bytes; raise the option limit`);
    }
  });

  it.each([TRACE.length, TRACE.length + 1, 2 ** 53 - 1, Infinity, undefined])(
    "a limit of %s bytes accepts the trace",
    async (limit) => {
      for (const [what, source] of await sources(TRACE)) {
        expect((await read(source, { limit })).length, what).toBe(EVENTS.length);
      }
    },
  );

  it("the limit may be 0", async () => {
    expect(await outcome(read(TRACE, { limit: 0 }))).toMatch(
      /^event 0 at byte 0, before any page: .* limit of 0 bytes/,
    );
    expect(await outcome(read(new Uint8Array(0), { limit: 0 }))).toMatch(/it has only 0 bytes$/);
  });

  it("a bad word below the limit is reported first", async () => {
    const bad = file(
      proc(0),
      timeBase(1),
      alloc(goPage(0), 1),
      event(ALLOC, goPage(1), 0),
      alloc(goPage(2), 1),
    );
    for (const [what, source] of await sources(bad)) {
      const message = await outcome(read(source, { limit: 4 * WORD }));
      expect(message, what).toMatch(/^event 1 at byte 24, page 0xc000002000: the event has no pages/);
    }
  });

  it.each(GUNZIPPERS)("stops unpacking by %s", async (gunzipper) => {
    const words = new BigUint64Array((32 * MIB) / WORD).fill(alloc(goPage(0), 1)[0]);
    words.set([proc(0), timeBase(1)]);
    const bomb = await gzip(new Uint8Array(words.buffer));
    const seen = watchGunzip(gunzipper);
    expect(await outcome(read(bomb, { limit: MIB }))).toMatch(/^event 131070 at byte 1048576, after page /);
    expect(seen.bytes).toBeLessThan(3 * MIB);
    await vi.waitFor(() => expect(seen.stopped).toBe(1));
  });

  it("stops in gzip data without an end", async () => {
    const good = file(proc(0), timeBase(1), alloc(goPage(0), 1), alloc(goPage(1), 1));
    expect(await outcome(read(endlessGzip(good), { limit: 1000 }))).toContain("the limit of 1000 bytes");
  });

  it.each([
    [-1, RangeError],
    [0.5, RangeError],
    [Number.NaN, RangeError],
    [2 ** 53, RangeError],
    [-Infinity, RangeError],
    [null, TypeError],
    ["1", TypeError],
    [1n, TypeError],
  ])("limits like %o are refused", async (limit, type) => {
    let touched = false;
    const pull = () => {
      touched = true;
    };
    const untouched = new ReadableStream({ pull }, { highWaterMark: 0 });
    const error = await read(untouched, { limit: limit as never }).catch((error) => error);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(/^options\.limit must be an integer from 0 to \d+, or Infinity, got /);
    expect([touched, untouched.locked]).toEqual([false, false]);
  });

  it("unknown options are refused", async () => {
    for (const [options, message] of [
      [{ limits: 1 }, "options.limits is unknown; did you mean options.limit?"],
      [null, "options must be an object, got null"],
      [5, "options must be an object, got 5"],
    ] as const) {
      const error = await read(TRACE, options as never).catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(message);
    }
  });

  it("the option is read once", async () => {
    let times = 0;
    const options = {
      get limit() {
        times++;
        return times === 1 ? 100 : Infinity;
      },
    };
    expect(await outcome(read(TRACE, options))).toContain("the limit of 100 bytes");
    expect(times).toBe(1);
  });

  describe.each(["Float64Array", "Int32Array", "Uint8Array", "Uint32Array"] as const)(
    "traces that do not fit in memory are refused: no room for a %s",
    (name) => {
      /** Reads with no room for such an array of more elements than `above`. */
      async function mustBeRefused(data: Uint8Array, above: number, where: RegExp): Promise<void> {
        const failure = new RangeError("Array buffer allocation failed");
        const Scarce = new Proxy(globalThis[name], {
          construct(type, args, newTarget) {
            if (typeof args[0] === "number" && args[0] > above) throw failure;
            return Reflect.construct(type, args, newTarget);
          },
        });
        vi.stubGlobal(name, Scarce);
        const error = await readTrace(data).catch((error) => error);
        vi.unstubAllGlobals();
        expect(error).toBeInstanceOf(PageAllocError);
        expect([error.code, error.cause]).toEqual(["ERR_TRACE", failure]);
        expect(error.message).toMatch(where);
        expect(error.message).toContain(": the trace is too long for the memory that is left");
      }

      // The first of the columns' parts, the last, and the whole.
      it.each([1000, 10_000, 33_000])("of more than %i elements", async (above) => {
        const data = traceOf(...Array.from({ length: 40_000 }, (_, i) => alloc(goPage(i), 1)));
        await mustBeRefused(data, above, /^event \d+ at byte \d+, /);
      });

      it("when blocks are joined", async () => {
        const lines = Array.from({ length: 40_000 }, (_, i) => `${i},malloc,${16 * i + 16},1\n`);
        const data = new TextEncoder().encode(`time,op,address,bytes\n${lines.join("")}`);
        await mustBeRefused(
          data,
          39_999,
          new RegExp(`^event 39999 at byte ${data.length - lines[39_999].length}: `),
        );
      });
    },
  );
}

function arrayTests(read: Read): void {
  /** Both files of the trace, each in an array of its own. */
  const files = async () => [TRACE, await gzip(TRACE)].map((file) => new Uint8Array(file));
  const want = () => read(TRACE.slice()).then((trace) => outcome(Promise.resolve(trace)));

  it.runIf("Buffer" in globalThis)("a Buffer may be in Node's shared pool", async () => {
    for (const data of await files()) {
      const pooled = Buffer.from(data);
      same(await outcome(read(pooled)), await want(), "columns");
      expect(pooled.equals(data)).toBe(true);
    }
  });

  it("a subclass is read by its real bytes", async () => {
    class Liar extends Uint8Array {
      static get [Symbol.species]() {
        return Liar as never;
      }
      override get length() {
        return 3;
      }
      override get byteLength() {
        return 5;
      }
      override get byteOffset() {
        return 1;
      }
      override get buffer() {
        return new ArrayBuffer(9);
      }
      override subarray(): never {
        throw new Error("called");
      }
      override slice(): never {
        throw new Error("called");
      }
      override values(): never {
        throw new Error("called");
      }
      override [Symbol.iterator](): never {
        throw new Error("called");
      }
      override get [Symbol.toStringTag]() {
        return "Float64Array" as never;
      }
    }
    for (const data of await files()) {
      same(await outcome(read(new Liar(data.buffer))), await want(), "columns");
    }
  });

  it("a view may have an offset and a resizable buffer", async () => {
    for (const data of await files()) {
      const buffer = new ArrayBuffer(data.length + 7, { maxByteLength: 2 * data.length + 14 });
      new Uint8Array(buffer).set(data, 7);
      same(await outcome(read(new Uint8Array(buffer, 7))), await want(), "length tracking");
      same(await outcome(read(new Uint8Array(buffer, 7, data.length))), await want(), "fixed length");
      const reading = read(new Uint8Array(buffer, 7));
      buffer.resize(0);
      same(await outcome(reading), await want(), "resized after the call");
    }
  });

  it.runIf(typeof SharedArrayBuffer === "function")("shared memory may grow", async () => {
    for (const data of await files()) {
      const buffer = new SharedArrayBuffer(data.length, { maxByteLength: data.length + 100 });
      new Uint8Array(buffer).set(data);
      const reading = read(new Uint8Array(buffer));
      buffer.grow(data.length + 100);
      new Uint8Array(buffer).fill(0);
      same(await outcome(reading), await want(), "changed after the call");
    }
  });

  it("an array may be changed or transferred right after the call", async () => {
    for (const data of await files()) {
      const changed = data.slice();
      const reading = read(changed);
      changed.fill(0);
      same(await outcome(reading), await want(), "changed");
      const moved = data.slice();
      const readingMoved = read(moved);
      structuredClone(moved.buffer, { transfer: [moved.buffer] });
      same(await outcome(readingMoved), await want(), "transferred");
    }
  });

  it("an array is never written to", async () => {
    for (const data of await files()) {
      const before = data.slice();
      await read(data);
      expect(data).toEqual(before);
    }
  });

  it("a detached array is refused", async () => {
    for (const data of [...(await files()), new Uint8Array(0)]) {
      structuredClone(data.buffer, { transfer: [data.buffer] });
      const error = await read(data).catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(
        "data must be a Uint8Array with its bytes, got one whose buffer is detached (it was transferred)",
      );
    }
  });

  it("an array whose buffer has shrunk is refused", async () => {
    const buffer = new ArrayBuffer(100, { maxByteLength: 100 });
    const view = new Uint8Array(buffer, 50, 50);
    buffer.resize(60);
    const error = await read(view).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^data must be .* whose buffer has shrunk below its end$/);
  });

  it("other objects are refused", async () => {
    const fake = Object.create(Uint8Array.prototype);
    for (const value of [fake, new Uint16Array(8), new DataView(new ArrayBuffer(8)), "trace", null]) {
      const error = await read(value as never).catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(
        /^data must be a Uint8Array, a Blob, or a ReadableStream or async iterable of /,
      );
    }
  });

  it("an array of another window or context is accepted", async () => {
    // What tells such an array from ours is its prototype alone.
    const foreign = Object.setPrototypeOf(TRACE.slice(), Object.getPrototypeOf(Uint8Array.prototype));
    same(await outcome(read(foreign)), await want(), "columns");
  });
}
