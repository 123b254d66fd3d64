// check: every invariant of a heap's state. It trusts nothing: what it reads may be any bytes, as those of a snapshot.

import { isInteger } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import {
  BLOCKS_BYTES,
  CACHE_PAGES,
  CHUNK_PAGES,
  CHUNK_SHIFT,
  DATA_SCAVENGED,
  FANOUT,
  HEADER_ADDR_BITS,
  HEADER_ALLOCS,
  HEADER_BYTES,
  HEADER_CHUNKS,
  HEADER_DEAD_RECORDS,
  HEADER_END,
  HEADER_FREES,
  HEADER_HOLDS,
  HEADER_HUGE_PAGES,
  HEADER_IN_USE,
  HEADER_MAGIC,
  HEADER_MIN_PAGES,
  HEADER_PAGE_SHIFT,
  HEADER_PAGES,
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RECORDS,
  HEADER_RELEASED,
  HEADER_SCAV_END,
  HEADER_SCAV_RESET,
  HEADER_SCAV_STRICT,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
  HEADER_START,
  HEADER_TOP,
  HEADER_USED,
  HEADER_VERSION,
  JOURNAL_OP,
  KIND_CACHE,
  KIND_RELEASING,
  KIND_REUSING,
  LEAF_BLOCKS,
  LEAF_BYTES,
  LEAF_PARTIAL,
  LEVEL_SHIFT,
  LINE_BYTES,
  MAGIC,
  MAX_CHUNKS,
  NO_CHUNK,
  NODE_BYTES,
  NODE_CANDIDATES,
  NODE_CHILDREN,
  NODE_FIRST,
  NODE_PARENT,
  NODE_SHAPE,
  RECORD_BESIDE,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_PREV,
  RECORD_SLOT,
  RECORD_TAKEN,
  VERSION,
} from "../engine/layout.ts";
import { leastAddrBits, mostAddrBits, type PageRange, runsOf } from "../engine/pages.ts";
import type { State } from "../store/state.ts";
import { sumUp } from "../store/sums.ts";
import { eachPart, mappedRuns } from "../store/tree.ts";

