// Checks every invariant of a heap's state. It trusts nothing: a snapshot, for one, may hold any bytes.

import { isInteger } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import { firstOf } from "../engine/packed.ts";
import { capHugePages, leastAddrBits, mostAddrBits, type PageRange, runsOf } from "../engine/pages.ts";
import { blockFrom, tableBytes } from "../store/sizes.ts";
import type { State } from "../store/state.ts";
import { sumUp } from "../store/sums.ts";
import { eachPart, freeLists, mappedRuns } from "../store/tree.ts";

/**
 * Throws PageAllocError ERR_CORRUPT, naming the damaged part, if an invariant fails. With `mending`, a change of an
 * arena's block may still have to be settled. Caller must hold the lock.
 */
export function check(state: State, mending = false): void {
  const { at: heap, engine } = state;
  const get = (offset: number) => state.get(offset);

  // The piece under check.
  let name = "header";
  let piece = 0;
  /** Sizes of the pieces seen so far, in bytes, by ref. */
  const pieces = new Map<number, number>();

  /** Throws unless `holds`. */
  const must = (holds: unknown, what: string) => {
    if (!holds) throw new PageAllocError("ERR_CORRUPT", `the ${name} at ${piece} is damaged: ${what}`);
  };
  /** Checks that a field of the piece is an integer from `min` to `max`. Returns it. */
  const field = (offset: number, min: number, max = min, value = get(piece + offset)) => {
    if (!isInteger(value, min, max))
      must(false, `byte ${offset} must hold an integer from ${min} to ${max}, got ${value}`);
    return value;
  };
  /** Goes to a piece, which must lie inside the state and be new. */
  const goTo = (kind: string, ref: number, bytes: number) => {
    name = kind;
    piece = ref;
    const inside =
      ref >= layout.HEADER_BYTES && ref % layout.LINE_BYTES === 0 && ref + bytes <= get(layout.HEADER_USED);
    must(inside && !pieces.has(ref), "its address is wrong or taken");
    pieces.set(ref, bytes);
  };

  // What the heap was made with.
  field(layout.HEADER_MAGIC, layout.MAGIC);
  field(layout.HEADER_VERSION, layout.VERSION);
  const pageShift = field(layout.HEADER_PAGE_SHIFT, 0, 39);
  const addrBits = field(layout.HEADER_ADDR_BITS, leastAddrBits(pageShift), mostAddrBits(pageShift));
  const minPages = field(layout.HEADER_MIN_PAGES, 1, layout.CHUNK_PAGES);
  const hugePages = field(layout.HEADER_HUGE_PAGES, 0, capHugePages(2 ** (48 - pageShift)));
  // Powers of two are their own lowest bit.
  field(layout.HEADER_MIN_PAGES, minPages & -minPages);
  field(layout.HEADER_HUGE_PAGES, hugePages & -hugePages);
  field(layout.HEADER_USED, layout.HEADER_BYTES, state.region.bytes);
  field(layout.JOURNAL_OP, 0);

  // The tree, and the totals of its chunks.
  let chunks = 0;
  let start = 0;
  let end = 0;
  let top = 0;
  let pages = 0;
  let inUse = 0;
  let released = 0;
  let firstFree = layout.NO_CHUNK * layout.CHUNK_PAGES;
  /** Refs of the leaves' indexes of page caches, each with the number of its first block. */
  const indexes: Array<[ref: number, block: number]> = [];
  sumUp(state, {
    node(ref, parent, first, level) {
      const shape = level << layout.LEVEL_SHIFT;
      goTo("node", ref, level ? layout.NODE_BYTES : layout.LEAF_BYTES);
      field(layout.NODE_PARENT, parent);
      field(layout.NODE_FIRST, first);
      field(layout.NODE_SHAPE, level ? shape : 1, level ? shape : 255);
      let below = level ? 0 : 1;
      for (let slot = 0; slot < layout.FANOUT; slot++) below ||= get(ref + layout.NODE_CHILDREN + 4 * slot);
      must(below, "it has no chunk below it");
      const index = level ? 0 : get(ref + layout.LEAF_BLOCKS);
      if (index) indexes.push([index, (first * layout.CHUNK_PAGES) / layout.CACHE_PAGES]);
    },
    chunk(leaf, bit, chunk, data) {
      const isMapped = get(leaf + layout.NODE_SHAPE) & bit;
      const runs = mappedRuns(state, data);
      const npages = runs.reduce((sum, [, count]) => sum + count, 0);
      const holes = layout.CHUNK_PAGES - npages;
      // A hole has both bits set, so holes are subtracted.
      const nused = engine.popcntRange(data, 0, layout.CHUNK_PAGES) - holes;
      const nreleased = engine.popcntRange(data + layout.DATA_SCAVENGED, 0, layout.CHUNK_PAGES) - holes;
      const isMarked = get(leaf + layout.NODE_CANDIDATES) & bit;
      must(
        !(get(leaf + layout.LEAF_PARTIAL) & bit) === !holes &&
          (isMapped
            ? npages && (isMarked || !engine.hasScavengeCandidate(data, minPages))
            : !(nused || nreleased || holes)),
        `it does not match the bits of chunk ${chunk}`,
      );
      if (!isMapped) return;
      if (!chunks++) start = chunk;
      end = chunk + 1;
      const [last, count] = runs[runs.length - 1];
      top = chunk * layout.CHUNK_PAGES + last + count;
      pages += npages;
      inUse += nused;
      released += nreleased;
      const free = firstOf(engine.find(data, 1, 0));
      if (free >= 0) firstFree = Math.min(firstFree, chunk * layout.CHUNK_PAGES + free);
    },
    derived(ref, offset, value) {
      piece = ref;
      field(offset, value);
    },
  });

  for (const list of freeLists) {
    for (let ref = get(list.head); ref; ref = get(ref + list.next)) {
      goTo(list.kind, ref, list.bytes);
      for (const [from, to] of list.zeros) for (let offset = from; offset < to; offset += 4) field(offset, 0);
      // No page cache has pages of a free leaf, so none may be in its index.
      const index = list.kind === "free leaf" ? get(ref + layout.LEAF_BLOCKS) : 0;
      if (index) indexes.push([index, Number.NaN]);
    }
  }

  // Live records and the pages that they own.
  const owned: Array<[first: number, end: number, ref: number]> = [];
  /** Block numbers of the page caches that must be in an index, by ref. */
  const blocks = new Map<number, number>();
  const records = (list: number, isCache: boolean) => {
    let prev = 0;
    for (let ref = get(list); ref; ref = get(ref + layout.RECORD_NEXT)) {
      goTo("record", ref, layout.RECORD_BYTES);
      field(layout.RECORD_PREV, prev);
      prev = ref;
      const index = field(layout.RECORD_INDEX, 0, layout.CHUNK_PAGES - 1);
      const base = get(ref + layout.RECORD_CHUNK) * layout.CHUNK_PAGES + index;
      let runs: PageRange[];
      if (isCache) {
        field(layout.RECORD_KIND, layout.KIND_CACHE);
        field(layout.RECORD_INDEX, index & -layout.CACHE_PAGES);
        const taken = get(ref + layout.RECORD_TAKEN);
        const isRun = taken >>> 8 && (taken & 0xff) + (taken >>> 8) <= layout.CACHE_PAGES;
        must(!taken || isRun, "the pages being taken are not a run");
        runs = runsOf(
          (i) => engine.popcntRange(heap + ref + layout.RECORD_CACHE, i, 1) > 0,
          layout.CACHE_PAGES,
        );
        field(layout.RECORD_NPAGES, runs.length ? layout.CACHE_PAGES : 0, layout.CACHE_PAGES);
        if (runs.length || get(ref + layout.RECORD_SLOT)) blocks.set(ref, base / layout.CACHE_PAGES);
      } else {
        field(layout.RECORD_KIND, layout.KIND_RELEASING, layout.KIND_REUSING);
        field(layout.RECORD_TAKEN, 0);
        field(layout.RECORD_SLOT, 0);
        runs = [[0, field(layout.RECORD_NPAGES, 1, Infinity)]];
      }
      for (const [from, count] of runs) {
        const first = base + from;
        owned.push([first, first + count, ref]);
        eachPart(state, first, first + count, (data, i, n) => {
          const areUsed = data && engine.popcntRange(data, i, n) === n;
          must(
            areUsed && !engine.popcntRange(data + layout.DATA_SCAVENGED, i, n),
            "one of its pages is free",
          );
        });
      }
    }
  };
  records(layout.HEADER_HOLDS, false);
  records(layout.HEADER_RECORDS, true);
  let free = 0;
  for (const [first, end, ref] of owned.sort((a, b) => a[0] - b[0])) {
    piece = ref;
    must(first >= free, "one of its pages belongs to another record too");
    free = end;
  }

  for (let ref = get(layout.HEADER_DEAD_RECORDS); ref; ref = get(ref + layout.RECORD_NEXT)) {
    goTo("dead record", ref, layout.RECORD_BYTES);
    for (let offset = layout.RECORD_PREV; offset < layout.RECORD_NEXT + layout.LINE_BYTES; offset += 4)
      field(offset, 0);
  }

  for (const [index, first] of indexes) {
    goTo("index", index, layout.BLOCKS_BYTES);
    for (let at = 0; at < layout.BLOCKS_BYTES; at += 4) {
      for (let ref = get(index + at); ref; ref = get(ref + layout.RECORD_BESIDE)) {
        const isRight = blocks.get(ref) === first + at / 4 && get(ref + layout.RECORD_SLOT) === index + at;
        must(isRight, `record ${ref} is not of that block, or is there twice`);
        blocks.delete(ref);
      }
    }
  }
  must(!blocks.size, "a page cache is not in the index of its leaf");

  checkSizes(state, mending, must, goTo, field);

  // The header, against the totals of the pieces. The pieces follow the header without gaps.
  name = "header";
  piece = 0;
  let used = layout.HEADER_BYTES;
  for (let count = pieces.size; count; count--) {
    const bytes = pieces.get(used) ?? 0;
    must(bytes, `there is no piece at ${used}`);
    used += bytes;
  }
  field(layout.HEADER_USED, used);
  field(layout.HEADER_CHUNKS, Math.min(chunks, layout.MAX_CHUNKS));
  field(layout.HEADER_PAGES, pages);
  field(layout.HEADER_START, start);
  field(layout.HEADER_END, Math.min(end, 2 ** (addrBits - pageShift - layout.CHUNK_SHIFT)));
  field(layout.HEADER_TOP, top, top, state.getF64(layout.HEADER_TOP));
  field(layout.HEADER_IN_USE, inUse);
  field(layout.HEADER_RELEASED, released);
  // Pages that have been unmapped since count in the peaks.
  const mostPages = layout.MAX_CHUNKS * layout.CHUNK_PAGES;
  field(layout.HEADER_PEAK_IN_USE, inUse, mostPages);
  field(layout.HEADER_PEAK_RETAINED, pages - released, mostPages);
  field(layout.HEADER_SCAV_STRICT, 0, 1);
  field(layout.HEADER_SCAV_RESET, 0, 1);
  field(layout.HEADER_SCAV_END, 0, end * layout.CHUNK_PAGES, state.getF64(layout.HEADER_SCAV_END));
  for (const total of [
    layout.HEADER_ALLOCS,
    layout.HEADER_FREES,
    layout.HEADER_SCAVENGES,
    layout.HEADER_SCAVENGED_TOTAL,
  ])
    field(total, 0, Number.MAX_VALUE, state.getF64(total));
  const search =
    get(layout.HEADER_SEARCH_CHUNK) * layout.CHUNK_PAGES +
    field(layout.HEADER_SEARCH_INDEX, 0, layout.CHUNK_PAGES - 1);
  // searchAddr is the first free page, or a page of the heap below it.
  const most = search === firstFree ? search : Math.min(firstFree, top) - 1;
  field(layout.HEADER_SEARCH_CHUNK, 0, most, search);
}

