// Snapshots: the whole state as bytes, and back.
import { describe, expect, it } from "vitest";
import { HEADER_BYTES, HEADER_VERSION, VERSION } from "../../src/engine/layout.ts";
import { bitsOf, CHUNK, grownHeap, PAGE, touchedHeap } from "../support/heaps.ts";
import { refused } from "../support/refusals.ts";
import { same, sameBytes } from "../support/same.ts";
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
    bytesTests(subject);
    versionTests(subject);
    damageTests(subject);
  });
}

function restoreTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("restore into the object that was asked for, whatever its constructor makes before", () => {
    class Two extends PageAlloc {
      readonly other: PageAlloc;
      constructor() {
        const other = new PageAlloc({ pageSize: 512 });
        super();
        this.other = other;
      }
    }
    const two = Two.restore(busyHeap(palloc).snapshot()) as Two;
    expect(two.stats().inUse).toBe(busyHeap(palloc).stats().inUse);
    expect([two.other.pageSize, two.other.stats().inUse]).toEqual([512, 0]);
  });

  it("restore the same state", () => {
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

  it("of an empty heap can be restored", () => {
    const copy = PageAlloc.restore(new PageAlloc().snapshot());
    expect(bitsOf(copy)).toEqual({ alloc: {}, scavenged: {} });
    copy.grow(0, CHUNK);
    expect(copy.alloc(1)).toBe(0);
  });

  it("are independent copies", () => {
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

  it("can be restored from a view of a larger buffer", () => {
    const snapshot = busyHeap(palloc).snapshot();
    const larger = new Uint8Array(snapshot.length + 20);
    larger.set(snapshot, 3);
    const copy = PageAlloc.restore(larger.subarray(3, 3 + snapshot.length));
    expect(copy.snapshot()).toEqual(snapshot);
  });

  it("can be restored with hooks", () => {
    const released: number[] = [];
    const unused = (_base: number, nbytes: number) => void released.push(nbytes);
    PageAlloc.restore(touchedHeap(palloc, [1]).snapshot(), { sys: { unused } }).scavenge();
    expect(released).toEqual([CHUNK]);
  });
}

/** A kind of Uint8Array whose own ways to copy its bytes, or to tell how many they are, are no help. */
class Odd extends Uint8Array {
  static get [Symbol.species]() {
    return class Larger extends Uint8Array {
      constructor() {
        super(2 ** 17);
      }
    } as never;
  }
  override get length() {
    return 3;
  }
  override get byteOffset() {
    return 0;
  }
  override get buffer() {
    return new ArrayBuffer(2 ** 17);
  }
  override slice = () => this as never;
  override [Symbol.iterator] = () => [][Symbol.iterator]();
}

const ROOM = { maxByteLength: 2 ** 17 };
/** Every kind of Uint8Array, as a view of a buffer from byte `from` on, for those bytes. */
const KINDS: [kind: string, make: (length: number, from: number) => Uint8Array][] = [
  ["a view", (length, from) => new Uint8Array(new ArrayBuffer(length + 2 * from), from, length)],
  ["a subclass", (length, from) => new Odd(new ArrayBuffer(length + 2 * from), from, length)],
  ["of a resizable buffer", (length, from) => new Uint8Array(new ArrayBuffer(2 ** 16, ROOM), from, length)],
  ["that ends with its buffer", (length, from) => new Uint8Array(new ArrayBuffer(length + from, ROOM), from)],
  ["of shared memory", (length, from) => new Uint8Array(new SharedArrayBuffer(2 ** 16), from, length)],
  ...(typeof Buffer === "function"
    ? ([["a Buffer", (length, from) => Buffer.from(new ArrayBuffer(2 ** 16), from, length)]] as typeof KINDS)
    : []),
];

/** Where a typed array really is. */
function placeOf(bytes: Uint8Array): [ArrayBufferLike, number, number] {
  const get = (name: string) => Reflect.get(Object.getPrototypeOf(Uint8Array.prototype), name, bytes);
  return [get("buffer"), get("byteOffset"), get("length")];
}

function bytesTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;
  const snapshot = busyHeap(palloc).snapshot();

  it.each(KINDS.flatMap(([kind, make]) => [0, 3, 4].map((from) => [kind, from, make] as const)))(
    "are copied from a Uint8Array (%s) that starts %i bytes into its buffer",
    (_, from, make) => {
      const bytes = make(snapshot.length, from);
      const [buffer, at, length] = placeOf(bytes);
      const whole = new Uint8Array(buffer);
      whole.fill(0x5a);
      whole.set(snapshot, at);
      expect([at, length]).toEqual([from, snapshot.length]);
      const before = whole.slice();
      const heap = PageAlloc.restore(bytes);
      sameBytes(heap.snapshot(), snapshot, "restored");
      heap.alloc(1);
      heap.scavenge();
      sameBytes(whole, before, "the caller's buffer");
      const state = heap.snapshot();
      whole.fill(0xff);
      sameBytes(heap.snapshot(), state, "once the caller's buffer has changed");
      expect(() => PageAlloc.restore(bytes)).toThrow(corrupt);
      heap.check();
    },
  );

  it("of an empty heap can be restored from a Buffer in Node's shared pool", () => {
    if (typeof Buffer !== "function") return;
    const small = new PageAlloc().snapshot();
    const bytes = Buffer.from(small);
    expect(bytes.buffer.byteLength).toBeGreaterThan(small.length);
    sameBytes(PageAlloc.restore(bytes).snapshot(), small, "restored");
    sameBytes(bytes, small, "the caller's bytes");
  });

  it("whose buffer is detached or shrunk are refused", () => {
    const detached = snapshot.slice();
    structuredClone(detached, { transfer: [detached.buffer] });
    const shrunk = KINDS.slice(2, 4).map(([, make]) => make(snapshot.length, 8));
    for (const bytes of shrunk) (bytes.buffer as ArrayBuffer & { resize(n: number): void }).resize(4);
    for (const bytes of [detached, ...shrunk]) {
      const names = ["snapshot must keep its bytes", "detached or has shrunk"];
      refused(() => PageAlloc.restore(bytes), { error: TypeError, names }, "restore");
    }
  });

  it("that only claim to be Uint8Arrays are refused", () => {
    const names = ["snapshot must be a Uint8Array"];
    const pretender = Object.create(Uint8Array.prototype);
    for (const value of [
      pretender,
      new Proxy(snapshot, {}),
      new Int8Array(448),
      new DataView(snapshot.buffer),
    ])
      refused(() => PageAlloc.restore(value as never), { error: TypeError, names }, "restore");
  });
}

function versionTests({ palloc: { PageAlloc } }: Subject): void {
  it.each([0, 1, VERSION - 1, VERSION + 1, 2 ** 32 - 1])(
    "of layout version %i are refused by their version",
    (version) => {
      const names = [`snapshot has layout version ${version}; this palloc reads version ${VERSION}`];
      for (const length of [8, 11, HEADER_BYTES - 8, HEADER_BYTES, 1000]) {
        const snapshot = new Uint8Array(length);
        snapshot.set(new PageAlloc().snapshot().subarray(0, length));
        new DataView(snapshot.buffer).setUint32(HEADER_VERSION, version, true);
        refused(() => PageAlloc.restore(snapshot), { error: "ERR_CORRUPT", names }, `${length} bytes`);
      }
    },
  );
}

function damageTests({ palloc }: Subject): void {
  const { PageAlloc } = palloc;

  it("with one byte changed are refused, whichever it is", () => {
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

  it("with two bytes changed or swapped are refused", () => {
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

  it("that are too short or too long are refused", () => {
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

  it("that are something else are refused", () => {
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