/** Throws PageAllocError ERR_CORRUPT, naming the place, if any invariant does not hold. The lock is held. */
export function check(state: State): void {
  const { at: heap, engine } = state;
  const get = (offset: number) => state.get(offset);

  // The piece that is looked at.
  let name = "header";
  let piece = 0;
  /** Bytes of the pieces seen, by ref. */
  const pieces = new Map<number, number>();

  /** Throws unless `holds`. */
  const must = (holds: unknown, what: string) => {
    if (!holds) throw new PageAllocError("ERR_CORRUPT", `the ${name} at ${piece} is damaged: ${what}`);
  };
  /** A field of the piece, which must be an integer from `min` to `max`. */
  const field = (offset: number, min: number, max = min, value = get(piece + offset)) => {
    if (!isInteger(value, min, max))
      must(false, `byte ${offset} must begin an integer from ${min} to ${max}, got ${value}`);
    return value;
  };
  /** Goes on to the next piece, which must not come twice. */
  const goTo = (kind: string, ref: number, bytes: number) => {
    name = kind;
    piece = ref;
    const inside = ref >= HEADER_BYTES && ref % LINE_BYTES === 0 && ref + bytes <= get(HEADER_USED);
    must(inside && !pieces.has(ref), "it lies elsewhere");
    pieces.set(ref, bytes);
  };

  // What the heap was made with.
  field(HEADER_MAGIC, MAGIC);
  field(HEADER_VERSION, VERSION);
  const pageShift = field(HEADER_PAGE_SHIFT, 0, 39);
  const addrBits = field(HEADER_ADDR_BITS, leastAddrBits(pageShift), mostAddrBits(pageShift));
  const minPages = field(HEADER_MIN_PAGES, 1, 64);
  const hugePages = field(HEADER_HUGE_PAGES, 0, 2 * CHUNK_PAGES);
  // Powers of two are their own lowest bit.
  field(HEADER_MIN_PAGES, minPages & -minPages);
  field(HEADER_HUGE_PAGES, hugePages & -hugePages);
  field(HEADER_USED, HEADER_BYTES, state.region.bytes);
  field(JOURNAL_OP, 0);

  // The tree, and what its chunks add up to.
  let chunks = 0;
  let start = 0;
  let end = 0;
  let top = 0;
  let pages = 0;
  let inUse = 0;
  let released = 0;
  let firstFree = NO_CHUNK * CHUNK_PAGES;
  /** Refs of the leaves' indexes of page caches, and the number of the first block of each. */
  const indexes: Array<[ref: number, block: number]> = [];
  sumUp(state, {
    node(ref, parent, first, level) {
      const shape = level << LEVEL_SHIFT;
      goTo("node", ref, level ? NODE_BYTES : LEAF_BYTES);
      field(NODE_PARENT, parent);
      field(NODE_FIRST, first);
      field(NODE_SHAPE, level ? shape : 1, level ? shape : 255);
      let below = level ? 0 : 1;
      for (let slot = 0; slot < FANOUT; slot++) below ||= get(ref + NODE_CHILDREN + 4 * slot);
      must(below, "there is no chunk below it");
      const index = level ? 0 : get(ref + LEAF_BLOCKS);
      if (index) indexes.push([index, (first * CHUNK_PAGES) / CACHE_PAGES]);
    },
    chunk(leaf, bit, chunk, data) {
      const isMapped = get(leaf + NODE_SHAPE) & bit;
      const runs = mappedRuns(state, data);
      const npages = runs.reduce((sum, [, count]) => sum + count, 0);
      const holes = CHUNK_PAGES - npages;
      // Of its pages: a hole has both bits.
      const nused = engine.popcntRange(data, 0, CHUNK_PAGES) - holes;
      const nreleased = engine.popcntRange(data + DATA_SCAVENGED, 0, CHUNK_PAGES) - holes;
      const isMarked = get(leaf + NODE_CANDIDATES) & bit;
      must(
        !(get(leaf + LEAF_PARTIAL) & bit) === !holes &&
          (isMapped
            ? npages && (isMarked || !engine.hasScavengeCandidate(data, minPages))
            : !(nused || nreleased || holes)),
        `the bits of chunk ${chunk} are not what it says of them`,
      );
      if (!isMapped) return;
      if (!chunks++) start = chunk;
      end = chunk + 1;
      const [last, count] = runs[runs.length - 1];
      top = chunk * CHUNK_PAGES + last + count;
      pages += npages;
      inUse += nused;
      released += nreleased;
      const free = engine.find(data, 1, 0) & 0xffff;
      if (free < CHUNK_PAGES) firstFree = Math.min(firstFree, chunk * CHUNK_PAGES + free);
    },
    derived(ref, offset, value) {
      piece = ref;
      field(offset, value);
    },
  });

  // The live records, and the pages that they own.
  const owned: Array<[first: number, end: number, ref: number]> = [];
  /** Numbers of the blocks of page caches that an index must have, by ref. */
  const blocks = new Map<number, number>();
  const records = (list: number, isCache: boolean) => {
    let prev = 0;
    for (let ref = get(list); ref; ref = get(ref + RECORD_NEXT)) {
      goTo("record", ref, RECORD_BYTES);
      field(RECORD_PREV, prev);
      prev = ref;
      const index = field(RECORD_INDEX, 0, CHUNK_PAGES - 1);
      const base = get(ref + RECORD_CHUNK) * CHUNK_PAGES + index;
      let runs: PageRange[];
      if (isCache) {
        field(RECORD_KIND, KIND_CACHE);
        field(RECORD_INDEX, index & -CACHE_PAGES);
        const taken = get(ref + RECORD_TAKEN);
        const isRun = taken >>> 8 && (taken & 0xff) + (taken >>> 8) <= CACHE_PAGES;
        must(!taken || isRun, "what is being taken of it is no run");
        runs = runsOf((i) => engine.popcntRange(heap + ref + RECORD_CACHE, i, 1) > 0, CACHE_PAGES);
        field(RECORD_NPAGES, runs.length ? CACHE_PAGES : 0, CACHE_PAGES);
        if (runs.length || get(ref + RECORD_SLOT)) blocks.set(ref, base / CACHE_PAGES);
      } else {
        field(RECORD_KIND, KIND_RELEASING, KIND_REUSING);
        field(RECORD_TAKEN, 0);
        field(RECORD_SLOT, 0);
        runs = [[0, field(RECORD_NPAGES, 1, Infinity)]];
      }
      for (const [from, count] of runs) {
        const first = base + from;
        owned.push([first, first + count, ref]);
        eachPart(state, first, first + count, (data, i, n) => {
          const areUsed = data && engine.popcntRange(data, i, n) === n;
          must(areUsed && !engine.popcntRange(data + DATA_SCAVENGED, i, n), "one of its pages is free");
        });
      }
    }
  };
  records(HEADER_HOLDS, false);
  records(HEADER_RECORDS, true);
  let free = 0;
  for (const [first, end, ref] of owned.sort((a, b) => a[0] - b[0])) {
    piece = ref;
    must(first >= free, "one of its pages is another record's too");
    free = end;
  }

  for (let ref = get(HEADER_DEAD_RECORDS); ref; ref = get(ref + RECORD_NEXT)) {
    goTo("dead record", ref, RECORD_BYTES);
    for (let offset = RECORD_PREV; offset < RECORD_NEXT + LINE_BYTES; offset += 4) field(offset, 0);
  }

  for (const [index, first] of indexes) {
    goTo("index", index, BLOCKS_BYTES);
    for (let at = 0; at < BLOCKS_BYTES; at += 4) {
      for (let ref = get(index + at); ref; ref = get(ref + RECORD_BESIDE)) {
        const isRight = blocks.get(ref) === first + at / 4 && get(ref + RECORD_SLOT) === index + at;
        must(isRight, `record ${ref} is not of that block, or comes twice`);
        blocks.delete(ref);
      }
    }
  }
  must(!blocks.size, "a page cache is not in the index of its leaf");

  // The header, against what the pieces add up to. They lie one after another from it on.
  name = "header";
  piece = 0;
  let used = HEADER_BYTES;
  for (let count = pieces.size; count; count--) {
    const bytes = pieces.get(used) ?? 0;
    must(bytes, `what lies at ${used} is no piece`);
    used += bytes;
  }
  field(HEADER_USED, used);
  field(HEADER_CHUNKS, Math.min(chunks, MAX_CHUNKS));
  field(HEADER_PAGES, pages);
  field(HEADER_START, start);
  field(HEADER_END, Math.min(end, 2 ** (addrBits - pageShift - CHUNK_SHIFT)));
  field(HEADER_TOP, top, top, state.getF64(HEADER_TOP));
  field(HEADER_IN_USE, inUse);
  field(HEADER_RELEASED, released);
  field(HEADER_PEAK_IN_USE, inUse, pages);
  field(HEADER_PEAK_RETAINED, pages - released, pages);
  field(HEADER_SCAV_STRICT, 0, 1);
  field(HEADER_SCAV_RESET, 0, 1);
  field(HEADER_SCAV_END, 0, end * CHUNK_PAGES, state.getF64(HEADER_SCAV_END));
  for (const total of [HEADER_ALLOCS, HEADER_FREES, HEADER_SCAVENGES, HEADER_SCAVENGED_TOTAL])
    field(total, 0, Number.MAX_VALUE, state.getF64(total));
  const search = get(HEADER_SEARCH_CHUNK) * CHUNK_PAGES + field(HEADER_SEARCH_INDEX, 0, CHUNK_PAGES - 1);
  // Compared as a page, which searchAddr is: at the first free page, or at any of the heap's below it.
  const most = search === firstFree ? search : Math.min(firstFree, top) - 1;
  field(HEADER_SEARCH_CHUNK, 0, most, search);
}
