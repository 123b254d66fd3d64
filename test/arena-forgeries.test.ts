// Snapshots of arenas that somebody has changed and sealed again. Each is refused, or gives an arena that is sound and
// stays so.
import { Arena } from "palloc/arena";
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import * as layout from "../src/engine/layout.ts";
import { seal } from "../src/store/snapshot.ts";
import { Random } from "./support/random.ts";
import type { Palloc } from "./support/subject.ts";

const SIZE = 2 ** 18;
const UNIT = 256;

/** An arena with a table that has replaced another, and blocks of all kinds. */
function busyArena({ PageAlloc }: Palloc): Arena {
  const memory = new WebAssembly.Memory({ initial: 2 });
  const arena = new Arena(PageAlloc, memory);
  const offsets = [1, 255, 256, 257, 5000, 90_000, 16].map((nbytes) => arena.alloc(nbytes));
  memory.grow(2);
  offsets.push(arena.alloc(100_000));
  arena.free(offsets[1]);
  arena.free(offsets[4]);
  return arena;
}

/** Uses an arena until nothing is left of what it was. It must be sound at each step. */
function useUp(arena: Arena): void {
  const { heap } = arena;
  heap.check();
  const blocks = [...arena.blocks()];
  expect(arena.stats().blocks).toBe(blocks.length);
  for (const { offset, nbytes } of blocks) {
    expect(arena.usableSize(offset)).toBe(Math.ceil(nbytes / UNIT) * UNIT);
    arena.free(offset);
  }
  heap.check();
  expect(arena.stats()).toMatchObject({ blocks: 0, requested: 0 });
  while (arena.alloc(3000) >= 0);
  heap.check();
}

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("altered snapshots of arenas (%s)", (_, palloc) => {
  /** Restores changed words, if they are not refused. Returns whether they are. */
  const isRefused = (words: Int32Array): boolean => {
    seal(words);
    let arena: Arena;
    try {
      arena = Arena.restore(palloc.PageAlloc, new Uint8Array(words.buffer), SIZE * 2);
    } catch (error) {
      const { code } = error as { code?: string };
      // A snapshot may say that there is more memory than this.
      if (code !== "ERR_CORRUPT" && !(error instanceof RangeError)) throw error;
      return true;
    }
    useUp(arena);
    arena.heap.dispose();
    return false;
  };

  it("start from a sound state", () => {
    expect(isRefused(new Int32Array(busyArena(palloc).snapshot().buffer))).toBe(false);
  });

  it("with any word of the tables changed are refused or restore a sound arena", () => {
    const snapshot = busyArena(palloc).snapshot();
    const words = () => new Int32Array(snapshot.slice().buffer);
    const tables: number[] = [];
    for (let ref = words()[layout.HEADER_SIZES >>> 2]; ref; ref = words()[(ref + layout.SIZES_NEXT) >>> 2])
      tables.push(ref);
    expect(tables.length).toBe(2);
    const random = new Random(5);
    let refused = 0;
    let restored = 0;
    const places = [layout.HEADER_SIZES >>> 2];
    for (const ref of tables) {
      const bytes = layout.SIZES_STARTS + (words()[(ref + layout.SIZES_CAPACITY) >>> 2] * 5) / 4;
      for (let word = ref >>> 2; word < (ref + bytes) >>> 2; word++) places.push(word);
    }
    for (const place of places) {
      for (const change of [
        (word: number) => word ^ (1 << random.below(32)),
        (word: number) => word + random.pick([1, -1]),
        () => random.bits() | 0,
        () => 0,
        () => -1,
      ]) {
        const forged = words();
        forged[place] = change(forged[place]);
        if (isRefused(forged)) refused++;
        else restored++;
      }
    }
    // Most of the slack column means nothing, as no block starts there.
    expect(refused).toBeGreaterThan(300);
    expect(restored).toBeGreaterThan(300);
  });

  it.each<[string, (words: Int32Array, table: number) => void]>([
    [
      "a change under way",
      (words, table) => words.fill(1, (table + layout.SIZES_OP) >>> 2, (table + 64) >>> 2),
    ],
    ["a block too many", (words, table) => words[table >>> 2]++],
    ["a start within a block", (words, table) => (words[(table + layout.SIZES_STARTS) >>> 2] |= 1 << 20)],
    ["a table that replaced itself", (words, table) => (words[(table + layout.SIZES_NEXT) >>> 2] = table)],
  ])("with %s are refused", (_, forge) => {
    const words = new Int32Array(busyArena(palloc).snapshot().buffer);
    forge(words, words[layout.HEADER_SIZES >>> 2]);
    expect(isRefused(words)).toBe(true);
  });
});
