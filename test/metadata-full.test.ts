// When there is no linear memory left: every call that needs some says so and changes nothing, and goes on once other
// heaps have given some back.

import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KIND_CACHE } from "../src/engine/layout.ts";
import { CORE } from "../src/heap/core.ts";
import { CHUNK, grownHeap, PAGE, touchedHeap, visible } from "./support/heaps.ts";
import { PAGES } from "./support/naive.ts";
import type { PageAlloc, Palloc, PallocData } from "./support/subject.ts";

const full = expect.objectContaining({ code: "ERR_METADATA_FULL", message: expect.stringMatching(/memory/) });

/** Lets no memory of either engine grow any more. */
function stopGrowth(): void {
  const refuse = () => {
    throw new RangeError("no memory");
  };
  vi.spyOn(WebAssembly.Memory.prototype, "grow").mockImplementation(refuse);
  vi.stubGlobal("ArrayBuffer", refuse);
}

/** Takes all memory that is left, and gives what it took. */
function takeAll({ PallocData }: Palloc): PallocData[] {
  const taken: PallocData[] = [];
  try {
    for (;;) taken.push(new PallocData());
  } catch (error) {
    expect(error).toEqual(full);
  }
  return taken;
}

/** Takes page caches until there is no room for the record of another. */
function fillRecords(heap: PageAlloc): void {
  expect(() => {
    while (!heap.allocToCache().empty);
  }).toThrow(full);
  // A cache takes a record, and an index beside it: there may be room for a record alone.
  expect(() => {
    heap[CORE].locked((core) => {
      for (;;) core.newRecord(KIND_CACHE, { chunk: 0, index: 0 }, 0);
    });
  }).toThrow(full);
}

