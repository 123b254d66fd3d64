// What readers count of what they change: against plain readers of random logs that lack events, and by block.
import { describe, expect, it } from "vitest";
import { alloc, events, fileOf, free, procStart, span } from "../../support/exec-trace.ts";
import { Random } from "../../support/random.ts";
import type { Subject } from "../../support/subject.ts";
import { bytesOf } from "../../support/texts.ts";
import { checkInvariants } from "../../support/trace-invariants.ts";

type Api = Subject["trace"];
type Trace = Awaited<ReturnType<Api["readTrace"]>>;
type Counts = NonNullable<Trace["corrections"]>;

const [ALLOC, FREE] = [1, 2];
const NONE: Counts = {
  ...{ impliedFrees: 0, impliedGrows: 0, skippedFrees: 0 },
  ...{ skippedGrows: 0, skippedUnmaps: 0, movedAllocs: 0 },
};
/** Where the reader of malloc logs puts blocks that cannot be put at their address. */
const MADE_UP = 2 ** 47;
const SEEDS = [1, 2, 3];

/** A range in use, in pages. */
interface Live {
  readonly page: number;
  readonly npages: number;
}

const overlaps = (a: Live, b: Live) => a.page < b.page + b.npages && b.page < a.page + a.npages;

/** A log, and what a plain reader changes of it. */
interface Log {
  readonly data: Uint8Array;
  readonly want: Counts;
}

/** A Go execution trace of random spans. */
function execLog(seed: number, length: number): Log {
  const random = new Random(seed);
  const want = { ...NONE };
  let live: Live[] = [{ page: 100, npages: 9 }];
  const list = [span(1, 100, 9)];
  for (let i = 0; i < length; i++) {
    const page = random.below(200);
    if (random.oneIn(2)) {
      const npages = 1 + random.below(6);
      const kept = live.filter((each) => !overlaps(each, { page, npages }));
      want.impliedFrees += live.length - kept.length;
      live = [...kept, { page, npages }];
      list.push(alloc(1, page, npages));
    } else {
      const kept = live.filter((each) => each.page !== page);
      if (kept.length === live.length) want.skippedFrees++;
      live = kept;
      list.push(free(1, page));
    }
  }
  return { data: fileOf(23, events(1, 7, 100, procStart(0, 1), ...list)), want };
}

/** A malloc log of random blocks, half of which start at no multiple of 16. */
function mallocLog(seed: number, length: number): Log {
  const random = new Random(seed);
  const want = { ...NONE };
  /** By address, in bytes, with the units of those that keep their address. */
  const live = new Map<number, Live | undefined>();
  const lines = ["time,op,address,bytes,old"];
  const freeAt = (address: number) => {
    if (!live.delete(address) && address !== 0) want.skippedFrees++;
  };
  for (let i = 0; i < length; i++) {
    const address = random.oneIn(20) ? 0 : 8 * (2 + random.below(300));
    const old = 8 * random.below(300);
    const bytes = 1 + random.below(60);
    const op = ["malloc", "free", "realloc"][random.below(3)];
    lines.push(`${i},${op},${address},${bytes},${op === "realloc" ? old : ""}`);
    if (op === "free") freeAt(address);
    if (op === "realloc" && address !== 0) freeAt(old);
    if (op === "free" || address === 0) continue;
    const block = address % 16 === 0 ? { page: address / 16, npages: Math.ceil(bytes / 16) } : undefined;
    for (const [at, other] of live) {
      if (at !== address && !(block && other && overlaps(block, other))) continue;
      want.impliedFrees++;
      live.delete(at);
    }
    if (!block) want.movedAllocs++;
    live.set(address, block);
  }
  return { data: bytesOf(`${lines.join("\n")}\n`), want };
}

/** A log of random page events. A range in use may lose any of its pages. */
function perfLog(seed: number, length: number): Log {
  const random = new Random(seed);
  const want = { ...NONE };
  /** By page, the event that allocated it. */
  const live = new Map<number, number>();
  const lines: string[] = [];
  for (let i = 0; i < length; i++) {
    const order = random.below(4);
    const first = 1 + random.below(200);
    const all = Array.from({ length: 2 ** order }, (_, page) => first + page);
    const isAlloc = random.oneIn(2);
    const used = all.filter((page) => live.has(page));
    if (isAlloc) {
      // What was allocated as one, and is not interrupted, is freed as one.
      want.impliedFrees += used.filter(
        (page) => page === all[0] || live.get(page) !== live.get(page - 1),
      ).length;
    } else if (used.length < all.length) want.skippedFrees++;
    for (const page of all) {
      if (isAlloc) live.set(page, i);
      else live.delete(page);
    }
    const event = isAlloc ? "alloc" : "free";
    lines.push(`a 1 [0] ${i}.5: kmem:mm_page_${event}: page=1 pfn=${all[0]} order=${order}`);
  }
  return { data: bytesOf(`${lines.join("\n")}\n`), want };
}

