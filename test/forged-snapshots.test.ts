// Snapshots that somebody has changed and sealed again: the checksum is right, so `check` has to find what is wrong,
// and name the place. What it lets pass must be the state of a sound heap.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import * as layout from "../src/engine/layout.ts";
import { checksum, seal } from "../src/store/snapshot.ts";
import { PAGE } from "./support/heaps.ts";
import type { PageAlloc, Palloc } from "./support/subject.ts";

/** The words of a snapshot, and where its pieces are. */
interface State {
  words: Int32Array;
  /** Refs of the leaf of chunk 8, of the node above it, and of the first live record. */
  leaf: number;
  root: number;
  record: number;
}

const get = ({ words }: State, offset: number) => words[offset >>> 2];
const set = ({ words }: State, offset: number, value: number) => {
  words[offset >>> 2] = value;
};
const add = (state: State, offset: number, value: number) => set(state, offset, get(state, offset) + value);

/**
 * Chunks 8 and 100, with pages in use, scavenged and neither, two caches, a record that is free again, and free nodes.
 */
function busyState({ PageAlloc }: Palloc): State {
  const heap = PageAlloc.from({ alloc: { 8: [[100, 20]], 100: [[0, 3]] }, scavenged: { 8: [[200, 50]] } });
  const caches = [heap.allocToCache(), heap.allocToCache(), heap.allocToCache()];
  caches[1].flush();
  heap.scavenge(5 * PAGE);
  heap.grow(300 * heap.chunkBytes, heap.chunkBytes);
  heap.unmap(300 * heap.chunkBytes, heap.chunkBytes);
  const words = new Int32Array(heap.snapshot().buffer);
  const root = words[layout.HEADER_ROOT >>> 2];
  let leaf = root;
  while (words[(leaf + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT) {
    const level = words[(leaf + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT;
    const slot = (8 >>> (layout.FANOUT_SHIFT * level)) % layout.FANOUT;
    leaf = words[(leaf + layout.NODE_CHILDREN + 4 * slot) >>> 2];
  }
  return { words, root, leaf, record: words[layout.HEADER_RECORDS >>> 2] };
}

/** The heap of a changed state. */
function restored({ PageAlloc }: Palloc, { words }: State): PageAlloc {
  seal(words);
  return PageAlloc.restore(new Uint8Array(words.buffer));
}

const DATA = layout.LEAF_DATA;
/** What messages call the place of the damage. */
const PLACE = /header|root|node|leaf|chunk|record/;

const forgeries: [what: string, forge: (state: State) => void][] = [
  ["a page size of 2**60", (s) => set(s, layout.HEADER_PAGE_SHIFT, 60)],
  ["a negative page size", (s) => set(s, layout.HEADER_PAGE_SHIFT, -1)],
  ["an address space of 20 bits", (s) => set(s, layout.HEADER_ADDR_BITS, 20)],
  ["an address space of 60 bits", (s) => set(s, layout.HEADER_ADDR_BITS, 60)],
  ["a minimum of 3 pages", (s) => set(s, layout.HEADER_MIN_PAGES, 3)],
  ["a minimum of 0 pages", (s) => set(s, layout.HEADER_MIN_PAGES, 0)],
  ["3 pages per huge page", (s) => set(s, layout.HEADER_HUGE_PAGES, 3)],
  ["one page too many in use", (s) => add(s, layout.HEADER_IN_USE, 1)],
  ["one released page too few", (s) => add(s, layout.HEADER_RELEASED, -1)],
  ["one chunk too many", (s) => add(s, layout.HEADER_CHUNKS, 1)],
  ["a start too low", (s) => add(s, layout.HEADER_START, -1)],
  ["an end too high", (s) => add(s, layout.HEADER_END, 1)],
  ["a peak too low", (s) => set(s, layout.HEADER_PEAK_IN_USE, 0)],
  ["a peak retained too low", (s) => set(s, layout.HEADER_PEAK_RETAINED, 0)],
  ["a hold that does not exist", (s) => set(s, layout.HEADER_HOLDS, 1)],
  ["searchAddr above a free page", (s) => set(s, layout.HEADER_SEARCH_CHUNK, 100)],
  ["searchAddr at page 512 of a chunk", (s) => set(s, layout.HEADER_SEARCH_INDEX, 512)],
  ["searchAddr above the heap", (s) => set(s, layout.HEADER_SEARCH_CHUNK, 101)],
  ["scavAddr above the heap", (s) => set(s, layout.HEADER_SCAV_END + 4, 0x42000000)],
  ["a root beyond the region", (s) => set(s, layout.HEADER_ROOT, 0x7ffffff0)],
  ["a root that is the header", (s) => set(s, layout.HEADER_ROOT, 16)],
  ["no root", (s) => set(s, layout.HEADER_ROOT, 0)],
  ["a cyclic tree", (s) => set(s, s.root + layout.NODE_CHILDREN, s.root)],
  ["a child that is a record", (s) => set(s, s.root + layout.NODE_CHILDREN, s.record)],
  ["a wrong parent", (s) => set(s, s.leaf + layout.NODE_PARENT, 16)],
  ["a wrong first chunk", (s) => add(s, s.leaf + layout.NODE_FIRST, 8)],
  ["a wrong level", (s) => set(s, s.root + layout.NODE_SHAPE, 9 << layout.LEVEL_SHIFT)],
  ["a chunk that is a hole", (s) => set(s, s.leaf + layout.NODE_SHAPE, 0)],
  ["a hole that is a chunk", (s) => set(s, s.leaf + layout.NODE_SHAPE, 3)],
  ["a hole with pages in use", (s) => set(s, s.leaf + DATA + layout.DATA_BYTES, 1)],
  ["a page both in use and scavenged", (s) => set(s, s.leaf + DATA + layout.DATA_SCAVENGED, -1)],
  ["a page in use that the summary counts as free", (s) => set(s, s.leaf + DATA + 60, 1)],
  ["a summary with too long a start", (s) => add(s, s.leaf + layout.LEAF_SUMS, 1)],
  ["a summary with too short a max", (s) => add(s, s.root + layout.NODE_MAX, -1)],
  ["a summary with too long an end", (s) => add(s, s.leaf + layout.LEAF_SUMS, 1 << (2 * layout.SUM_BITS))],
  ["a candidate that is not marked", (s) => set(s, s.leaf + layout.NODE_CANDIDATES, 0)],
  ["a candidate mark beyond the last part", (s) => set(s, s.leaf + layout.NODE_CANDIDATES, 0x100)],
  ["a cyclic list of records", (s) => set(s, s.record + layout.RECORD_NEXT, s.record)],
  ["a record beyond the region", (s) => set(s, layout.HEADER_RECORDS, 0x7ffffff0)],
  ["a record with a wrong predecessor", (s) => set(s, s.record + layout.RECORD_PREV, 16)],
  ["a record of unknown kind", (s) => set(s, s.record + layout.RECORD_KIND, 9)],
  ["a dead record among the live", (s) => set(s, s.record + layout.RECORD_KIND, layout.KIND_DEAD)],
  ["a cache not aligned to a block", (s) => set(s, s.record + layout.RECORD_INDEX, 3)],
  ["a cache of a hole", (s) => set(s, s.record + layout.RECORD_CHUNK, 9)],
  ["a cache of free pages", (s) => set(s, s.record + layout.RECORD_INDEX, 448)],
  ["a lost free leaf", (s) => set(s, layout.HEADER_FREE_LEAVES, 0)],
  ["a lost free node", (s) => set(s, layout.HEADER_FREE_NODES, 0)],
  ["a free leaf that is in the tree", (s) => set(s, layout.HEADER_FREE_LEAVES, s.leaf)],
  ["a free node that is in the tree", (s) => set(s, layout.HEADER_FREE_NODES, s.root)],
  [
    "a free leaf that is a free node",
    (s) => set(s, layout.HEADER_FREE_LEAVES, get(s, layout.HEADER_FREE_NODES)),
  ],
  [
    "a cyclic list of free leaves",
    (s) => set(s, get(s, layout.HEADER_FREE_LEAVES) + layout.LEAF_NEXT, get(s, layout.HEADER_FREE_LEAVES)),
  ],
  ["a free leaf with pages", (s) => set(s, get(s, layout.HEADER_FREE_LEAVES) + DATA, 1)],
  ["a free leaf with a summary", (s) => set(s, get(s, layout.HEADER_FREE_LEAVES) + layout.LEAF_SUMS, 1)],
  [
    "a free node with a child",
    (s) => set(s, get(s, layout.HEADER_FREE_NODES) + layout.NODE_CHILDREN, s.leaf),
  ],
  ["a lost record", (s) => set(s, layout.HEADER_DEAD_RECORDS, 0)],
];

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("forged snapshots (%s)", (_, palloc) => {
  it("start from a sound state", () => {
    restored(palloc, busyState(palloc)).check();
  });

  it.each(forgeries)("are refused: %s", (_, forge) => {
    const state = busyState(palloc);
    forge(state);
    const corrupt = { code: "ERR_CORRUPT", message: expect.stringMatching(PLACE) };
    expect(() => restored(palloc, state)).toThrow(expect.objectContaining(corrupt));
  });

  it.each([
    ["a held lock", layout.HEADER_LOCK],
    ["a shared heap", layout.HEADER_SHARED],
    ["attached objects", layout.HEADER_OWNERS],
    ["a journal that is not empty", layout.JOURNAL_OP],
    ["saved fields", layout.HEADER_BYTES - 4],
  ])("are refused even if the checksum is right: %s", (_, offset) => {
    const state = busyState(palloc);
    set(state, layout.HEADER_CHECKSUM, 0);
    set(state, offset, 1);
    set(state, layout.HEADER_CHECKSUM, checksum(state.words));
    const restore = () => palloc.PageAlloc.restore(new Uint8Array(state.words.buffer));
    expect(restore).toThrow(expect.objectContaining({ code: "ERR_CORRUPT" }));
  });

  it("with any word changed are refused or restore a sound heap", () => {
    const { words } = busyState(palloc);
    let passed = 0;
    for (let at = 0; at < words.length; at++) {
      for (const value of [0, 1, -1, 2 ** 31 - 1, words[at] + 1, words[at] - 1, words[at] ^ 0x40, at * 4]) {
        if (value === words[at]) continue;
        const state = busyState(palloc);
        state.words[at] = value;
        let heap: PageAlloc;
        try {
          heap = restored(palloc, state);
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_CORRUPT" });
          continue;
        }
        passed++;
        exercise(heap);
      }
    }
    expect(passed).toBeGreaterThan(0);
  });
});

/** Makes every kind of call on a heap. */
function exercise(heap: PageAlloc): void {
  heap.check();
  const base = heap.alloc(30);
  heap.alloc(1);
  if (base !== -1) heap.free(base, 30);
  heap.scavenge();
  heap.resetScavengeAddr();
  heap.scavenge();
  heap.allocToCache().flush();
  heap.grow(50 * heap.chunkBytes, heap.chunkBytes);
  heap.check();
  heap.dispose();
}
