// When there is no linear memory left for an index: the call says so and changes nothing.

import { GoHeap, ScavengeIndex } from "palloc/lab";
import { describe, expect, it, vi } from "vitest";
import { CHUNK } from "../../support/heaps.ts";
import { PAGES } from "../../support/naive.ts";
import { sameBytes } from "../../support/same.ts";
import type { Palloc, Subject } from "../../support/subject.ts";

const full = expect.objectContaining({ code: "ERR_METADATA_FULL" });
/** As many as some of a table's regions have room for. */
const CHUNKS = 128;

export function roomSuite({ label, palloc }: Subject): void {
  describe(`Go's scavengers without memory for metadata (${label})`, () => {
    it("no index is made", () => {
      const { PageAlloc } = palloc;
      for (const version of ["1.19", "1.22"] as const) {
        expect(errorWhenFull(palloc, () => new ScavengeIndex(PageAlloc, version, 2 ** 18))).toEqual(full);
      }
    });

    it.each(["1.19", "1.22"] as const)("a GoHeap of %s does not grow and stays as it was", (version) => {
      const go = new GoHeap(palloc.PageAlloc, { version });
      const { heap } = go;
      heap.grow(0, CHUNKS * CHUNK);
      // The heap can use the bookkeeping of what was unmapped. The index covers the chunks that it has had, no others.
      heap.unmap(CHUNK, (CHUNKS - 1) * CHUNK);
      heap.free(heap.alloc(PAGES), PAGES);
      const before = heap.snapshot();
      expect(errorWhenFull(palloc, () => heap.grow(CHUNKS * CHUNK, CHUNK))).toEqual(full);
      sameBytes(heap.snapshot(), before, "snapshot");
      expect(go.scavenge(Infinity, { force: true })).toBe(CHUNK);
      heap.grow(CHUNKS * CHUNK, CHUNK);
      heap.free(heap.alloc(PAGES), PAGES);
      expect(go.scavenge(Infinity, { force: true })).toBe(CHUNK);
      heap.check();
    });
  });
}

/** What a call throws when all memory is taken and grows no more; undefined if it does not throw. */
function errorWhenFull({ PallocData }: Palloc, call: () => unknown): unknown {
  const refuse = () => {
    throw new RangeError("no memory");
  };
  const taken = [new PallocData()];
  vi.spyOn(WebAssembly.Memory.prototype, "grow").mockImplementation(refuse);
  vi.stubGlobal("ArrayBuffer", refuse);
  const take = () => {
    for (;;) taken.push(new PallocData());
  };
  const [isFull, thrown] = [errorOf(take), errorOf(call)];
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  expect(isFull).toEqual(full);
  // What was taken must not be collected before.
  expect(taken.length).toBeGreaterThan(0);
  return thrown;
}

function errorOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
