// Damaged traces of every format, thousands a format: each must be read and replayed, or be refused by ERR_TRACE that
// names the byte. Cuts, changed bits and bytes, stretches that are doubled or swapped, and lengths at their extremes.
import { readFileSync } from "node:fs";
import { deflateRawSync, gunzipSync, inflateRawSync } from "node:zlib";
import { openTrace, readTrace, replay, writePageTrace, writeTrace } from "palloc/trace";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { pytorchSnapshot } from "../../bench/traces/pytorch-snapshot.mjs";
import { crc32 } from "../../src/trace/formats/neutral/crc32.ts";
import { alloc, events, fileOf, free, procStart, span } from "../support/exec-trace.ts";
import { Random } from "../support/random.ts";
import { checkInvariants } from "../support/trace-invariants.ts";

type Trace = Awaited<ReturnType<typeof readTrace>>;
type Format = NonNullable<NonNullable<Parameters<typeof readTrace>[1]>["format"]>;

/** How long a format is damaged. All take less than a minute. */
const FORMAT_MS = 5_000;
/** Fewest rounds in that time, on a slow machine. Most formats have thousands. */
const FEWEST_ROUNDS = 200;
/** Hundreds of times what a round takes: only a loop without an end takes longer. */
const MOST_MS = 10_000;
/** Most bytes of arrays that are in use at one time. All samples are below 100 KB. */
const MOST_BYTES = 2 ** 30;
/** Bytes to read, after unpacking. */
const LIMIT = 2 ** 24;
/** Of the rounds, the least that must give a trace: were it hardly any, readers would be seen to refuse and no more. */
const LEAST_READ = 0.01;

const fixture = (name: string) => readFileSync(new URL(`../fixtures/traces/${name}`, import.meta.url));
const unpacked = (name: string, bytes: number) =>
  new Uint8Array(gunzipSync(fixture(name)).subarray(0, bytes));

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part.slice());
  return new Uint8Array(Buffer.concat(all));
}

/** The first events of a recorded page trace. */
async function firstEvents(count: number): Promise<Trace> {
  const trace = await readTrace(fixture("go-compile-runtime.pt.gz"));
  return { ...trace, length: count };
}

interface Sample {
  readonly format: Format;
  file(): Promise<Uint8Array> | Uint8Array;
  /** Damages the file in a way of its own, every other round. */
  damage?(file: Uint8Array, random: Random): Uint8Array;
}

const samples: Record<string, Sample> = {
  "a page trace": {
    format: "go-page-trace",
    file: async () => collect(writePageTrace(await firstEvents(500))),
  },
  "a Go execution trace": {
    format: "go-exec",
    file: () =>
      fileOf(
        26,
        events(1, 0, 2, procStart(1, 0), span(1, 8, 2), span(1, 40), alloc(1, 0), free(1, 8), alloc(1, 8, 3)),
        events(1, 1, 3, procStart(1, 1), alloc(2, 100, 20), free(1, 40), alloc(1, 600, 5), free(1, 100)),
      ),
  },
  "a memory snapshot": {
    format: "pytorch",
    file: () => new Uint8Array(Buffer.concat([...pytorchSnapshot({ entries: 60, before: 100, depth: 3 })])),
  },
  "a log of Android": { format: "malloc", file: () => unpacked("malloc/android-systemui.txt.gz", 8000) },
  "a log of heaptrack": { format: "malloc", file: () => unpacked("malloc/heaptrack.raw.gz", 12_000) },
  "a log as CSV": { format: "malloc", file: () => unpacked("malloc/bpftrace.csv.gz", 8000) },
  "a log as NDJSON": {
    format: "malloc",
    file: () => {
      const call = (i: number) =>
        JSON.stringify({
          time: i,
          op: i % 3 ? "malloc" : "free",
          address: `0x${(i & ~3).toString(16)}0`,
          bytes: i,
        });
      return new TextEncoder().encode(Array.from({ length: 90 }, (_, i) => `${call(i + 1)}\n`).join(""));
    },
  },
  "a log of the kernel's pages": {
    format: "perf-kmem",
    file: () => unpacked("perf-kmem/node.txt.gz", 12_000),
  },
  "the neutral form": {
    format: "neutral",
    file: async () => collect(writeTrace(await firstEvents(500))),
    damage: damageFrame,
  },
};

