// Snapshots: the whole state as bytes, and back.
import { describe, expect, it } from "vitest";
import { CHUNK, grownHeap, PAGE, touchedHeap } from "../support/heaps.ts";
import { same } from "../support/same.ts";
import type { PageAlloc, Palloc, Subject } from "../support/subject.ts";

const corrupt = expect.objectContaining({ code: "ERR_CORRUPT" });

/** A heap with something in every part of its state. */
function busyHeap(palloc: Palloc): PageAlloc {
  const heap = grownHeap(palloc, [0, 1, 70, 9000], { physPageSize: 4 * PAGE });
  for (let n = 1; n < 20; n++) heap.alloc(n);
  heap.free(10 * PAGE, 30);
  heap.resetScavengeAddr();
  heap.scavenge(3 * PAGE);
  return heap;
}

export function snapshotSuite(subject: Subject): void {
  describe("snapshots", () => {
    restoreTests(subject);
    damageTests(subject);
  });
}

function restoreTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("restore to the very same state", () => {
    const heap = busyHeap(palloc);
    const copy = PageAlloc.restore(heap.snapshot());
    copy.check();
    expect(copy.snapshot()).toEqual(heap.snapshot());
    expect(copy.ranges()).toEqual(heap.ranges());
    expect(copy.stats()).toEqual({ ...heap.stats(), metadata: copy.stats().metadata });
    expect([copy.scavAddr, copy.searchAddr]).toEqual([heap.scavAddr, heap.searchAddr]);
    expect([copy.pageSize, copy.chunkBytes]).toEqual([heap.pageSize, heap.chunkBytes]);
    expect([1, 5, 600].map((n) => copy.alloc(n))).toEqual([1, 5, 600].map((n) => heap.alloc(n)));
    expect(copy.scavenge()).toBe(heap.scavenge());
    expect(copy.snapshot()).toEqual(heap.snapshot());
  });

  it("keep every option", () => {
    const options = { pageSize: 4096, physPageSize: 32768, physHugePageSize: 65536, heapAddrBits: 33 };
    const copy = PageAlloc.restore(touchedHeap(palloc, [0], options).snapshot());
    expect(copy.pageSize).toBe(4096);
    expect(copy.scavengeOne(1)).toBe(65536);
    expect(() => copy.grow(2 ** 33, 1)).toThrow(RangeError);
  });

  it("of an empty heap", () => {
    const copy = PageAlloc.restore(new PageAlloc().snapshot());
    expect(copy.ranges()).toEqual({ alloc: {}, scavenged: {} });
    copy.grow(0, CHUNK);
    expect(copy.alloc(1)).toBe(0);
  });

  it("are copies", () => {
    const heap = busyHeap(palloc);
    const snapshot = heap.snapshot();
    const before = snapshot.slice();
    const copy = PageAlloc.restore(snapshot);
    const state = copy.snapshot();
    heap.alloc(100);
    copy.alloc(1);
    expect(snapshot).toEqual(before);
    const other = PageAlloc.restore(snapshot);
    snapshot.fill(0);
    expect(other.snapshot()).toEqual(state);
  });

  it("restore from a view into a larger buffer", () => {
    const snapshot = busyHeap(palloc).snapshot();
    const larger = new Uint8Array(snapshot.length + 20);
    larger.set(snapshot, 3);
    const copy = PageAlloc.restore(larger.subarray(3, 3 + snapshot.length));
    expect(copy.snapshot()).toEqual(snapshot);
  });

  it("restore takes hooks", () => {
    const released: number[] = [];
    const unused = (_base: number, nbytes: number) => void released.push(nbytes);
    PageAlloc.restore(touchedHeap(palloc, [1]).snapshot(), { sys: { unused } }).scavenge();
    expect(released).toEqual([CHUNK]);
  });
}

function damageTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("with any one byte changed are refused", () => {
    const snapshot = grownHeap(palloc, [3]).snapshot();
    for (let at = 0; at < snapshot.length; at++) {
      for (const flip of [0x01, 0x10, 0x80, 0xff]) {
        const damaged = snapshot.slice();
        damaged[at] ^= flip;
        same(
          codeOf(() => PageAlloc.restore(damaged)),
          "ERR_CORRUPT",
          () => `byte ${at} ^ ${flip}`,
        );
      }
    }
  });

  it("with two bytes changed, or swapped, are refused", () => {
    const snapshot = busyHeap(palloc).snapshot();
    for (let at = 0; at + 8 < snapshot.length; at += 5) {
      const changed = snapshot.slice();
      changed[at]++;
      changed[at + 1]--;
      same(
        codeOf(() => PageAlloc.restore(changed)),
        "ERR_CORRUPT",
        () => `bytes ${at} and ${at + 1} changed`,
      );
      if (snapshot[at] === snapshot[at + 8]) continue;
      const swapped = snapshot.slice();
      swapped[at] = snapshot[at + 8];
      swapped[at + 8] = snapshot[at];
      same(
        codeOf(() => PageAlloc.restore(swapped)),
        "ERR_CORRUPT",
        () => `bytes ${at} and ${at + 8} swapped`,
      );
    }
  });

  it("cut short or made longer are refused", () => {
    const snapshot = grownHeap(palloc, [3]).snapshot();
    for (let length = 0; length < snapshot.length; length++) {
      const code = codeOf(() => PageAlloc.restore(snapshot.subarray(0, length)));
      same(code, "ERR_CORRUPT", () => `${length} bytes`);
    }
    for (const more of [1, 4, 8, 4096]) {
      const longer = new Uint8Array(snapshot.length + more);
      longer.set(snapshot);
      same(
        codeOf(() => PageAlloc.restore(longer)),
        "ERR_CORRUPT",
        () => `${more} bytes more`,
      );
    }
  });

  it("that are no snapshots are refused", () => {
    expect(() => PageAlloc.restore(new Uint8Array(0))).toThrow(corrupt);
    expect(() => PageAlloc.restore(new Uint8Array(4096))).toThrow(corrupt);
    expect(() => PageAlloc.restore(new TextEncoder().encode("a snapshot".repeat(100)))).toThrow(corrupt);
  });
}

/** The code of what a call throws. */
function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return "no error";
  } catch (error) {
    return (error as { code?: string }).code;
  }
}
