// The kernels against their naive selves, on bitmaps of every texture: for all group sizes, all alignments.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bitsOf, bitsOfWord, type PageBits, pallocData, setBits, wordOfBits } from "../support/bitmaps.ts";
import * as naive from "../support/naive.ts";
import { Random } from "../support/random.ts";
import { refused } from "../support/refusals.ts";
import { same } from "../support/same.ts";
import type { Subject } from "../support/subject.ts";

const { PAGES } = naive;
const GROUPS = [1, 2, 4, 8, 16, 32, 64];
/** Pages of a group that is scavenged together. */
const MINS = [...GROUPS, 128, 256, PAGES];

/** Alternating runs from page 0 on: short ones, long ones, and ones that end where words and groups do. */
const bitmap = fc
  .tuple(
    fc.boolean(),
    fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 200 }),
        fc.constantFrom(...GROUPS, 63, 65),
      ),
      {
        minLength: 1,
        maxLength: 60,
      },
    ),
  )
  .map(([first, runs]) => {
    const bits = runs.flatMap((length, i) => new Array<boolean>(length).fill((i % 2 === 0) === first));
    const last = bits.at(-1) ?? false;
    return Array.from({ length: PAGES }, (_, i) => bits[i] ?? !last);
  });
const group = fc.constantFrom(...GROUPS);
const min = fc.constantFrom(...MINS);
const page = fc.integer({ min: 0, max: PAGES - 1 });
/** Pages [first, first + count) of a chunk. */
const range = page.chain((first) => fc.tuple(fc.constant(first), fc.integer({ min: 1, max: PAGES - first })));

/** Runs a property; fast-check prints the seed and the smallest case that fails it. */
const holds = <T>(property: fc.IProperty<T>, numRuns = 1000): void => fc.assert(property, { numRuns });

export function kernelsSuite(subject: Subject): void {
  describe("kernels give the same as naive versions", () => {
    fillAlignedTests(subject);
    bitsTests(subject);
    rangeTests(subject);
    findTests(subject);
    candidateTests(subject);
  });
  describe("PallocChunks", () => chunksTests(subject));
}

function fillAlignedTests({ palloc: { fillAligned } }: Subject): void {
  const naively = (x: bigint, m: number) => wordOfBits(naive.fillAligned(bitsOfWord(x), m));

  it.each(GROUPS)("fillAligned(x, %i), for every single one bit and every single zero bit", (m) => {
    for (let i = 0n; i < 64n; i++) {
      for (const x of [1n << i, ~(1n << i) & (2n ** 64n - 1n)]) {
        same(fillAligned(x, m), naively(x, m), () => `fillAligned(${x}n, ${m})`);
      }
    }
  });

  it("fillAligned, random words", () => {
    const words = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      bitmap.map((bits) => wordOfBits(bits.slice(0, 64))),
    );
    holds(
      fc.property(words, group, (x, m) => {
        same(fillAligned(x, m), naively(x, m), "filled");
      }),
    );
  });
}

function bitsTests({ palloc }: Subject): void {
  const eachBitmap = (test: (bits: (data: InstanceType<typeof palloc.PallocData>) => PageBits) => void) => {
    test((data) => data.alloc);
    test((data) => data.scavenged);
  };

  it("get, setRange, clearRange and popcntRange of both bitmaps", () => {
    holds(
      fc.property(bitmap, range, (before, [first, count]) => {
        const within = (i: number) => i >= first && i < first + count;
        eachBitmap((select) => {
          const data = new palloc.PallocData();
          const bits = select(data);
          setBits(bits, before);
          same(bits.get(first), before[first], "get");
          same(
            bits.popcntRange(first, count),
            before.filter((bit, i) => bit && within(i)).length,
            "popcntRange",
          );
          bits.setRange(first, count);
          same(
            bitsOf(bits),
            before.map((bit, i) => bit || within(i)),
            "setRange",
          );
          setBits(bits, before);
          bits.clearRange(first, count);
          same(
            bitsOf(bits),
            before.map((bit, i) => bit && !within(i)),
            "clearRange",
          );
        });
      }),
      300,
    );
  });
}

function rangeTests({ palloc }: Subject): void {
  it("ranges: every alignment and length", () => {
    const { alloc } = new palloc.PallocData();
    for (let first = 0; first < PAGES; first += 7) {
      for (let count = 1; first + count <= PAGES; count += 5) {
        const what = () => `[${first}, ${first + count})`;
        alloc.setRange(first, count);
        const outside =
          (first > 0 && alloc.get(first - 1)) || (first + count < PAGES && alloc.get(first + count));
        same(outside, false, what);
        same(alloc.popcntRange(0, PAGES), count, what);
        same(alloc.popcntRange(first, count), count, what);
        alloc.clearRange(first, count);
        same(alloc.popcntRange(0, PAGES), 0, what);
      }
    }
  });

  it("allocRange clears scavenged bits, freeRange leaves them", () => {
    holds(
      fc.property(bitmap, range, (scavenged, [first, count]) => {
        const within = (i: number) => i >= first && i < first + count;
        const data = pallocData(palloc, naive.noBits(), scavenged);
        data.allocRange(first, count);
        same(
          bitsOf(data.alloc),
          scavenged.map((_, i) => within(i)),
          "alloc after allocRange",
        );
        same(
          bitsOf(data.scavenged),
          scavenged.map((bit, i) => bit && !within(i)),
          "scavenged after allocRange",
        );
        data.freeRange(first, count);
        same(bitsOf(data.alloc), naive.noBits(), "alloc after freeRange");
        same(
          bitsOf(data.scavenged),
          scavenged.map((bit, i) => bit && !within(i)),
          "scavenged after freeRange",
        );
      }),
      300,
    );
  });
}