/** So many that their blocks need more records than there is room for. */
const CHUNKS = Array.from({ length: 200 }, (_, i) => i + 1);

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("without memory for metadata (%s)", (_, palloc) => {
  const { PageAlloc } = palloc;

  // What a test has taken must not be collected before its end.
  let taken: PallocData[];
  beforeEach(() => {
    taken = [];
  });
  afterEach(() => {
    expect(taken.length).toBeGreaterThanOrEqual(0);
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });
  const run = (calls: () => void) => {
    stopGrowth();
    taken = takeAll(palloc);
    calls();
  };

  it("no heap and no PallocData can be created", () => {
    const snapshot = grownHeap(palloc, [1]).snapshot();
    run(() => {
      expect(() => new PageAlloc()).toThrow(full);
      expect(() => PageAlloc.from({ alloc: { 1: [] } })).toThrow(full);
      expect(() => PageAlloc.restore(snapshot)).toThrow(full);
      expect(() => new palloc.PallocData()).toThrow(full);
    });
  });

  it("a heap does not grow and stays as it was", () => {
    const heap = grownHeap(palloc, [1]);
    const other = grownHeap(palloc, [1, 100, 200, 300]);
    heap.alloc(3);
    run(() => {
      const before = heap.snapshot();
      expect(() => heap.grow(1000 * CHUNK, 100 * CHUNK)).toThrow(full);
      expect(heap.snapshot()).toEqual(before);
      heap.check();
      expect(heap.alloc(1)).toBe(CHUNK + 3 * PAGE);
      other.dispose();
      heap.grow(1000 * CHUNK, CHUNK);
      heap.check();
    });
  });

  it("a heap grows elsewhere with the nodes of chunks that were unmapped", () => {
    const heap = grownHeap(palloc, [1, 100, 101, 500]);
    run(() => {
      // Uses up the room that is left in the region.
      for (let chunk = 110; chunk < 127; chunk += 8) {
        try {
          heap.grow(chunk * CHUNK, CHUNK);
        } catch (error) {
          expect(error).toEqual(full);
        }
      }
      expect(() => heap.grow(200 * CHUNK, CHUNK)).toThrow(full);
      for (const [base, limit] of heap.mappedRanges())
        if (base >= 100 * CHUNK && limit <= 127 * CHUNK) heap.unmap(base, limit - base);
      heap.grow(200 * CHUNK, 3 * CHUNK);
      heap.check();
      expect(heap.alloc(3 * PAGES)).toBe(200 * CHUNK);
    });
  });

  it("a shared heap at its limit grows again over what was unmapped", () => {
    const heap = new PageAlloc({ shared: true, metadataLimit: 2 ** 16 });
    const grown: number[] = [];
    expect(() => {
      for (let chunk = 0; ; chunk += 64) {
        heap.grow(chunk * CHUNK, CHUNK);
        grown.push(chunk);
      }
    }).toThrow(full);
    for (const chunk of grown) {
      heap.unmap(chunk * CHUNK, CHUNK);
      heap.grow(chunk * CHUNK, CHUNK);
    }
    heap.check();
    expect(heap.stats().sys).toBe(grown.length * CHUNK);
  });

  it("a heap that fails to be created frees its memory", () => {
    const other = grownHeap(palloc, [1]);
    run(() => {
      other.dispose();
      const alloc = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [i * 1000, []]));
      for (let k = 0; k < 20; k++) expect(() => PageAlloc.from({ alloc })).toThrow(full);
      expect(grownHeap(palloc, [1]).alloc(1)).toBe(CHUNK);
    });
  });

  it("a cache is refused and its pages stay free", () => {
    const heap = grownHeap(palloc, CHUNKS);
    run(() => {
      fillRecords(heap);
      const before = heap.snapshot();
      expect(() => heap.allocToCache()).toThrow(full);
      expect(heap.snapshot()).toEqual(before);
      heap.check();
    });
  });

  it("pages stay as they were if their hook cannot run", () => {
    const sys = { unused: vi.fn(), used: vi.fn() };
    const heap = touchedHeap(palloc, CHUNKS, { sys });
    heap.scavengeRange(200 * CHUNK, 100);
    sys.unused.mockClear();
    run(() => {
      fillRecords(heap);
      const before = visible(heap);
      expect(() => heap.scavenge()).toThrow(full);
      expect(() => heap.scavengeRange(200 * CHUNK, 200)).toThrow(full);
      expect(() => heap.unmap(200 * CHUNK, CHUNK)).toThrow(full);
      expect(() => heap.allocRange(200 * CHUNK, 10)).toThrow(full);
      expect(visible(heap)).toEqual(before);
      heap.check();
      expect(sys.unused).not.toHaveBeenCalled();
      expect(sys.used).not.toHaveBeenCalled();
    });
  });

  it("an allocation is undone if its hook cannot run", () => {
    const heap = grownHeap(palloc, CHUNKS, { sys: { used: vi.fn() } });
    run(() => {
      fillRecords(heap);
      const before = visible(heap);
      expect(() => heap.alloc(2)).toThrow(full);
      expect(visible(heap)).toEqual(before);
      heap.check();
    });
  });

  it("a cache keeps its pages if its hook cannot run", () => {
    const heap = grownHeap(palloc, CHUNKS, { sys: { used: vi.fn() } });
    const cache = heap.allocToCache();
    cache.alloc(3);
    run(() => {
      fillRecords(heap);
      const before = heap.snapshot();
      const words = [cache.cache, cache.scav, cache.lastAllocScavenged];
      expect(() => cache.alloc(2)).toThrow(full);
      expect([cache.cache, cache.scav, cache.lastAllocScavenged]).toEqual(words);
      expect(heap.snapshot()).toEqual(before);
      heap.check();
    });
  });

  it("a batch creates either all its missing caches or none", () => {
    const heap = grownHeap(palloc, CHUNKS);
    const last = heap.allocToCache();
    run(() => {
      fillRecords(heap);
      // Leaves a record to be used again.
      last.flush();
      const before = heap.snapshot();
      const caches = [undefined, undefined, undefined];
      expect(() => heap.run(new Float64Array([0, 1, 0, 0]), new Float64Array(2), { caches })).toThrow(full);
      expect(caches.every((cache) => cache === undefined)).toBe(true);
      expect(heap.snapshot()).toEqual(before);
      heap.check();
    });
  });

  it("memory of disposed heaps is reused", () => {
    const heaps = Array.from({ length: 50 }, () => touchedHeap(palloc, [1, 2]));
    run(() => {
      for (const heap of heaps) heap.dispose();
      for (let k = 0; k < 50; k++) expect(grownHeap(palloc, [k]).alloc(1)).toBe(k * CHUNK);
    });
  });
});