/** Adds up the counts of blocks. */
function sumOf(blocks: readonly Trace[]): Counts {
  const sums: Record<string, number> = { ...NONE };
  for (const { corrections } of blocks) {
    for (const [name, n] of Object.entries(corrections ?? {})) sums[name] += n;
  }
  return sums as unknown as Counts;
}

export function correctionCountsSuite({ trace: { openTrace, readTrace, writeTrace } }: Subject): void {
  const blocksOf = async (data: Uint8Array) => {
    const blocks: Trace[] = [];
    for await (const block of await openTrace(data)) blocks.push(block);
    return blocks;
  };

  describe.each([
    ["Go execution traces", execLog],
    ["malloc logs", mallocLog],
    ["perf kmem", perfLog],
  ])("what the reader of %s changes", (format, logOf) => {
    it.each(SEEDS)("is counted as a plain reader does, seed %i", async (seed) => {
      const { data, want } = logOf(seed, 3000);
      const trace = await readTrace(data);
      checkInvariants(trace);
      expect(want.impliedFrees).toBeGreaterThan(100);
      expect(want.skippedFrees).toBeGreaterThan(100);
      expect(want.movedAllocs > 100).toBe(format === "malloc logs");
      expect(trace.corrections).toEqual(want);
    });

    it("is counted by block", async () => {
      const { data, want } = logOf(9, 60_000);
      const blocks = await blocksOf(data);
      expect(blocks.length).toBeGreaterThan(1);
      expect(sumOf(blocks)).toEqual(want);
      expect((await readTrace(data)).corrections).toEqual(want);
      const allocAt = new Set<number>();
      const each = (see: (kind: number, base: number, offset: number, block: number) => void) => {
        for (const [at, { length, kind, base, offset }] of blocks.entries()) {
          for (let i = 0; i < length; i++) see(kind[i], base[i], offset?.[i] ?? NaN, at);
        }
      };
      each((kind, _, offset) => kind === ALLOC && allocAt.add(offset));
      const implied = blocks.map(() => 0);
      const moved = blocks.map(() => 0);
      each((kind, base, offset, block) => {
        // A realloc frees what is at its old address, which no plain look at the events tells from an implied free.
        if (kind === FREE && allocAt.has(offset)) implied[block]++;
        if (kind === ALLOC && base >= MADE_UP && format === "malloc logs") moved[block]++;
      });
      if (format !== "malloc logs") {
        expect(blocks.map(({ corrections }) => corrections?.impliedFrees)).toEqual(implied);
      }
      expect(blocks.map(({ corrections }) => corrections?.movedAllocs)).toEqual(moved);
    });

    it("is kept by the neutral form, as a whole", async () => {
      const { data, want } = logOf(4, 40_000);
      const parts: Uint8Array[] = [];
      for await (const part of writeTrace(await openTrace(data))) parts.push(part.slice());
      const file = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
      expect((await readTrace(file)).corrections).toEqual(want);
      const blocks = await blocksOf(file);
      expect(blocks.map(({ corrections }) => corrections !== undefined)).toEqual(
        blocks.map((_, i) => i === blocks.length - 1),
      );
    });
  });

  const addressOf = (i: number) => (i === 0 ? 16 : 32);
  const times = (n: number) => Array.from({ length: n }, (_, i) => i);
  it.each([
    ["Go execution traces", (n: number) => fileOf(23, events(1, 7, 9, ...times(n).map(() => alloc(1, 0))))],
    [
      "malloc logs",
      (n: number) =>
        bytesOf(
          `time,op,address,bytes\n${times(n)
            .map((i) => `${i},malloc,${addressOf(i)},16\n`)
            .join("")}`,
        ),
    ],
  ])("an added free that begins a block of %s is counted there", async (_, logOf) => {
    const blocks = await blocksOf(logOf(40_000));
    expect(blocks[1].kind[0]).toBe(FREE);
    const frees = blocks.map(({ kind }) => kind.filter((each) => each === FREE).length);
    expect(blocks.map(({ corrections }) => corrections?.impliedFrees)).toEqual(frees);
  });

  it("a trace of which nothing was changed does not say so", async () => {
    const clean = [
      fileOf(23, events(1, 7, 100, procStart(0, 1), span(1, 0), alloc(1, 1), free(1, 0))),
      bytesOf("time,op,address,bytes,old\n1,malloc,16,5,\n2,realloc,0,9,16\n3,free,0,,\n4,free,16,,\n"),
      bytesOf("a 1 [0] 1.5: kmem:mm_page_alloc: page=1 pfn=0 order=0\n"),
    ];
    for (const data of clean) expect("corrections" in (await readTrace(data))).toBe(false);
  });
}