/** Each table of sizes is at least twice as large as the one that it replaces. */
const MOST_TABLES = 32;

/** Checks the tables of sizes, and the blocks of the newest, unless a change of one is under way. */
function checkSizes(
  state: State,
  mending: boolean,
  must: (holds: unknown, what: string) => void,
  goTo: (kind: string, ref: number, bytes: number) => void,
  field: (offset: number, min: number, max?: number, value?: number) => number,
): void {
  const { engine } = state;
  const tables: number[] = [];
  const newest = state.get(layout.HEADER_SIZES);
  for (let table = newest; table; table = state.get(table + layout.SIZES_NEXT)) {
    must(tables.unshift(table) <= MOST_TABLES, "it has too many tables of sizes");
  }
  // The newest comes last, and stays the piece under check.
  for (const table of tables) {
    const capacity = state.get(table + layout.SIZES_CAPACITY);
    goTo("table of sizes", table, tableBytes(state, capacity));
    field(layout.SIZES_CAPACITY, capacity - (capacity % layout.CHUNK_PAGES));
    field(layout.SIZES_UNITS, 0, capacity);
  }
  if (!newest || (mending && state.get(newest + layout.SIZES_OP))) return;
  field(layout.SIZES_OP, 0);
  const pageSize = 2 ** state.get(layout.HEADER_PAGE_SHIFT);
  let blocks = 0;
  let requested = 0;
  let next = 0;
  for (let block = blockFrom(state, 0); block; block = blockFrom(state, next)) {
    const { page, npages, slack } = block;
    next = page + npages;
    must(next <= state.get(newest + layout.SIZES_CAPACITY), `the block at page ${page} has no end`);
    must(slack < pageSize, `the block at page ${page} has more slack than a unit`);
    eachPart(state, page, next, (data, index, n) => {
      must(data && engine.popcntRange(data, index, n) === n, `a page of the block at page ${page} is free`);
    });
    blocks++;
    requested += npages * pageSize - slack;
  }
  // With as many starts and ends as blocks, none lies within a block or between two.
  const bits = state.at + newest + layout.SIZES_STARTS;
  const maps = state.get(newest + layout.SIZES_CAPACITY) / layout.CHUNK_PAGES;
  const ones = [0, maps].map((first) => {
    let count = 0;
    for (let i = first; i < first + maps; i++)
      count += engine.popcntRange(bits + i * layout.BITMAP_BYTES, 0, layout.CHUNK_PAGES);
    return count;
  });
  must(ones[0] === blocks && ones[1] === blocks, "blocks overlap, or one has no start");
  field(layout.SIZES_BLOCKS, blocks);
  field(layout.SIZES_REQUESTED, requested, requested, state.getF64(newest + layout.SIZES_REQUESTED));
}
