// check: every invariant of a heap's state. It trusts nothing: what it reads may be any bytes, as those of a snapshot.

import { isInteger } from "./args.ts";
import { PageAllocError } from "./errors.ts";
import {
  BITMAP_BYTES,
  BLOCKS_BYTES,
  CACHE_PAGES,
  CHUNK_PAGES,
  CHUNK_SHIFT,
  DATA_BYTES,
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
  HEADER_ROOT,
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
  LEAF_DATA,
  LEAF_PARTIAL,
  LEAF_SUMS,
  LEVEL_SHIFT,
  LEVELS,
  LINE_BYTES,
  MAGIC,
  MAX_CHUNKS,
  NO_CHUNK,
  NODE_BYTES,
  NODE_CANDIDATES,
  NODE_CHILDREN,
  NODE_END,
  NODE_FIRST,
  NODE_MAX,
  NODE_PARENT,
  NODE_SHAPE,
  NODE_START,
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
} from "./layout.ts";
import { pack, unpack } from "./palloc-data.ts";
import { leastAddrBits, mostAddrBits, placeOf } from "./place.ts";
import { runsOf } from "./ranges.ts";
import type { State } from "./state.ts";
import { addPart, NOTHING, type Sum } from "./sums.ts";

/** Throws PageAllocError ERR_CORRUPT, naming the place, if any invariant does not hold. The lock is held. */
export function check(core: State): void {
  const checker = new Checker(core);
  checker.options();
  checker.tree();
  checker.records();
  checker.header();
}

/** One look at a heap: the piece it is at, and what the pieces seen so far add up to. */
class Checker {
  readonly #core: State;
  #piece = 0;
  #name = "header";
  /** Runs of pages that records own. */
  readonly #taken: Array<{ ref: number; first: number; end: number }> = [];
  /** Refs of the leaves' indexes of page caches. */
  readonly #indexes: number[] = [];
  /** Where page caches say that an index has them, by ref. */
  readonly #placed = new Map<number, number>();
  /** Bytes of the pieces seen, by ref. */
  readonly #pieces = new Map<number, number>();
  #chunks = 0;
  #inUse = 0;
  #released = 0;
  #pages = 0;
  #top = 0;
  #first = 0;
  #end = 0;
  #firstFree = NO_CHUNK * CHUNK_PAGES;

  constructor(core: State) {
    this.#core = core;
  }

