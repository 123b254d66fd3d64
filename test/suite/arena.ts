// Arenas: what they give is what a naive list of blocks would give, and what they are told wrongly they refuse.
import { Arena } from "palloc/arena";
import { describe, expect, it } from "vitest";
import { visible } from "../support/heaps.ts";
import { NaiveArena } from "../support/naive-arena.ts";
import { Random } from "../support/random.ts";
import { NOT_COUNTS, NOT_NUMBERS, NOT_OBJECTS, refused } from "../support/refusals.ts";
import type { Subject } from "../support/subject.ts";

const UNIT = 256;

/** What is visible of an arena: its blocks, its bits, its counts. */
function seen(arena: Arena) {
  const { blocks, requested } = arena.stats();
  return { ...visible(arena.heap), blocks, requested, list: [...arena.blocks()] };
}

/** Makes random calls on an arena and on the list, which must agree. Returns how many moved a block. */
function race(arena: Arena, naive: NaiveArena, unit: number, random: Random, turns: number): number {
  let moved = 0;
  const size = () => Math.ceil(2 ** (random.below(1000) / 80)) + random.below(3);
  const align = () => (random.oneIn(3) ? unit * 2 ** random.below(5) : undefined);
  const some = () => random.pick(naive.live).offset;
  for (let turn = 0; turn < turns; turn++) {
    const call = naive.live.length ? random.weighted({ alloc: 5, free: 4, realloc: 4 }) : "alloc";
    if (call === "alloc") {
      const nbytes = size();
      const by = align();
      expect(arena.alloc(nbytes, by ? { align: by } : undefined)).toBe(naive.alloc(nbytes, by));
    } else if (call === "free") {
      const offset = some();
      arena.free(offset);
      naive.free(offset);
    } else {
      const offset = some();
      const nbytes = size();
      const by = random.oneIn(4) ? align() : undefined;
      const to = arena.realloc(offset, nbytes, by ? { align: by } : undefined);
      expect(to).toBe(naive.realloc(offset, nbytes, by));
      if (to >= 0 && to !== offset) moved++;
    }
    if (turn % 50) continue;
    expect([...arena.blocks()]).toEqual(naive.live);
    const { blocks, requested, inUse } = arena.stats();
    expect(blocks).toBe(naive.live.length);
    expect(requested).toBe(naive.live.reduce((sum, { nbytes }) => sum + nbytes, 0));
    expect(inUse).toBe(naive.live.reduce((sum, { nbytes }) => sum + naive.usable(nbytes), 0));
    for (const { offset, nbytes } of naive.live) expect(arena.usableSize(offset)).toBe(naive.usable(nbytes));
    arena.heap.check();
  }
  return moved;
}