describe.each(Object.entries(samples))("%s, damaged", (_, { format, file, damage: ownDamage = damage }) => {
  it("is read and can be replayed, or is refused", async () => {
    const sample = await file();
    checkInvariants(await readTrace(sample, { format }));
    const end = performance.now() + FORMAT_MS;
    let rounds = 0;
    let read = 0;
    for (; performance.now() < end || rounds < FEWEST_ROUNDS; rounds++) {
      const seed = rounds + 1;
      const start = performance.now();
      try {
        const damaged = (seed % 2 === 0 ? ownDamage : damage)(sample, new Random(seed));
        if (await readsAlike(damaged, format, seed)) read++;
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      expect(performance.now() - start, `ms of seed ${seed}`).toBeLessThan(MOST_MS);
      expect(process.memoryUsage().arrayBuffers, `bytes at seed ${seed}`).toBeLessThan(MOST_BYTES);
    }
    expect(read).toBeGreaterThan(rounds * LEAST_READ);
  });
});

/** Reads a file whole and in blocks, and replays it. Returns whether it could be read; throws if anything is wrong. */
async function readsAlike(file: Uint8Array, format: Format, seed: number): Promise<boolean> {
  const options = { format, limit: LIMIT };
  const whole = await orRefused(() => readTrace(file, options));
  const blocks = await orRefused(async () => {
    const all: Trace[] = [];
    for await (const block of await openTrace(file, options)) all.push(block);
    return all;
  });
  if (typeof whole === "string" || typeof blocks === "string") {
    // Blocks come before what is wrong has been met, but it must be met.
    if (typeof whole !== typeof blocks)
      throw new Error(`whole: ${shown(whole)}; in blocks: ${shown(blocks)}`);
    return false;
  }
  for (const name of ["time", "proc", "kind", "base", "npages"] as const) {
    const column = blocks.flatMap((block) => [...block[name].subarray(0, block.length)]);
    if (column.length !== whole.length || column.some((value, i) => value !== whole[name][i])) {
      throw new Error(`${name} is not the same in blocks`);
    }
  }
  // The page traces of both forms are what was recorded. A replay says what is wrong in them.
  if (format !== "go-page-trace" && format !== "neutral") checkInvariants(whole);
  const placement = seed % 2 === 0 ? "recorded" : "first-fit";
  await orRefused(
    async () => replay(ts.PageAlloc, whole, { placement }),
    /^event \d+( at byte \d+)?, page 0x/,
  );
  return true;
}

const shown = (value: unknown) => (typeof value === "string" ? value : "read");

/** Returns what `call` gives, or the message of its ERR_TRACE, which must say where. */
async function orRefused<T extends object>(
  call: () => Promise<T>,
  where = /\bbyte \d+/,
): Promise<T | string> {
  try {
    return await call();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code !== "ERR_TRACE" || !where.test(message)) throw error;
    return message;
  }
}

/** Returns a copy with one to three kinds of damage. */
function damage(sample: Uint8Array, random: Random): Uint8Array {
  let file: Uint8Array = sample.slice();
  for (let left = random.between(1, 3); left > 0; left--) file = random.pick(DAMAGES)(file, random);
  return file;
}

/**
 * Damages the events of a neutral file of one frame, and gives the frame the right lengths and sum, as somebody who
 * means harm would. Sums find all other damage.
 */
function damageFrame(file: Uint8Array, random: Random): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset);
  const [headBytes, sumBytes] = [20, 4];
  const start = 16 + view.getUint32(12, true) + sumBytes;
  const end = start + headBytes + view.getUint32(start + 12, true);
  const content = damage(new Uint8Array(inflateRawSync(file.subarray(start + headBytes, end))), random);
  const count = random.oneIn(8) ? random.pick(EXTREMES) : view.getUint32(start + 4, true);
  const packed = new Uint8Array(deflateRawSync(content));
  const frame = sealed([1, count, content.length, packed.length], packed);
  const index = file.subarray(end, -headBytes);
  return joined(
    file.subarray(0, start),
    frame,
    index,
    sealed([7, start + frame.length, 0, 1], new Uint8Array(0)),
  );
}

/** A frame of the neutral form: the numbers of its head, their sum with that of what follows, and that. */
function sealed(numbers: number[], packed: Uint8Array): Uint8Array {
  const head = new Uint8Array(Uint32Array.from(numbers).buffer);
  return joined(head, new Uint8Array(Uint32Array.of(crc32(packed, crc32(head))).buffer), packed);
}

const stretch = ({ length }: Uint8Array, random: Random) => {
  const start = random.below(length);
  return [start, Math.min(length, start + random.between(1, random.oneIn(4) ? length : 64))] as const;
};
const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** The numbers that lengths, counts and addresses are set to. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

const DAMAGES: readonly ((file: Uint8Array, random: Random) => Uint8Array)[] = [
  (file, random) => {
    if (file.length > 0) file[random.below(file.length)] = random.below(256);
    return file;
  },
  (file, random) => {
    if (file.length > 0) file[random.below(file.length)] ^= 1 << random.below(8);
    return file;
  },
  (file, random) => file.subarray(0, random.below(file.length + 1)),
  (file, random) => {
    const [start, end] = stretch(file, random);
    return joined(file.subarray(0, end), file.subarray(start));
  },
  (file, random) => {
    const [start, end] = stretch(file, random);
    return joined(file.subarray(0, start), file.subarray(end));
  },
  (file, random) => {
    const [start, end] = stretch(file, random);
    const middle = Math.floor((start + end) / 2);
    const [before, after] = [file.subarray(0, start), file.subarray(end)];
    return joined(before, file.subarray(middle, end), file.subarray(start, middle), after);
  },
  (file, random) => {
    const width = random.pick([1, 2, 4, 8]);
    if (file.length < width) return file;
    const at = random.below(file.length - width + 1);
    const value = BigInt(random.pick(EXTREMES));
    for (let i = 0; i < width; i++) file[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return file;
  },
  (file, random) => {
    // In text, a number that is longer or shorter.
    const at = random.below(file.length + 1);
    const digits = new TextEncoder().encode(
      random.pick(["0", "-", "9".repeat(25), "f".repeat(17), "\n", "."]),
    );
    return joined(file.subarray(0, at), digits, file.subarray(at));
  },
];

describe("page traces of time bases alone", () => {
  it("take no memory for them", async () => {
    const [size, step] = [2 ** 29, 2 ** 20];
    const block = new Uint8Array(step);
    let most = 0;
    const stream = () => {
      let at = 0;
      return new ReadableStream<Uint8Array>({
        pull(controller) {
          // The first block names P 0.
          block[0] = at === 0 ? 4 : 0;
          controller.enqueue(block.slice());
          at += step;
          if (at === size) controller.close();
          most = Math.max(most, process.memoryUsage().arrayBuffers);
        },
      });
    };
    const read = async () => {
      for await (const _ of await openTrace({ size, stream } as Blob));
    };
    await expect(read()).rejects.toThrow(/^event 0 at byte 16, before any page: a time base without events/);
    expect(most).toBeLessThan(size / 2);
  });
});
