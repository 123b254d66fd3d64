// Sets of addresses, against a list of all addresses.
import { describe, expect, it } from "vitest";
import { type Range, Ranges } from "../src/trace/ranges.ts";
import { Random } from "./support/random.ts";

/** Returns the ranges of [start, end) whose addresses are in the set, or are not. */
function rangesOf(set: readonly boolean[], start: number, end: number, isIn: boolean): Range[] {
  const found: Range[] = [];
  for (let at = start; at < end; at++) {
    if (set[at] !== isIn) continue;
    const first = at;
    while (at < end && set[at] === isIn) at++;
    found.push([first, at]);
  }
  return found;
}

describe("Ranges", () => {
  it.each([1, 2, 3, 4])("has what a plain list has, seed %i", (seed) => {
    const random = new Random(seed);
    const ranges = new Ranges();
    const plain = new Array<boolean>(2000).fill(false);
    for (let step = 0; step < 3000; step++) {
      const start = random.below(1900);
      // Small ranges first, so that there are more than fit in a leaf.
      const end = start + random.between(1, step < 2000 ? 3 : 60);
      expect(ranges.missing(start, end)).toEqual(rangesOf(plain, start, end, false));
      expect(ranges.overlaps(start, end)).toBe(plain.slice(start, end).includes(true));
      const adds = Math.floor(step / 500) % 2 === 0;
      if (adds) ranges.add(start, end);
      else expect(ranges.remove(start, end)).toEqual(rangesOf(plain, start, end, true));
      plain.fill(adds, start, end);
      expect(ranges.end).toBe(plain.lastIndexOf(true) + 1);
    }
    expect(ranges.remove(0, 2000)).toEqual(rangesOf(plain, 0, 2000, true));
    expect([ranges.end, ranges.missing(5, 9)]).toEqual([0, [[5, 9]]]);
  });

  it("joins what touches", () => {
    const ranges = new Ranges();
    ranges.add(0, 1);
    ranges.add(2, 3);
    ranges.add(1, 2);
    expect(ranges.remove(0, 10)).toEqual([[0, 3]]);
  });
});