export function arenaSuite({ label, shared, palloc: { PageAlloc } }: Subject): void {
  describe(`Arena (${label})`, () => {
    const kinds = shared ? [false, true] : [false];

    it.each([16, 64, 256, 1024, 2 ** 17])(
      "gives what a list of blocks gives, in units of %i bytes",
      (unit) => {
        for (const isShared of kinds) {
          for (const hooked of [false, true]) {
            const random = new Random(unit + Number(hooked));
            const size = unit * random.between(900, 1100) + 7;
            const sys = hooked ? { used: () => {}, unused: () => random.oneIn(2) } : undefined;
            const arena = new Arena(PageAlloc, size, { unit, shared: isShared, sys });
            const naive = new NaiveArena(size, unit);
            // Blocks of up to a fifth of the memory, whatever the unit.
            const moved = race(arena, naive, unit, random, unit > 1024 ? 400 : 1500);
            if (unit <= 256) expect(moved).toBeGreaterThan(5);
            arena.heap.scavenge();
            race(arena, naive, unit, random, 200);
          }
        }
      },
    );

    it("moves the bytes of a buffer, as far as both sizes reach", () => {
      const arena = new Arena(PageAlloc, new ArrayBuffer(64 * UNIT));
      const first = arena.alloc(1000);
      const second = arena.alloc(1);
      arena.view(first, Uint8Array, 1000).forEach((_, i, view) => {
        view[i] = i % 251;
      });
      const moved = arena.realloc(first, 2000);
      expect(moved).toBe(second + UNIT);
      const bytes = arena.view(moved, Uint8Array, 2000);
      expect(bytes.subarray(0, 1000).every((byte, i) => byte === i % 251)).toBe(true);
      expect(bytes.subarray(1000).every((byte) => byte === 0)).toBe(true);
      expect(arena.usableSize(moved)).toBe(2048);
      expect(() => arena.free(first)).toThrow(expect.objectContaining({ code: "ERR_NOT_ALLOCATED" }));
    });

    it("grows a block into what is free behind it, and shrinks it in place", () => {
      const arena = new Arena(PageAlloc, 16 * UNIT);
      const first = arena.alloc(UNIT);
      const second = arena.alloc(UNIT);
      arena.free(second);
      expect(arena.realloc(first, 16 * UNIT)).toBe(first);
      expect(arena.alloc(1)).toBe(-1);
      expect(arena.realloc(first, 3)).toBe(first);
      expect([...arena.blocks()]).toEqual([{ offset: 0, nbytes: 3 }]);
      expect(arena.alloc(15 * UNIT)).toBe(UNIT);
    });

    it("changes nothing when a block has no room to grow", () => {
      const arena = new Arena(PageAlloc, 16 * UNIT);
      const first = arena.alloc(5 * UNIT);
      arena.alloc(5 * UNIT);
      const before = seen(arena);
      expect(arena.realloc(first, 7 * UNIT)).toBe(-1);
      expect(arena.realloc(first, Number.MAX_SAFE_INTEGER)).toBe(-1);
      expect(arena.alloc(Number.MAX_SAFE_INTEGER)).toBe(-1);
      expect(seen(arena)).toEqual(before);
    });

    it("names the offset at which no block starts", () => {
      const arena = new Arena(PageAlloc, 2 ** 20);
      const offset = arena.alloc(1000);
      arena.free(arena.alloc(1));
      // Pages that another has are no block.
      const foreign = arena.heap.alloc(1);
      const before = seen(arena);
      for (const wrong of [
        -1,
        NaN,
        Infinity,
        offset + 1,
        offset + UNIT,
        1024,
        foreign + 2 * UNIT,
        2 ** 20,
        2 ** 40,
        2 ** 52,
        -UNIT,
      ]) {
        const names = [String(wrong), "no block starts"];
        const refusal = { error: "ERR_NOT_ALLOCATED", names };
        refused(() => arena.free(wrong), refusal, `free(${wrong})`);
        refused(() => arena.realloc(wrong, 5), refusal, `realloc(${wrong})`);
        refused(() => arena.usableSize(wrong), refusal, `usableSize(${wrong})`);
      }
      refused(
        () => arena.free(foreign),
        { error: "ERR_NOT_ALLOCATED", names: [String(foreign)] },
        "free(foreign)",
      );
      for (const value of NOT_NUMBERS)
        refused(() => arena.free(value as number), { error: TypeError, names: ["offset"] }, "free");
      expect(seen(arena)).toEqual(before);
      arena.free(offset);
      refused(
        () => arena.free(offset),
        { error: "ERR_NOT_ALLOCATED", names: [String(offset)] },
        "a second free",
      );
    });

    it("refuses a block whose pages its heap has freed", () => {
      const arena = new Arena(PageAlloc, 2 ** 20);
      const offset = arena.alloc(1000);
      arena.heap.free(offset, 2);
      expect(() => arena.heap.check()).toThrow(/block/);
      expect(() => arena.free(offset)).toThrow(expect.objectContaining({ code: "ERR_NOT_ALLOCATED" }));
    });

    it("refuses wrong arguments, and names them", () => {
      const arena = new Arena(PageAlloc, new ArrayBuffer(2 ** 20));
      const offset = arena.alloc(1000);
      const before = seen(arena);
      for (const value of NOT_NUMBERS) {
        const type = { error: TypeError, names: ["nbytes"] };
        refused(() => arena.alloc(value as number), type, "alloc");
        refused(() => arena.realloc(offset, value as number), type, "realloc");
        const memory = { error: TypeError, names: ["memory"] };
        refused(() => new Arena(PageAlloc, value as number), memory, "new Arena");
        if (value === undefined) continue;
        refused(
          () => arena.alloc(1, { align: value as number }),
          { error: TypeError, names: ["options.align"] },
          "alloc's align",
        );
        refused(
          () => new Arena(PageAlloc, 1e6, { unit: value as number }),
          { error: TypeError, names: ["options.unit"] },
          "unit",
        );
      }
      for (const value of [...NOT_COUNTS, 0]) {
        refused(() => arena.alloc(value), { error: RangeError, names: ["nbytes"] }, `alloc(${value})`);
        refused(
          () => arena.realloc(offset, value),
          { error: RangeError, names: ["nbytes"] },
          `realloc(${value})`,
        );
        refused(
          () => new Arena(PageAlloc, value),
          { error: RangeError, names: ["memory"] },
          `memory ${value}`,
        );
      }
      for (const align of [0, 3, UNIT * 3, UNIT * 2 ** 21])
        refused(
          () => arena.alloc(1, { align }),
          { error: RangeError, names: ["options.align"] },
          `align ${align}`,
        );
      for (const unit of [0, 8, 24, 2 ** 31])
        refused(
          () => new Arena(PageAlloc, 1e6, { unit }),
          { error: RangeError, names: ["options.unit"] },
          `unit ${unit}`,
        );
      for (const options of NOT_OBJECTS) {
        refused(() => arena.alloc(1, options as object), { error: TypeError, names: ["options"] }, "options");
        refused(
          () => new Arena(PageAlloc, 1e6, options as object),
          { error: TypeError, names: ["options"] },
          "options",
        );
      }
      refused(
        () => new Arena(PageAlloc, 255),
        { error: RangeError, names: ["memory", "256"] },
        "less than a unit",
      );
      refused(() => new Arena({} as never, 1e6), { error: TypeError, names: ["engine"] }, "no engine");
      expect(seen(arena)).toEqual(before);
      expect(arena.alloc(1, { align: 1 })).toBe(1024);
    });

    it("views blocks, and no more than they have", () => {
      const buffer = new ArrayBuffer(2 ** 16);
      const arena = new Arena(PageAlloc, buffer);
      arena.alloc(1);
      const offset = arena.alloc(300);
      const view = arena.view(offset, Float64Array, 64);
      expect([view.buffer, view.byteOffset, view.length]).toEqual([buffer, 256, 64]);
      expect(arena.view(offset, DataView, 512).byteLength).toBe(512);
      refused(
        () => arena.view(offset, Float64Array, 65),
        { error: RangeError, names: ["length", "64"] },
        "too long",
      );
      refused(
        () => arena.view(offset, DataView, 513),
        { error: RangeError, names: ["length", "512"] },
        "too long",
      );
      refused(
        () => arena.view(512, Uint8Array, 1),
        { error: "ERR_NOT_ALLOCATED", names: ["512"] },
        "no block",
      );
      refused(() => arena.view(offset, 5 as never, 1), { error: TypeError, names: ["type"] }, "no class");
      const sized = new Arena(PageAlloc, 2 ** 16);
      expect(() => sized.view(sized.alloc(1), Uint8Array, 1)).toThrow(/no buffer/);
    });

    it("lists blocks while they come and go", () => {
      const arena = new Arena(PageAlloc, 100 * UNIT);
      for (let i = 0; i < 100; i++) arena.alloc(1 + i);
      let count = 0;
      for (const { offset } of arena.blocks()) {
        arena.free(offset);
        count++;
      }
      expect([count, arena.stats().blocks, arena.stats().requested]).toEqual([100, 0, 0]);
      arena.heap.check();
    });

    it("follows a WebAssembly.Memory that grows, again and again", () => {
      const memory = new WebAssembly.Memory({ initial: 1 });
      const arena = new Arena(PageAlloc, memory, { unit: 1024 });
      const naive = new NaiveArena(65536, 1024);
      const random = new Random(3);
      for (let pages = 1; pages < 20; pages++) {
        for (let turn = 0; turn < 60; turn++) {
          const nbytes = random.between(1, 9000);
          expect(arena.alloc(nbytes)).toBe(naive.alloc(nbytes));
        }
        if (pages === 1) expect(arena.view(0, Uint8Array, 1).buffer).toBe(memory.buffer);
        memory.grow(1);
        naive.grow(memory.buffer.byteLength);
      }
      expect([...arena.blocks()]).toEqual(naive.live);
      arena.heap.check();
      expect(arena.view(0, Uint8Array, 1).buffer).toBe(memory.buffer);
      const again = Arena.restore(PageAlloc, arena.snapshot(), memory);
      expect(seen(again)).toEqual(seen(arena));
    });

    it("follows a buffer that is resized", () => {
      // Not in the types of ES2022.
      const options = { maxByteLength: 2 ** 16 } as object;
      const buffer = new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(1024, options);
      const arena = new Arena(PageAlloc, buffer);
      expect([arena.alloc(1000), arena.alloc(1)]).toEqual([0, -1]);
      (buffer as unknown as { resize(length: number): void }).resize(4096);
      expect([arena.alloc(3000), arena.alloc(1)]).toEqual([1024, -1]);
      arena.heap.check();
    });

    it("follows no buffer that has been detached", () => {
      const memory = new WebAssembly.Memory({ initial: 1 });
      const arena = new Arena(PageAlloc, memory.buffer);
      const offset = arena.alloc(100);
      memory.grow(1);
      const before = seen(arena);
      const refusal = { error: TypeError, names: ["memory", "detached"] };
      refused(() => arena.alloc(1), refusal, "alloc");
      refused(() => arena.realloc(offset, 1000), refusal, "realloc");
      refused(() => arena.view(offset, Uint8Array, 1), refusal, "view");
      expect(seen(arena)).toEqual(before);
      arena.free(offset);
    });

    it("restores a snapshot, whose memory must be as large", () => {
      const arena = new Arena(PageAlloc, 2 ** 20);
      race(arena, new NaiveArena(2 ** 20, UNIT), UNIT, new Random(8), 300);
      const snapshot = arena.snapshot();
      const copy = Arena.restore(PageAlloc, snapshot, 2 ** 20);
      expect(copy.snapshot()).toEqual(snapshot);
      expect([...copy.blocks()]).toEqual([...arena.blocks()]);
      for (const { offset } of copy.blocks()) copy.free(offset);
      expect(copy.stats()).toMatchObject({ blocks: 0, requested: 0, inUse: 0 });
      copy.heap.check();
      refused(
        () => Arena.restore(PageAlloc, snapshot, 2 ** 20 - 1),
        { error: RangeError, names: ["memory", String(2 ** 20)] },
        "less memory",
      );
      refused(
        () => Arena.restore(PageAlloc, new PageAlloc().snapshot(), 2 ** 20),
        { error: "ERR_CORRUPT", names: ["not of an arena"] },
        "a heap's snapshot",
      );
      // More memory than before is used once there is need of it.
      const larger = Arena.restore(PageAlloc, snapshot, 2 ** 22);
      expect(larger.alloc(2 ** 21)).toBeGreaterThan(0);
      larger.heap.check();
    });

    it("releases every unit that is free", () => {
      const told: number[] = [];
      const unused = (base: number, nbytes: number) => void told.push(base, nbytes);
      const arena = new Arena(PageAlloc, 2 ** 20, { sys: { unused } });
      arena.free(arena.alloc(300));
      arena.heap.resetScavengeAddr();
      expect(arena.heap.scavenge()).toBe(512);
      expect(told).toEqual([0, 512]);
      expect(arena.stats().released).toBe(2 ** 20);
    });

    it("is undone when the hook `used` throws", () => {
      let isTired = false;
      const used = () => {
        if (isTired) throw new Error("tired");
      };
      const arena = new Arena(PageAlloc, 2 ** 16, { sys: { used } });
      const offset = arena.alloc(1000);
      isTired = true;
      const before = seen(arena);
      expect(() => arena.alloc(500)).toThrow("tired");
      expect(() => arena.realloc(offset, 3000)).toThrow("tired");
      expect(seen(arena)).toEqual(before);
      arena.heap.check();
      isTired = false;
      expect(arena.realloc(offset, 3000)).toBe(offset);
    });

    it.runIf(shared)("is shared by its handle, with the memory", () => {
      const memory = new SharedArrayBuffer(2 ** 16);
      const arena = new Arena(PageAlloc, memory, { shared: true });
      const other = Arena.attach(PageAlloc, structuredClone(arena.handle));
      const offset = arena.alloc(100);
      arena.view(offset, Uint8Array, 1)[0] = 7;
      expect(other.view(offset, Uint8Array, 1)[0]).toBe(7);
      expect(other.usableSize(offset)).toBe(256);
      other.free(offset);
      expect(() => arena.free(offset)).toThrow(expect.objectContaining({ code: "ERR_NOT_ALLOCATED" }));
      const names = ["memory", "SharedArrayBuffer"];
      refused(
        () => new Arena(PageAlloc, new ArrayBuffer(2 ** 16), { shared: true }),
        { error: TypeError, names },
        "memory of one thread",
      );
      const { handle } = new PageAlloc({ shared: true });
      refused(
        () => Arena.attach(PageAlloc, { ...handle, arena: 1e6 }),
        { error: TypeError, names: ["handle"] },
        "a heap's handle",
      );
    });

    it.runIf(!shared)("has no handle in an entry without shared heaps", () => {
      const arena = new Arena(PageAlloc, 2 ** 16);
      expect(() => arena.handle).toThrow(expect.objectContaining({ code: "ERR_NOT_SHARED" }));
    });
  });
}
