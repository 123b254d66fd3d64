// One state, two engines: a snapshot of one restores in the other, to the byte, and goes on the same.
import { describe, expect, it } from "vitest";
import { Chaos } from "../support/chaos.ts";
import { CHUNK, grownHeap, PAGE } from "../support/heaps.ts";
import { Random } from "../support/random.ts";
import { same, sameBytes } from "../support/same.ts";
import type { PageAlloc, Subject } from "../support/subject.ts";

export function acrossEnginesSuite(subjects: readonly Subject[]): void {
  for (const from of subjects) {
    for (const to of subjects.filter((subject) => subject !== from)) {
      describe(`a snapshot of ${from.label} restored in ${to.label}`, () => restoreTests(from, to));
    }
  }

  describe("both engines", () => {
    it("export the same names", () => {
      const [names, ...others] = subjects.map(({ palloc }) => Object.keys(palloc).sort());
      for (const other of others) expect(other).toEqual(names);
    });

    it("say their names", () => {
      for (const { label, palloc } of subjects) expect(new palloc.PageAlloc().engine).toBe(label);
    });

    it.each(Array.from({ length: 60 }, (_, i) => i + 1))(
      "behave the same with hooks that make random calls, seed %i",
      (seed) => {
        const [first, ...others] = subjects.map(({ palloc }) => {
          const chaos = new Chaos(palloc, seed);
          chaos.run(150);
          return chaos;
        });
        for (const other of others) {
          same(other.log.length, first.log.length, "number of calls");
          other.log.forEach((line, i) => {
            same(line, first.log[i], () => `after ${first.log[i - 1]}`);
          });
          sameBytes(other.heap.snapshot(), first.heap.snapshot(), "snapshot");
        }
      },
    );

    it("share one error class", () => {
      const [PageAllocError, ...others] = subjects.map(({ palloc }) => palloc.PageAllocError);
      for (const other of others) expect(other).toBe(PageAllocError);
    });
  });
}

function restoreTests(from: Subject, to: Subject): void {
  it("has the same bytes, also after further calls", () => {
    const heap = grownHeap(from.palloc, [0, 1, 9, 30000], { physPageSize: 2 * PAGE });
    const random = new Random(7);
    const live: [base: number, npages: number][] = [];
    const step = (...heaps: PageAlloc[]) => {
      const npages = random.between(1, 90);
      const bases = heaps.map((h) => h.alloc(npages));
      for (const base of bases) same(base, bases[0], "alloc");
      if (bases[0] !== -1) live.push([bases[0], npages]);
      if (live.length > 20) {
        const [piece] = live.splice(random.below(live.length), 1);
        for (const h of heaps) h.free(...piece);
      }
      const nbytes = random.below(100 * PAGE);
      if (random.oneIn(10)) for (const h of heaps) h.resetScavengeAddr();
      const released = heaps.map((h) => h.scavenge(nbytes));
      for (const r of released) same(r, released[0], "scavenge");
    };

    for (let k = 0; k < 100; k++) step(heap);
    const copy = to.palloc.PageAlloc.restore(heap.snapshot());
    expect(copy.engine).toBe(to.label);
    expect(copy.snapshot()).toEqual(heap.snapshot());
    for (let k = 0; k < 100; k++) step(heap, copy);
    expect(copy.snapshot()).toEqual(heap.snapshot());
    copy.check();
  });

  it("has the pages of page caches free, with their scavenged bits", () => {
    const heap = grownHeap(from.palloc, [1]);
    heap.free(heap.alloc(5), 5);
    const untouched = heap.ranges();
    const cache = heap.allocToCache();
    const copy = to.palloc.PageAlloc.restore(heap.snapshot());
    expect(copy.ranges()).toEqual(untouched);
    expect(copy.alloc(1)).toBe(CHUNK);
    copy.check();
    cache.alloc(3);
    const second = to.palloc.PageAlloc.restore(heap.snapshot());
    expect(second.stats()).toMatchObject({ inUse: 3 * PAGE });
    expect(second.alloc(1)).toBe(CHUNK + 3 * PAGE);
    second.check();
  });
}
