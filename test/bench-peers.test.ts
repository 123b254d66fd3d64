// The peers of the benchmark hand out no unit twice, merge free neighbours, and refuse a second free.
import { PageAlloc } from "palloc/ts";
import { describe, expect, it } from "vitest";
import { PEERS } from "../bench/peers/index.mjs";
import { randomBelow } from "../bench/random.mjs";

interface Allocator {
  alloc(size: number): number;
  offset(block: number): number;
  free(block: number): void;
}
type Make = (size: number, blocks: number) => Allocator;

/** A power of two, so that a list or bin begins with it. */
const SIZE = 1024;
const PAGE = 8192;

/** Allocates and frees at random. `allocated` gets -1 when there is no room. Returns the live blocks. */
function churn(
  allocator: Allocator,
  allocated: (offset: number, size: number) => void,
  freed: (offset: number, size: number) => void,
): number[] {
  const below = randomBelow(1);
  const live: Array<{ block: number; size: number }> = [];
  for (let i = 0; i < 5000; i++) {
    const size = 1 + below(below(8) ? 12 : 200);
    const block = allocator.alloc(size);
    allocated(block < 0 ? block : allocator.offset(block), size);
    if (block >= 0) live.push({ block, size });
    while (live.length > (block < 0 ? 10 : 60)) {
      const [victim] = live.splice(below(live.length), 1);
      freed(allocator.offset(victim.block), victim.size);
      allocator.free(victim.block);
    }
  }
  return live.map(({ block }) => block);
}

describe.each(Object.entries(PEERS))("%s", (_, { make }: { make: Make }) => {
  it("hands out no unit twice, and merges free neighbours", () => {
    const allocator = make(SIZE, SIZE);
    const used = new Uint8Array(SIZE);
    const live = churn(
      allocator,
      (offset, size) => {
        if (offset < 0) return;
        expect(offset + size).toBeLessThanOrEqual(SIZE);
        expect(used.subarray(offset, offset + size)).not.toContain(1);
        used.fill(1, offset, offset + size);
      },
      (offset, size) => used.fill(0, offset, offset + size),
    );
    for (const block of live) allocator.free(block);
    expect(allocator.offset(allocator.alloc(SIZE))).toBe(0);
    expect(allocator.alloc(1)).toBe(-1);
  });

  it("refuses to free a block twice", () => {
    const allocator = make(SIZE, SIZE);
    for (const block of [1, 2, 3].map((size) => allocator.alloc(size))) {
      allocator.free(block);
      expect(() => allocator.free(block)).toThrow(RangeError);
    }
  });
});

it("@thi.ng/malloc is first fit by address, as the heap is", () => {
  using heap = new PageAlloc({ pageSize: PAGE });
  heap.grow(0, SIZE * PAGE);
  churn(
    PEERS.pool.make(SIZE),
    (offset, size) => {
      const base = heap.alloc(size);
      expect(base < 0 ? base : base / PAGE).toBe(offset);
    },
    (offset, size) => heap.free(offset * PAGE, size),
  );
});