function findTests({ palloc }: Subject): void {
  const npages = fc.oneof(
    fc.integer({ min: 1, max: 8 }),
    fc.integer({ min: 1, max: PAGES }),
    fc.constantFrom(63, 64, 65),
  );

  it("find", () => {
    holds(
      fc.property(bitmap, npages, page, (alloc, n, searchIdx) => {
        same(
          pallocData(palloc, alloc).find(n, searchIdx),
          naive.find(alloc, n, searchIdx),
          `find(${n}, ${searchIdx})`,
        );
      }),
    );
  });

  it("find: every length, in a run of that length at every position in a word", () => {
    for (const n of [1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 100, 128, 129]) {
      for (let first = 128; first < 192; first++) {
        const alloc = naive.noBits().map((_, i) => i < first || i >= first + n);
        const data = pallocData(palloc, alloc);
        same(data.find(n, 0), { index: first, searchIdx: first }, () => `find(${n}) at ${first}`);
        same(data.find(n + 1, 0), { index: -1, searchIdx: first }, () => `find(${n + 1}) at ${first}`);
      }
    }
  });

  it("summarize", () => {
    holds(
      fc.property(bitmap, (alloc) => {
        same(pallocData(palloc, alloc).summarize(), naive.summarize(alloc), "summary");
      }),
    );
  });
}

function candidateTests({ palloc }: Subject): void {
  const max = fc.oneof(fc.integer({ min: 0, max: PAGES }), fc.constantFrom(1000, Infinity));
  const hugePage = fc.constantFrom(0, 2, 4, 16, 64, 128, 256, 512, 1024);

  it("hasScavengeCandidate", () => {
    holds(
      fc.property(bitmap, bitmap, min, (alloc, scavenged, min) => {
        const data = pallocData(palloc, alloc, scavenged);
        same(data.hasScavengeCandidate(min), naive.hasScavengeCandidate(alloc, scavenged, min), "has");
      }),
    );
  });

  it("findScavengeCandidate", () => {
    holds(
      fc.property(bitmap, bitmap, page, min, max, hugePage, (alloc, scavenged, searchIdx, min, max, huge) => {
        const got = pallocData(palloc, alloc, scavenged).findScavengeCandidate(searchIdx, min, max, huge);
        const want = naive.findScavengeCandidate(alloc, scavenged, searchIdx, min, max, huge);
        same(got.npages, want.npages, "npages");
        if (want.npages > 0) same(got.start, want.start, "start");
      }),
      3000,
    );
  });

  it.each(MINS)("findScavengeCandidate, min %i: candidates at every alignment", (min) => {
    for (let first = 0; first <= PAGES - min; first++) {
      const alloc = naive.noBits().map((_, i) => i < first || i >= first + min);
      const data = pallocData(palloc, alloc);
      const aligned = first % min === 0;
      same(data.hasScavengeCandidate(min), aligned, () => `has(${min}) at ${first}`);
      same(
        data.findScavengeCandidate(PAGES - 1, min, 1).npages,
        aligned ? min : 0,
        () => `find(${min}) at ${first}`,
      );
    }
  });

  it("findScavengeCandidate: pagesPerHugePage defaults to 0", () => {
    const data = new palloc.PallocData();
    expect(data.findScavengeCandidate(PAGES - 1, 1, 3)).toEqual({ start: PAGES - 3, npages: 3 });
    expect(data.findScavengeCandidate(PAGES - 1, 1, 3, 256)).toEqual({ start: 256, npages: 256 });
  });
}

/** Chunks with random runs in use, and random runs scavenged. */
function filled({ palloc: { PallocChunks } }: Subject, length: number, seed: number) {
  const chunks = new PallocChunks(length);
  const random = new Random(seed);
  const runs = (set: (first: number, count: number) => void) => {
    for (let page = random.below(40); page < PAGES; page += 1 + random.below(60)) {
      const count = 1 + random.below(Math.min(40, PAGES - page));
      set(page, count);
      page += count;
    }
  };
  for (let i = 0; i < length; i++) {
    const data = chunks.at(i);
    runs((first, count) => data.scavenged.setRange(first, count));
    if (i % 5) runs((first, count) => data.allocRange(first, count));
  }
  return chunks;
}

