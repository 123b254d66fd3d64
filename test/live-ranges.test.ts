// The table of pages in use that readers of incomplete logs have, against a list of all pages.
import { describe, expect, it } from "vitest";
import { LiveRanges } from "../src/trace/live-ranges.ts";
import { Random } from "./support/random.ts";

/** Finds the first range that ends after a page, the plainest way. */
function plainSeek(ranges: ReadonlyMap<number, number>, page: number): [number, number] {
  const after = [...ranges].filter(([start, npages]) => start + npages > page);
  return after.sort(([a], [b]) => a - b)[0] ?? [Infinity, 0];
}

describe("LiveRanges", () => {
  it.each([1, 2, 3, 4])("finds what a plain list finds, seed %i", (seed) => {
    const random = new Random(seed);
    const live = new LiveRanges();
    const plain = new Map<number, number>();
    // More than two leaves' worth come and go, dense enough for ranges to reach over the borders of leaves.
    for (let step = 0; step < 3000; step++) {
      const page = random.below(4000);
      const npages = random.oneIn(20) ? 200 : random.between(1, 4);
      live.seek(page);
      expect([live.start, live.start === Infinity ? 0 : live.length]).toEqual(plainSeek(plain, page));
      const fills = Math.floor(step / 750) % 2 === 0;
      if (live.start < page + npages && !(fills && live.start >= page)) {
        plain.delete(live.start);
        live.remove();
      } else if (live.start >= page + npages) {
        plain.set(page, npages);
        live.insert(page, npages);
      }
    }
  });

  it("finds a range that reaches past the start of the next leaf", () => {
    const live = new LiveRanges();
    for (let page = 10; page <= 6000; page += 10) {
      live.seek(page);
      live.insert(page, 1);
    }
    // Any of them may be the first of a leaf.
    for (let page = 10; page <= 6000; page += 10) {
      live.seek(page);
      live.remove();
      live.seek(page - 5);
      live.insert(page - 5, 9);
      live.seek(page + 2);
      expect([live.start, live.length]).toEqual([page - 5, 9]);
    }
  });

  it("keeps ranges that are added in order, and gives them up in order", () => {
    const live = new LiveRanges();
    for (let page = 0; page < 5000; page++) {
      live.seek(2 * page);
      live.insert(2 * page, 1);
    }
    for (let page = 0; page < 5000; page++) {
      live.seek(2 * page);
      expect(live.start).toBe(2 * page);
      live.remove();
    }
    live.seek(0);
    expect(live.start).toBe(Infinity);
  });
});
