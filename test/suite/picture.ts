// Heaps and chunks as text, for people.
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE } from "../support/heaps.ts";
import type { Subject } from "../support/subject.ts";

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

export function pictureSuite({ label, palloc }: Subject): void {
  const { PageAlloc, PallocData } = palloc;

  describe("pictures", () => {
    it("a chunk shows a character for each page", () => {
      const data = new PallocData();
      data.scavenged.setRange(64, 3);
      data.allocRange(2, 63);
      const free = ".".repeat(64);
      expect(data.toString().split("\n")).toEqual([
        `..${"#".repeat(62)}`,
        `#~~${".".repeat(61)}`,
        ...Array.from({ length: 6 }, () => free),
      ]);
      expect((data as unknown as Record<symbol, () => string>)[INSPECT]()).toBe(data.toString());
    });

    it("a chunk's holes are blank", () => {
      const heap = new PageAlloc();
      heap.grow(CHUNK + 500 * PAGE, 12 * PAGE);
      heap.alloc(1);
      expect(heap.chunk(1).toString().split("\n")[7]).toBe(`${" ".repeat(52)}#${"~".repeat(11)}`);
    });

    it("a heap shows its numbers and its mapped ranges in at most ten lines", () => {
      const heap = new PageAlloc();
      for (let i = 0; i < 6; i++) heap.grow(2 * i * CHUNK, CHUNK);
      heap.alloc(20);
      const lines = heap.toString().split("\n");
      expect(lines[0]).toBe(`PageAlloc on ${label}, pages of ${PAGE} bytes`);
      const { sys, inUse, free, released } = heap.stats();
      expect(lines[1]).toBe(`sys ${sys} = in use ${inUse} + free ${free}, of which released ${released}`);
      expect(lines[4]).toBe(`0 to ${CHUNK} [##+${"~".repeat(61)}] ${8 * PAGE} bytes each`);
      expect(lines.at(-2)).toBe("and 2 more mapped ranges");
      expect(lines.length).toBeLessThanOrEqual(10);
      expect((heap as unknown as Record<symbol, () => string>)[INSPECT]()).toBe(heap.toString());
    });

    it("heaps of one page, empty heaps and disposed heaps have a picture too", () => {
      const heap = new PageAlloc();
      expect(heap.toString()).toContain("sys 0 = in use 0 + free 0");
      heap.grow(PAGE, PAGE);
      expect(heap.toString()).toContain(`${PAGE} to ${2 * PAGE} [~] ${PAGE} bytes each`);
      heap.dispose();
      expect(heap.toString()).toBe("PageAlloc, disposed of");
    });
  });
}