function chunksTests(subject: Subject): void {
  const { PallocChunks, PallocData } = subject.palloc;

  it.each([1, 2, 63, 300])("scan returns what the methods return, for %i chunks", (length) => {
    const chunks = filled(subject, length, length);
    const views = Array.from({ length }, (_, i) => chunks.at(i));
    const expected = (numbers: (data: (typeof views)[0]) => number[]) => views.flatMap(numbers);
    for (const min of MINS) {
      same(
        [...chunks.scan("hasScavengeCandidate", min)],
        expected((data) => [Number(data.hasScavengeCandidate(min))]),
        `has, min ${min}`,
      );
      for (const [searchIdx, max, huge] of [
        [511, 0, undefined],
        [300, Infinity, 0],
        [511, 100, 256],
      ] as const) {
        const found = expected((data) => {
          const { start, npages } = data.findScavengeCandidate(searchIdx, min, max, huge);
          return [start, npages];
        });
        const scanned = chunks.scan("findScavengeCandidate", searchIdx, min, max, huge);
        same([...scanned], found, `candidate from ${searchIdx}, min ${min}, max ${max}`);
      }
    }
    for (const [npages, searchIdx] of [
      [1, 0],
      [9, 200],
      [512, 0],
    ] as const) {
      const found = expected((data) => Object.values(data.find(npages, searchIdx)));
      same([...chunks.scan("find", npages, searchIdx)], found, `find ${npages} from ${searchIdx}`);
    }
    const sums = expected((data) => {
      const { start, max, end } = data.summarize();
      return [start, max, end];
    });
    same([...chunks.scan("summarize")], sums, "summarize");
  });

  it("begins with chunks that are all free", () => {
    const chunks = new PallocChunks(3);
    expect(chunks.length).toBe(3);
    expect([...chunks.scan("summarize")]).toEqual(Array(9).fill(PAGES));
    expect(chunks.at(2)).toBeInstanceOf(PallocData);
  });

  it("words shows all chunks, and writes to them", () => {
    const chunks = new PallocChunks(2);
    expect(chunks.words.length).toBe(32);
    chunks.at(1).allocRange(64, 64);
    chunks.at(0).scavenged.setRange(0, 1);
    expect([...chunks.words].map((word, i) => [i, word]).filter(([, word]) => word)).toEqual([
      [8, 1n],
      [17, 2n ** 64n - 1n],
    ]);
    chunks.words[0] = 3n;
    expect([...chunks.scan("find", 1, 0)]).toEqual([2, 2, 0, 0]);
  });

  it("views keep the memory of their chunks", () => {
    const view = new PallocChunks(1).at(0);
    view.allocRange(0, 5);
    expect(view.alloc.popcntRange(0, PAGES)).toBe(5);
  });

  it("ignores further arguments", () => {
    const scan = (...args: unknown[]) => [
      ...(new PallocChunks(1).scan as (...args: unknown[]) => Int16Array).apply(new PallocChunks(1), args),
    ];
    expect(scan("summarize", 1n)).toEqual([PAGES, PAGES, PAGES]);
    expect(scan("hasScavengeCandidate", 8, 1n)).toEqual([1]);
    expect(scan("find", 8, 0, Symbol())).toEqual([0, 0]);
  });

  it("keeps its length", () => {
    const chunks = new PallocChunks(1);
    expect(() => {
      (chunks as { length: number }).length = 8;
    }).toThrow(TypeError);
    class Longer extends PallocChunks {
      // @ts-expect-error: a field in place of a getter
      override length = 8;
    }
    expect(new Longer(1).scan("summarize").length).toBe(3);
  });

  it("refuses bad arguments and names them", () => {
    const chunks = new PallocChunks(2);
    const scan = chunks.scan.bind(chunks) as (...args: unknown[]) => unknown;
    const cases: [error: typeof TypeError, name: string, call: () => unknown][] = [
      [RangeError, "length must be an integer from 1 to 1048576, got 0", () => new PallocChunks(0)],
      [RangeError, "length", () => new PallocChunks(2 ** 20 + 1)],
      [TypeError, "length", () => new PallocChunks("2" as never)],
      [RangeError, "i must be an integer from 0 to 1, got 2", () => chunks.at(2)],
      [TypeError, "i", () => chunks.at(undefined as never)],
      [RangeError, "kernel must be hasScavengeCandidate, ", () => scan("popcnt")],
      [TypeError, "kernel", () => scan()],
      [RangeError, "min", () => scan("hasScavengeCandidate", 3)],
      [TypeError, "min", () => scan("hasScavengeCandidate")],
      [TypeError, "searchIdx", () => scan("find", 1)],
      [TypeError, "max", () => scan("findScavengeCandidate", 511, 8)],
      [TypeError, "searchIdx", () => scan("findScavengeCandidate", undefined, 8, 8)],
      [RangeError, "searchIdx", () => scan("findScavengeCandidate", 512, 1, 1)],
      [RangeError, "max", () => scan("findScavengeCandidate", 511, 1, -1)],
      [RangeError, "pagesPerHugePage", () => scan("findScavengeCandidate", 511, 1, 1, 3)],
      [RangeError, "npages", () => scan("find", 513, 0)],
      [TypeError, "searchIdx", () => scan("find", 1, "0")],
    ];
    for (const [error, name, call] of cases) refused(call, { error, names: [name] }, name);
  });
}
