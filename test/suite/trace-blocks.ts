// Page traces read in blocks: Ps write their buffers at different times, and the blocks must come in order of time.
import { describe, expect, it } from "vitest";
import { Random } from "../support/random.ts";
import { same } from "../support/same.ts";
import type { Subject } from "../support/subject.ts";
import { gzip, inBlocks } from "../support/trace-words.ts";

type Trace = Awaited<ReturnType<Subject["trace"]["readTrace"]>>;
const COLUMNS = ["time", "proc", "kind", "base", "npages", "offset"] as const;
const WORDS = 4095;

/**
 * A file as a program with these Ps writes it: each has an event every so many ticks, and appends its buffer when it is
 * full. The first are the events without a P, which come last.
 */
function fileOf(events: number, every: readonly number[], seed: number): Uint8Array {
  const random = new Random(seed);
  const words: number[] = [];
  const push = (low: number, high: number) => words.push(low >>> 0, high >>> 0);
  const procs = every.map((_, i) => ({ id: i - 1, buffer: [] as number[], base: -1, at: 0 }));
  const append = ({ id, buffer }: (typeof procs)[number]) => {
    push((id << 3) | 4, id >> 29);
    for (const word of buffer) words.push(word);
  };
  for (let event = 0; event < events; event++) {
    const next = procs.reduce((first, proc) => (proc.at < first.at ? proc : first));
    if (next.base < 0 || next.at - next.base > 0xffff) {
      next.base = next.at;
      next.buffer.push(next.at << 3, Math.floor(next.at / 2 ** 29));
    }
    // An address that tells the event, so that no two are alike.
    const page = event * 8192;
    next.buffer.push(
      (page | (1 << 3) | 1) >>> 0,
      (((next.at - next.base) << 16) | Math.floor(page / 2 ** 32)) >>> 0,
    );
    next.at += random.below(2 * every[next.id + 1] + 1);
    if (next.id < 0 || next.buffer.length < 2 * WORDS) continue;
    append(next);
    next.buffer = [];
    next.base = -1;
  }
  for (const proc of [...procs.slice(1), procs[0]]) if (proc.buffer.length > 0) append(proc);
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** The blocks of a stream, joined. */
async function joined(stream: AsyncIterable<Trace>) {
  const blocks: Trace[] = [];
  for await (const block of stream) blocks.push(block);
  const columns = COLUMNS.map((name) => blocks.flatMap((block) => Array.from(block[name] as Float64Array)));
  return { blocks, columns };
}

export function traceBlocksSuite({ trace: { openTrace, readTrace } }: Subject): void {
  const kinds = {
    "one P": [100_000, 1],
    "Ps that do alike": [100_000, 3, 3, 4],
    "a P that does little": [50_000, 1, 900],
    "a P that writes one late buffer, with equal times": [1000, 0, 30],
  };

  describe("page traces in blocks", () => {
    it.each(Object.entries(kinds))("come in the order of the whole trace: %s", async (_, every) => {
      const file = fileOf(200_000, every, every.length);
      const whole = await readTrace(file);
      const want = COLUMNS.map((name) => Array.from(whole[name] as Float64Array));
      expect(whole.length).toBe(200_000);
      for (const source of [file, new Blob([file as BlobPart]), new Blob([(await gzip(file)) as BlobPart])]) {
        const { blocks, columns } = await joined(await openTrace(source));
        same(columns, want, "columns");
        expect(blocks.length).toBeGreaterThan(2);
        expect(Math.max(...blocks.map(({ length }) => length))).toBeLessThan(120_000);
      }
      same((await joined(await openTrace(inBlocks(file, 10_007)))).columns, want, "columns of a stream");
    });

    it("hold no more of a stream than the window, and name a P that came too late", async () => {
      const file = fileOf(100_000, [50_000, 1, 1], 5);
      const { columns } = await joined(await openTrace(inBlocks(file, 4096), { window: 2 ** 18 }));
      expect(columns[0].length).toBe(100_000);
      const late = joined(await openTrace(inBlocks(file, 4096), { window: 10_000 }));
      await expect(late).rejects.toThrow(
        /^event \d+ at byte \d+, page 0x\w+: P -1 wrote nothing for longer than the window of events/,
      );
    });

    it("refuse to keep more late events than the window", async () => {
      const file = fileOf(200_000, [400, 1], 6);
      expect((await joined(await openTrace(file, { window: 500 }))).columns[0].length).toBe(200_000);
      await expect(openTrace(file, { window: 100 }).then(joined)).rejects.toThrow(
        /^byte \d+: more than 100 events come far behind later ones; raise the option window/,
      );
    });

    it("refuse a late buffer without end before it has ended", async () => {
      // P 3 begins at time 0, long after the others.
      const late = new Uint32Array(2 ** 22);
      late.set([(3 << 3) | 4]);
      for (let at = 4; at < late.length; at += 2) late[at] = (1 << 3) | 1;
      const file = new Uint8Array([...fileOf(200_000, [400, 1], 6), ...new Uint8Array(late.buffer)]);
      let read = 0;
      const stream = () =>
        new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(file.slice(read, read + 2 ** 16));
            read += 2 ** 16;
            if (read >= file.length) controller.close();
          },
        });
      await expect(
        openTrace({ size: file.length, stream } as Blob, { window: 500 }).then(joined),
      ).rejects.toThrow(/^byte \d+: more than 500 events come far behind later ones/);
      expect(read).toBeLessThan(file.length / 2);
    });

    it("give the errors of the whole trace", async () => {
      const file = fileOf(150_000, [50_000, 1, 900], 7);
      for (const byte of [0, 8, 16, 40_000, file.length - 5000, file.length - 16]) {
        const damaged = file.slice();
        damaged.fill(0xff, byte, byte + 8);
        const message = await readTrace(damaged, { format: "go-page-trace" }).then(
          String,
          (error: Error) => error.message,
        );
        expect(message).toMatch(/byte \d+/);
        await expect(openTrace(damaged, { format: "go-page-trace" }).then(joined)).rejects.toThrow(message);
      }
    });

    it("say that the file is cut short", async () => {
      const file = fileOf(100_000, [50_000, 1], 8);
      const cut = file.subarray(0, 8 * WORDS * 20);
      const { blocks } = await joined(await openTrace(cut));
      expect(blocks.at(-1)?.cutShort).toBe((await readTrace(cut)).cutShort);
      expect(blocks.at(-1)?.cutShort).toMatch(/^the file seems to be cut short/);
    });
  });
}
