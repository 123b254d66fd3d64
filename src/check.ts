// check: every invariant of a heap's state. It trusts nothing: what it reads may be any bytes, as those of a snapshot.

import { isInteger } from "./args.ts";
import { type Core, leastAddrBits, mostAddrBits, placeOf } from "./core.ts";
import { PageAllocError } from "./errors.ts";
import {
  BITMAP_BYTES,
  CACHE_PAGES,
  CHUNK_PAGES,
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
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RECORDS,
  HEADER_RELEASED,
  HEADER_ROOT,
  HEADER_SCAV_END,
  HEADER_SCAV_STRICT,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
  HEADER_START,
  HEADER_USED,
  HEADER_VERSION,
  JOURNAL_CACHE,
  JOURNAL_OP,
  JOURNAL_SCAV,
  KIND_CACHE,
  KIND_DEAD,
  KIND_REUSING,
  LEAF_BYTES,
  LEAF_DATA,
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
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_PREV,
  RECORD_TAKEN,
  VERSION,
} from "./layout.ts";
import { pack, unpack } from "./palloc-data.ts";
import { runsOf } from "./ranges.ts";
import { addPart, NOTHING, type Sum } from "./sums.ts";

/** Throws PageAllocError ERR_CORRUPT, naming the place, if any invariant does not hold. The lock is held. */
export function check(core: Core): void {
  const checker = new Checker(core);
  checker.options();
  checker.tree();
  checker.records();
  checker.header();
}

/** One look at a heap: the piece it is at, and what the pieces seen so far add up to. */
class Checker {
  readonly #core: Core;
  #piece = 0;
  #name = "header";
  /** Runs of pages that records own. */
  readonly #taken: Array<{ ref: number; first: number; end: number }> = [];
  /** Bytes of the pieces seen, by ref. */
  readonly #pieces = new Map<number, number>();
  #chunks = 0;
  #inUse = 0;
  #released = 0;
  #holds = 0;
  #first = 0;
  #end = 0;
  #firstFree = NO_CHUNK * CHUNK_PAGES;

  constructor(core: Core) {
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
    for (let at = JOURNAL_CACHE; at < JOURNAL_SCAV + 8; at += 4) this.#field(at, 0);
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
      else if (!level) sum = this.#chunk(ref + LEAF_DATA + slot * DATA_BYTES, chunk, (mapped >>> slot) & 1);
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
    // A chunk that is marked may have lost its candidate; one that is not marked must have none.
    this.#field(NODE_CANDIDATES, wanted | (level ? 0 : candidates & mapped));
    return whole;
  }

  /** The chunk with its bitmaps at an offset of the region. Returns what it sums up to. */
  #chunk(offset: number, chunk: number, mapped: number): Sum {
    const { engine } = this.#core;
    const data = this.#core.at + offset;
    const inUse = engine.popcntRange(data, 0, CHUNK_PAGES);
    const released = engine.popcntRange(data + DATA_SCAVENGED, 0, CHUNK_PAGES);
    let wrong = mapped ? 0 : inUse | released;
    for (let at = offset; at < offset + BITMAP_BYTES; at += 4) {
      wrong |= this.#core.get(at) & this.#core.get(at + DATA_SCAVENGED);
    }
    this.#must(!wrong, `chunk ${chunk} has pages both in use and scavenged, or in a hole`);
    if (!mapped) return NOTHING;
    if (!this.#chunks++) this.#first = chunk;
    this.#end = chunk + 1;
    this.#inUse += inUse;
    this.#released += released;
    const free = engine.find(data, 1, 0) & 0xffff;
    if (free < CHUNK_PAGES) this.#firstFree = Math.min(this.#firstFree, chunk * CHUNK_PAGES + free);
    const candidates = Boolean(engine.hasScavengeCandidate(data, this.#core.get(HEADER_MIN_PAGES)));
    return { ...unpack(engine.summarize(data)), candidates };
  }

  /** The lists of records, live and dead, and the pages that live ones own. */
  records(): void {
    const core = this.#core;
    let prev = 0;
    for (let ref = core.get(HEADER_RECORDS); ref; ref = core.get(ref + RECORD_NEXT)) {
      this.#goTo("record", ref, RECORD_BYTES);
      this.#field(RECORD_PREV, prev);
      if (this.#field(RECORD_KIND, KIND_CACHE, KIND_REUSING) !== KIND_CACHE) this.#holds++;
      this.#owned(ref);
      prev = ref;
    }
    this.#apart();
    for (let ref = core.get(HEADER_DEAD_RECORDS); ref; ref = core.get(ref + RECORD_NEXT)) {
      this.#goTo("dead record", ref, RECORD_BYTES);
      this.#field(RECORD_KIND, KIND_DEAD);
    }
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
    const first = this.#core.get(ref + RECORD_CHUNK) * CHUNK_PAGES + index;
    const isCached = (i: number) => engine.popcntRange(at + ref + RECORD_CACHE, i, 1) > 0;
    for (const [from, count] of isCache ? runsOf(isCached, CACHE_PAGES) : [[0, npages]]) {
      const run = placeOf(first + from);
      const inUse = !engine.inspect(at, run.chunk, run.index, count, true);
      this.#must(inUse, `one of its ${count} pages from page ${from} on is free`);
      this.#taken.push({ ref, first: first + from, end: first + from + count });
    }
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
    const pages = this.#chunks * CHUNK_PAGES;
    const endPage = this.#end * CHUNK_PAGES;
    this.#name = "header";
    this.#piece = 0;
    this.#field(HEADER_HOLDS, this.#holds);
    this.#field(HEADER_USED, this.#endOfPieces());
    this.#field(HEADER_CHUNKS, Math.min(this.#chunks, MAX_CHUNKS));
    this.#field(HEADER_START, this.#first);
    this.#field(HEADER_END, Math.min(this.#end, core.limit / core.chunkBytes));
    this.#field(HEADER_IN_USE, this.#inUse);
    this.#field(HEADER_RELEASED, this.#released);
    this.#field(HEADER_PEAK_IN_USE, this.#inUse, pages);
    this.#field(HEADER_PEAK_RETAINED, pages - this.#released, pages);
    this.#field(HEADER_SCAV_STRICT, 0, 1);
    this.#total(HEADER_SCAV_END, endPage);
    for (const total of [HEADER_ALLOCS, HEADER_FREES, HEADER_SCAVENGES, HEADER_SCAVENGED_TOTAL])
      this.#total(total);
    const index = this.#field(HEADER_SEARCH_INDEX, 0, CHUNK_PAGES - 1);
    const search = core.get(HEADER_SEARCH_CHUNK) * CHUNK_PAGES + index;
    // Compared as a page, which searchAddr is: at the first free page, or at any of the heap's below it.
    const most = search === this.#firstFree ? search : Math.min(this.#firstFree, endPage) - 1;
    this.#field(HEADER_SEARCH_CHUNK, 0, most, search);
  }
}