  /** Throws unless `holds`. */
  #must(holds: boolean, what: string): void {
    if (holds) return;
    throw new PageAllocError("ERR_CORRUPT", `the ${this.#name} at ${this.#piece} is damaged: ${what}`);
  }

  /** A field of the piece, which must be an integer from `min` to `max`. */
  #field(offset: number, min: number, max = min, value = this.#core.get(this.#piece + offset)): number {
    this.#must(
      isInteger(value, min, max),
      `byte ${offset} must begin an integer from ${min} to ${max}, got ${value}`,
    );
    return value;
  }

  /** A field of the header that counts without an end. */
  #total(offset: number, max = Number.MAX_VALUE): void {
    this.#field(offset, 0, max, this.#core.getF64(offset));
  }

  /** Goes on to the next piece, which must not come twice. */
  #goTo(name: string, ref: number, bytes: number): void {
    this.#name = name;
    this.#piece = ref;
    const inside =
      ref >= HEADER_BYTES && ref % LINE_BYTES === 0 && ref + bytes <= this.#core.get(HEADER_USED);
    this.#must(inside && !this.#pieces.has(ref), "it lies elsewhere");
    this.#pieces.set(ref, bytes);
  }

  /** What the heap was made with. */
  options(): void {
    this.#field(HEADER_MAGIC, MAGIC);
    this.#field(HEADER_VERSION, VERSION);
    const pageShift = this.#field(HEADER_PAGE_SHIFT, 0, 39);
    this.#field(HEADER_ADDR_BITS, leastAddrBits(pageShift), mostAddrBits(pageShift));
    const minPages = this.#field(HEADER_MIN_PAGES, 1, 64);
    const hugePages = this.#field(HEADER_HUGE_PAGES, 0, 2 * CHUNK_PAGES);
    // Powers of two are their own lowest bit.
    this.#field(HEADER_MIN_PAGES, minPages & -minPages);
    this.#field(HEADER_HUGE_PAGES, hugePages & -hugePages);
    this.#field(HEADER_USED, HEADER_BYTES, this.#core.region.bytes);
    this.#field(JOURNAL_OP, 0);
  }

  /** The tree from its root down. */
  tree(): void {
    const core = this.#core;
    const root = core.get(HEADER_ROOT);
    if (!root) return;
    const level = Math.min(core.get(root + NODE_SHAPE) >>> LEVEL_SHIFT, LEVELS - 1);
    const first = Math.max(core.get(root + NODE_FIRST), 0);
    this.#node(root, 0, first - (first % FANOUT ** (level + 1)), level);
  }

  /** A node and all below it. Returns what it sums up to. */
  #node(ref: number, parent: number, first: number, level: number): Sum {
    this.#goTo("node", ref, level ? NODE_BYTES : LEAF_BYTES);
    this.#field(NODE_PARENT, parent);
    this.#field(NODE_FIRST, first);
    const shape = level << LEVEL_SHIFT;
    const mapped = this.#field(NODE_SHAPE, shape + (level ? 0 : 1), shape + (level ? 0 : 255));
    const candidates = this.#core.get(ref + NODE_CANDIDATES);
    const span = FANOUT ** level;
    const chunks = this.#chunks;
    const whole = { ...NOTHING, candidates: candidates !== 0 };
    let wanted = 0;
    for (let slot = 0; slot < FANOUT; slot++) {
      const at = 4 * slot;
      const chunk = first + slot * span;
      const child = level && this.#core.get(ref + NODE_CHILDREN + at);
      let sum = NOTHING;
      if (child) sum = this.#node(child, ref, chunk, level - 1);
      else if (!level) sum = this.#chunk(ref, slot, chunk);
      const { start, max, end } = sum;
      if (sum.candidates) wanted |= 1 << slot;
      this.#piece = ref;
      if (level) {
        this.#field(NODE_START + at, start);
        this.#field(NODE_MAX + at, max);
        this.#field(NODE_END + at, end);
      } else {
        this.#field(LEAF_SUMS + at, pack(sum));
      }
      addPart(whole, sum, slot * span * CHUNK_PAGES, span * CHUNK_PAGES);
    }
    this.#must(this.#chunks > chunks, "there is no chunk below it");
    const blocks = level ? 0 : this.#core.get(ref + LEAF_BLOCKS);
    if (blocks) {
      this.#goTo("index", blocks, BLOCKS_BYTES);
      this.#indexes.push(blocks);
      this.#name = "node";
      this.#piece = ref;
    }
    // A chunk that is marked may have lost its candidate; one that is not marked must have none.
    this.#field(NODE_CANDIDATES, wanted | (level ? 0 : candidates & mapped));
    return whole;
  }

  /** The chunk with its bitmaps at an offset of the region. Returns what it sums up to. */
  #chunk(leaf: number, slot: number, chunk: number): Sum {
    const core = this.#core;
    const { engine } = core;
    const offset = leaf + LEAF_DATA + slot * DATA_BYTES;
    const data = core.at + offset;
    const mapped = (core.get(leaf + NODE_SHAPE) >>> slot) & 1;
    const partial = (core.get(leaf + LEAF_PARTIAL) >>> slot) & 1;
    const words = Array.from({ length: BITMAP_BYTES / 4 }, (_, i) => offset + 4 * i);
    const isHole = (i: number) =>
      engine.popcntRange(data, i, 1) + engine.popcntRange(data + DATA_SCAVENGED, i, 1) > 1;
    const none = words.every((at) => !(core.get(at) & core.get(at + DATA_SCAVENGED)));
    const holes = none ? [] : runsOf(isHole, CHUNK_PAGES);
    const nholes = holes.reduce((sum, [, count]) => sum + count, 0);
    const inUse = engine.popcntRange(data, 0, CHUNK_PAGES) - nholes;
    const released = engine.popcntRange(data + DATA_SCAVENGED, 0, CHUNK_PAGES) - nholes;
    const right = mapped
      ? partial === Number(nholes > 0) && nholes < CHUNK_PAGES
      : !(partial || nholes || inUse || released);
    this.#must(right, `chunk ${chunk} has pages both in use and scavenged, or in a hole`);
    if (!mapped) return NOTHING;
    if (!this.#chunks++) this.#first = chunk;
    this.#end = chunk + 1;
    this.#pages += CHUNK_PAGES - nholes;
    const [last, count] = holes.at(-1) ?? [0, 0];
    this.#top = chunk * CHUNK_PAGES + (last + count === CHUNK_PAGES ? last : CHUNK_PAGES);
    this.#inUse += inUse;
    this.#released += released;
    const free = engine.find(data, 1, 0) & 0xffff;
    if (free < CHUNK_PAGES) this.#firstFree = Math.min(this.#firstFree, chunk * CHUNK_PAGES + free);
    const candidates = Boolean(engine.hasScavengeCandidate(data, core.get(HEADER_MIN_PAGES)));
    return { ...unpack(engine.summarize(data)), candidates };
  }

  /** The lists of records, live and dead, and the pages that live ones own. */
  records(): void {
    const core = this.#core;
    this.#list(HEADER_HOLDS, KIND_RELEASING, KIND_REUSING);
    this.#list(HEADER_RECORDS, KIND_CACHE, KIND_CACHE);
    this.#apart();
    for (let ref = core.get(HEADER_DEAD_RECORDS); ref; ref = core.get(ref + RECORD_NEXT)) {
      this.#goTo("dead record", ref, RECORD_BYTES);
      for (let at = RECORD_PREV; at < RECORD_NEXT + LINE_BYTES; at += 4) this.#field(at, 0);
    }
    this.#name = "index";
    for (const ref of this.#indexes) {
      this.#piece = ref;
      for (let slot = ref; slot < ref + BLOCKS_BYTES; slot += 4) {
        for (let at = core.get(slot); at; at = core.get(at + RECORD_BESIDE)) {
          this.#must(this.#placed.get(at) === slot, `what is at ${at} is no cache of its, or comes twice`);
          this.#placed.delete(at);
        }
      }
    }
    this.#must(!this.#placed.size, "a page cache is missing in the index of its leaf");
  }

  /** The live records of some kinds. */
  #list(list: number, least: number, most: number): void {
    const core = this.#core;
    let prev = 0;
    for (let ref = core.get(list); ref; ref = core.get(ref + RECORD_NEXT)) {
      this.#goTo("record", ref, RECORD_BYTES);
      this.#field(RECORD_PREV, prev);
      this.#field(RECORD_KIND, least, most);
      this.#owned(ref);
      const slot = this.#field(RECORD_SLOT, 0, least === KIND_CACHE ? Infinity : 0);
      if (slot) this.#placed.set(ref, slot);
      if (least === KIND_CACHE && (core.get(ref + RECORD_CACHE) || core.get(ref + RECORD_CACHE + 4)))
        this.#must(slot === this.#slotOf(ref), "the index of its leaf does not have it");
      prev = ref;
    }
  }

  /** Where the index of a leaf has the caches of a cache's block. */
  #slotOf(ref: number): number {
    const { engine, at } = this.#core;
    const chunk = this.#core.get(ref + RECORD_CHUNK);
    const leaf = (engine.mappedLeafOf(at, chunk) >>> 0) - at;
    return (
      this.#core.get(leaf + LEAF_BLOCKS) +
      4 * ((chunk % FANOUT) * (CHUNK_PAGES / CACHE_PAGES) + this.#core.get(ref + RECORD_INDEX) / CACHE_PAGES)
    );
  }

  /** The pages that a record owns: in use. */
  #owned(ref: number): void {
    const { engine, at } = this.#core;
    const isCache = this.#core.get(ref + RECORD_KIND) === KIND_CACHE;
    const index = this.#field(RECORD_INDEX, 0, CHUNK_PAGES - 1);
    const cached = isCache && engine.popcntRange(at + ref + RECORD_CACHE, 0, CACHE_PAGES);
    const least = cached ? CACHE_PAGES : isCache ? 0 : 1;
    const npages = this.#field(RECORD_NPAGES, least, isCache ? CACHE_PAGES : Infinity);
    if (isCache) this.#field(RECORD_INDEX, index & -CACHE_PAGES);
    const taken = this.#field(RECORD_TAKEN, 0, isCache ? Infinity : 0);
    const isRun = taken >>> 8 > 0 && (taken & 0xff) + (taken >>> 8) <= CACHE_PAGES;
    this.#must(!taken || isRun, "what is being taken from it is no run of its pages");
    const chunk = this.#core.get(ref + RECORD_CHUNK);
    const first = chunk * CHUNK_PAGES + index;
    const isCached = (i: number) => engine.popcntRange(at + ref + RECORD_CACHE, i, 1) > 0;
    for (const [from, count] of isCache ? runsOf(isCached, CACHE_PAGES) : [[0, npages]]) {
      this.#must(
        this.#inUseAll(first + from, count),
        `one of its ${count} pages from page ${from} on is free`,
      );
      this.#taken.push({ ref, first: first + from, end: first + from + count });
    }
  }

  /** Whether all pages of a range are in use. */
  #inUseAll(first: number, npages: number): boolean {
    const { engine, at } = this.#core;
    for (let page = first; page < first + npages; ) {
      const { chunk, index } = placeOf(page);
      const n = Math.min(first + npages - page, CHUNK_PAGES - index);
      const leaf = engine.mappedLeafOf(at, chunk) >>> 0;
      const data = leaf + LEAF_DATA + (chunk % FANOUT) * DATA_BYTES;
      if (
        !leaf ||
        engine.popcntRange(data, index, n) < n ||
        engine.popcntRange(data + DATA_SCAVENGED, index, n)
      )
        return false;
      page += n;
    }
    return true;
  }

  /** That no page has two records. */
  #apart(): void {
    this.#taken.sort((a, b) => a.first - b.first);
    let end = -1;
    for (const run of this.#taken) {
      this.#piece = run.ref;
      this.#must(run.first >= end, "one of its pages is another record's too");
      end = run.end;
    }
  }

  /** Where the last piece ends, when they lie one after another from the header on. */
  #endOfPieces(): number {
    let end = HEADER_BYTES;
    let count = 0;
    for (let bytes = this.#pieces.get(end); bytes; bytes = this.#pieces.get(end)) {
      end += bytes;
      count++;
    }
    this.#must(count === this.#pieces.size, `what lies at ${end} is no piece`);
    return end;
  }

  /** The numbers of the header against what the pieces add up to. */
  header(): void {
    const core = this.#core;
    const pages = this.#pages;
    this.#name = "header";
    this.#piece = 0;
    this.#field(HEADER_USED, this.#endOfPieces());
    this.#field(HEADER_CHUNKS, Math.min(this.#chunks, MAX_CHUNKS));
    this.#field(HEADER_PAGES, pages);
    this.#field(HEADER_START, this.#first);
    this.#field(
      HEADER_END,
      Math.min(this.#end, 2 ** (core.get(HEADER_ADDR_BITS) - core.get(HEADER_PAGE_SHIFT) - CHUNK_SHIFT)),
    );
    this.#field(HEADER_TOP, this.#top, this.#top, core.getF64(HEADER_TOP));
    this.#field(HEADER_IN_USE, this.#inUse);
    this.#field(HEADER_RELEASED, this.#released);
    this.#field(HEADER_PEAK_IN_USE, this.#inUse, pages);
    this.#field(HEADER_PEAK_RETAINED, pages - this.#released, pages);
    this.#field(HEADER_SCAV_STRICT, 0, 1);
    this.#field(HEADER_SCAV_RESET, 0, 1);
    this.#total(HEADER_SCAV_END, this.#end * CHUNK_PAGES);
    for (const total of [HEADER_ALLOCS, HEADER_FREES, HEADER_SCAVENGES, HEADER_SCAVENGED_TOTAL])
      this.#total(total);
    const index = this.#field(HEADER_SEARCH_INDEX, 0, CHUNK_PAGES - 1);
    const search = core.get(HEADER_SEARCH_CHUNK) * CHUNK_PAGES + index;
    // Compared as a page, which searchAddr is: at the first free page, or at any of the heap's below it.
    const most = search === this.#firstFree ? search : Math.min(this.#firstFree, this.#top) - 1;
    this.#field(HEADER_SEARCH_CHUNK, 0, most, search);
  }
}
