// Snapshots changed at random, a hundred thousand an engine. With the checksum left alone every one must be refused.
// With a right one, as somebody who means harm or a writer with a bug would put, `restore` must refuse it, or give a
// heap that is sound and stays so whatever is done with it.
import { runInNewContext } from "node:vm";
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import * as layout from "../../src/engine/layout.ts";
import { seal } from "../../src/store/snapshot.ts";
import { Random } from "../support/random.ts";
import { same } from "../support/same.ts";
import type { PageAlloc, PageCache, Palloc } from "../support/subject.ts";

const HEAPS = 500;
/** Changed snapshots of each heap, every other one sealed again. */
const FORGERIES = 200;
/** Calls that make a heap, and calls on one that was restored. */
const [CALLS_BEFORE, CALLS_AFTER] = [150, 12];
/** Hundreds of times what the forgeries of one heap take: only a loop without an end takes longer. */
const MOST_MS = 10_000;
const WHIM = new Error("a hook's whim");

type Stats = ReturnType<PageAlloc["stats"]>;
type Sys = NonNullable<NonNullable<ConstructorParameters<Palloc["PageAlloc"]>[0]>["sys"]>;

describe.each<[string, Palloc]>([
  ["wasm", wasm],
  ["ts", ts],
])("altered snapshots (%s)", (_, palloc) => {
  it("are refused or restore a sound heap", () => {
    let restored = 0;
    for (let seed = 1; seed <= HEAPS; seed++) {
      const snapshot = randomSnapshot(palloc, new Random(seed));
      const run = new Run(palloc, snapshot, seed);
      run.all();
      restored += run.restored;
    }
    // Were hardly any restored, nothing would be known of what the check lets pass.
    expect(restored).toBeGreaterThan((HEAPS * FORGERIES) / 100);
  });
});

/** The forgeries of one snapshot. */
class Run {
  /** How many gave a heap. */
  restored = 0;
  readonly #palloc: Palloc;
  readonly #snapshot: Uint8Array;
  readonly #parts: Parts;
  readonly #seed: number;
  readonly #random: Random;
  /** What is being done, for messages. */
  #doing = "";

  constructor(palloc: Palloc, snapshot: Uint8Array, seed: number) {
    this.#palloc = palloc;
    this.#snapshot = snapshot;
    this.#parts = partsOf(snapshot);
    this.#seed = seed;
    this.#random = new Random(~seed);
  }

  /** Tries them all. Throws at the first that is not dealt with as it should be, with what it takes to see it again. */
  all(): void {
    try {
      // The one way to stop a loop without an end from outside it, in WebAssembly too.
      runInNewContext("forge()", { forge: () => this.#forge() }, { timeout: MOST_MS });
    } catch (cause) {
      const { message } = cause as Error;
      throw new Error(`seed ${this.#seed}, ${this.#doing}: ${message}`, { cause });
    }
  }

  #forge(): void {
    for (let k = 0; k < FORGERIES; k++) {
      const draft = new Draft(this.#snapshot, this.#parts, this.#random);
      const sealed = k % 2 === 1;
      this.#doing = `forgery ${k}${sealed ? ", sealed" : ""}`;
      do {
        this.#doing += `, ${draft.change()}`;
      } while (this.#random.oneIn(4) || draft.isOriginal());
      if (sealed) this.#tryOut(draft.sealed());
      else if (this.#restored(draft.bytes)) throw new Error("it gave a heap");
    }
  }

  /** Makes calls on the heap, if it gives one. */
  #tryOut(snapshot: Uint8Array): void {
    const random = this.#random;
    const heap = this.#restored(snapshot, random.oneIn(2) ? whims(random) : {});
    if (!heap) return;
    this.restored++;
    heap.check();
    mustBePossible(this.#palloc, snapshot, heap.stats());
    const caller = new Caller(heap, random);
    for (let k = 0; k < CALLS_AFTER; k++) {
      this.#doing += `, ${caller.call()}`;
      heap.check();
    }
    heap.dispose();
  }

  /** The heap, or undefined when it is refused as it should be. */
  #restored(snapshot: Uint8Array, sys: Sys = {}): PageAlloc | undefined {
    const { PageAlloc, PageAllocError } = this.#palloc;
    try {
      return PageAlloc.restore(snapshot, { sys });
    } catch (error) {
      if (error instanceof PageAllocError && error.code === "ERR_CORRUPT") return;
      throw error;
    }
  }
}

/** What `check` alone would vouch for: the format, options that a heap can be made with, counts. */
function mustBePossible({ PageAlloc }: Palloc, snapshot: Uint8Array, stats: Stats): void {
  const words = wordsOf(snapshot);
  const pageSize = 2 ** words[layout.HEADER_PAGE_SHIFT >>> 2];
  using heap = new PageAlloc({
    pageSize,
    physPageSize: pageSize * words[layout.HEADER_MIN_PAGES >>> 2],
    physHugePageSize: pageSize * words[layout.HEADER_HUGE_PAGES >>> 2],
    heapAddrBits: words[layout.HEADER_ADDR_BITS >>> 2],
  });
  const empty = wordsOf(heap.snapshot());
  for (const at of [layout.HEADER_MAGIC, layout.HEADER_VERSION]) {
    same(words[at >>> 2], empty[at >>> 2], `byte ${at}`);
  }
  const { inUse, retained, peakInUse, peakRetained } = stats;
  // More than the heap has now, if pages have been unmapped.
  const most = layout.MAX_CHUNKS * layout.CHUNK_PAGES * pageSize;
  const peaksFit =
    inUse <= peakInUse && peakInUse <= most && retained <= peakRetained && peakRetained <= most;
  const countsFit = Object.values(stats).every((count) => count >= 0);
  if (!peaksFit || !countsFit) throw new Error(`no heap has counted ${JSON.stringify(stats)}`);
}

/** Hooks that decline and throw now and then, after `first`. */
function whims(random: Random, first = () => {}): Sys {
  const whim = () => {
    first();
    if (random.oneIn(8)) throw WHIM;
  };
  const unused = () => {
    whim();
    return !random.oneIn(3);
  };
  return { unused, used: whim };
}

/** Errors that random calls may meet, by call; all others are wrong. */
const REFUSALS: Record<string, readonly string[]> = {
  grow: ["ERR_OVERLAP"],
  allocRange: ["ERR_NOT_MAPPED", "ERR_NOT_FREE"],
  free: ["ERR_NOT_MAPPED", "ERR_NOT_ALLOCATED"],
  unmap: ["ERR_NOT_MAPPED", "ERR_NOT_FREE"],
};

/** Makes random calls on a heap of which nothing is known. */
class Caller {
  readonly #heap: PageAlloc;
  /** Chunks of the address space. */
  readonly #chunks: number;
  readonly #random: Random;
  readonly #caches: PageCache[] = [];
  /** What `alloc` has given, and nobody has tried to free. */
  readonly #live: [base: number, npages: number][] = [];

  constructor(heap: PageAlloc, random: Random) {
    this.#heap = heap;
    this.#chunks = 2 ** wordsOf(heap.snapshot())[layout.HEADER_ADDR_BITS >>> 2] / heap.chunkBytes;
    this.#random = random;
  }

  /** Makes one call. Returns its name. */
  call(): string {
    const heap = this.#heap;
    const npages = this.#npages();
    const nbytes = this.#random.pick([0, npages * heap.pageSize, Infinity]);
    const calls = {
      grow: () => this.#grow(),
      unmap: () => this.#unmap(npages),
      alloc: () => this.#alloc(npages),
      allocRange: () => heap.allocRange(this.#base(), npages),
      free: () => this.#free(npages),
      scavenge: () => heap.scavenge(nbytes),
      scavengeRange: () => heap.scavengeRange(this.#base(), npages),
      resetScavengeAddr: () => heap.resetScavengeAddr(),
      allocToCache: () => this.#caches.push(heap.allocToCache()),
      cacheAlloc: () => this.#cache()?.alloc(npages),
      flush: () => this.#cache()?.flush(),
      look: () => [heap.stats(), heap.ranges(), heap.snapshot(), heap.scavAddr, heap.searchAddr],
    };
    const often = { grow: 3, unmap: 1, alloc: 6, allocRange: 2, free: 6, scavenge: 3, resetScavengeAddr: 2 };
    const seldom = { scavengeRange: 1, allocToCache: 2, cacheAlloc: 2, flush: 1, look: 1 };
    const name = this.#random.weighted<keyof typeof calls>({ ...often, ...seldom });
    try {
      calls[name]();
    } catch (error) {
      if (error !== WHIM && !REFUSALS[name]?.includes((error as { code: string }).code)) throw error;
    }
    return name;
  }

  #alloc(npages: number): void {
    const base = this.#heap.alloc(npages);
    if (base !== -1) this.#live.push([base, npages]);
  }

  /** A free run, or pages of any kind. */
  #unmap(npages: number): void {
    const runs = [...this.#heap.freeRuns()];
    const run = this.#random.oneIn(3) ? undefined : this.#random.pick(runs);
    const base = run?.base ?? this.#base();
    const limit = this.#chunks * this.#heap.chunkBytes;
    this.#heap.unmap(base, Math.min(run?.nbytes ?? npages * this.#heap.pageSize, limit - base));
  }

  #free(npages: number): void {
    const live = this.#random.oneIn(2) ? this.#live.pop() : undefined;
    this.#heap.free(...(live ?? [this.#base(), npages]));
  }

  #npages(): number {
    const random = this.#random;
    const most = Math.min(2, this.#chunks) * layout.CHUNK_PAGES;
    return random.pick([1, 1, random.between(1, layout.CACHE_PAGES), random.between(1, most)]);
  }

  #cache(): PageCache | undefined {
    return this.#random.pick(this.#caches);
  }

  /** Address of a page of the heap, or of none in a heap without chunks. */
  #base(): number {
    const { pageSize } = this.#heap;
    const [base, limit] = this.#random.pick(this.#heap.mappedRanges()) ?? [0, pageSize];
    return base + this.#random.below((limit - base) / pageSize) * pageSize;
  }

  /** Next to what there is, at either end of the address space, or anywhere: trees of every height come of it. */
  #grow(): void {
    const random = this.#random;
    const near = this.#heap.bounds().end + random.below(2 * layout.FANOUT);
    const places = [near, near, 0, random.below(2 ** random.below(30)), this.#chunks - 1];
    const chunk = Math.min(random.pick(places), this.#chunks - 1);
    const { chunkBytes } = this.#heap;
    this.#heap.grow(chunk * chunkBytes, Math.min(random.between(1, 3), this.#chunks - chunk) * chunkBytes);
  }
}

/** A snapshot of a heap that has come about by random calls, at times taken while a hook ran. */
function randomSnapshot({ PageAlloc }: Palloc, random: Random): Uint8Array {
  const pageSize = 2 ** random.pick([0, 9, 12, 13, 13, 13, 16, 20, 39]);
  const physPageSize = pageSize * random.pick([1, 1, 2, 16, 64]);
  const physHugePageSize = pageSize * random.pick([0, 0, 8, 256]);
  let held: Uint8Array | undefined;
  const sys = whims(random, () => {
    held = heap.snapshot();
  });
  using heap = new PageAlloc({ pageSize, physPageSize, physHugePageSize, sys });
  const caller = new Caller(heap, random);
  for (let k = random.below(CALLS_BEFORE); k > 0; k--) caller.call();
  return (random.oneIn(3) && held) || heap.snapshot();
}

/** A stretch of a snapshot. */
interface Stretch {
  at: number;
  bytes: number;
}

/** Where in a snapshot changes are aimed at. */
interface Parts {
  /** Nodes and records. */
  pieces: Stretch[];
  /** Offsets of the words that are no bitmaps. */
  fields: number[];
  /** Offsets of those fields that refer to a piece. */
  refs: number[];
}

const HEADER_REFS = [
  layout.HEADER_ROOT,
  layout.HEADER_RECORDS,
  layout.HEADER_DEAD_RECORDS,
  layout.HEADER_FREE_LEAVES,
  layout.HEADER_FREE_NODES,
];
const wordsOf = (snapshot: Uint8Array) => new Int32Array(snapshot.buffer);
const offsets = (at: number, bytes: number) => Array.from({ length: bytes / 4 }, (_, i) => at + 4 * i);
const HEADER_FIELDS = offsets(0, layout.HEADER_BYTES);

function partsOf(snapshot: Uint8Array): Parts {
  const words = wordsOf(snapshot);
  const parts = { pieces: [], fields: [...HEADER_FIELDS], refs: [...HEADER_REFS] };
  addNodes(parts, words, words[layout.HEADER_ROOT >>> 2]);
  addRecords(parts, words, words[layout.HEADER_RECORDS >>> 2]);
  addRecords(parts, words, words[layout.HEADER_DEAD_RECORDS >>> 2]);
  addFree(parts, words, layout.HEADER_FREE_LEAVES, layout.LEAF_NEXT, layout.LEAF_BYTES);
  addFree(parts, words, layout.HEADER_FREE_NODES, layout.NODE_NEXT, layout.NODE_BYTES);
  return parts;
}

function addNodes(parts: Parts, words: Int32Array, at: number): void {
  if (!at) return;
  const isLeaf = words[(at + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT === 0;
  const children = isLeaf ? [] : offsets(at + layout.NODE_CHILDREN, 4 * layout.FANOUT);
  parts.pieces.push({ at, bytes: isLeaf ? layout.LEAF_BYTES : layout.NODE_BYTES });
  parts.fields.push(...offsets(at, isLeaf ? layout.LEAF_DATA : layout.NODE_BYTES));
  parts.refs.push(at + layout.NODE_PARENT, ...children);
  for (const child of children) addNodes(parts, words, words[child >>> 2]);
}

function addFree(parts: Parts, words: Int32Array, head: number, next: number, bytes: number): void {
  for (let at = words[head >>> 2]; at; at = words[(at + next) >>> 2]) {
    parts.pieces.push({ at, bytes });
    parts.fields.push(...offsets(at, Math.min(bytes, layout.NODE_BYTES)));
    parts.refs.push(at + next);
  }
}

function addRecords(parts: Parts, words: Int32Array, first: number): void {
  for (let at = first; at; at = words[(at + layout.RECORD_NEXT) >>> 2]) {
    parts.pieces.push({ at, bytes: layout.RECORD_BYTES });
    parts.fields.push(...offsets(at, layout.RECORD_BYTES));
    parts.refs.push(at + layout.RECORD_NEXT, at + layout.RECORD_PREV);
  }
}

/** What may be done to a snapshot, by how often it is. */
const CHANGES = {
  flip: 3,
  word: 3,
  field: 8,
  total: 1,
  tops: 2,
  ref: 4,
  copy: 2,
  swap: 2,
  cut: 1,
  insert: 1,
  appendNode: 1,
  appendRecord: 1,
};

/** Floats that no heap has counted to. */
const TOTALS = [-0, -1, 0.5, NaN, Infinity, Number.MAX_SAFE_INTEGER, 2 ** 53, 1e300];

/** A snapshot that is being changed. */
class Draft {
  bytes: Uint8Array;
  readonly #original: Uint8Array;
  readonly #parts: Parts;
  readonly #random: Random;

  constructor(original: Uint8Array, parts: Parts, random: Random) {
    this.bytes = original.slice();
    this.#original = original;
    this.#parts = parts;
    this.#random = random;
  }

  /** Makes one change, which may undo another, or be none. Returns its name. */
  change(): string {
    const name = this.#random.weighted(CHANGES);
    this[name]();
    return name;
  }

  isOriginal(): boolean {
    return Buffer.compare(this.bytes, this.#original) === 0;
  }

  /** The bytes, with a right checksum where there is a place for one. */
  sealed(): Uint8Array {
    const { bytes } = this;
    if (bytes.length % 4 === 0 && bytes.length >= layout.HEADER_BYTES) seal(wordsOf(bytes));
    return bytes;
  }

  flip(): void {
    const random = this.#random;
    const { at, bytes } = this.#stretch();
    for (let n = random.between(1, 4); n > 0; n--) this.bytes[at + random.below(bytes)] ^= random.bits();
  }

  word(): void {
    this.#set(4 * this.#random.below(this.bytes.length / 4), this.#oddWord());
  }

  field(): void {
    const at = this.#field();
    const near = this.#get(at) + this.#random.pick([1, -1, layout.FANOUT, -layout.FANOUT]);
    const flipped = this.#get(at) ^ (1 << this.#random.below(32));
    this.#set(at, this.#random.pick([near, flipped, this.#oddWord()]));
  }

  total(): void {
    const [low, high] = new Int32Array(Float64Array.of(this.#random.pick(TOTALS)).buffer);
    const at = this.#random.pick(HEADER_FIELDS) & -8;
    this.#set(at, low);
    this.#set(at + 4, high);
  }

  /** The highest bits of two words: a sum that carries upward only may not see one for the other. */
  tops(): void {
    for (let k = 0; k < 2; k++) {
      const at = this.#field();
      this.#set(at, this.#get(at) ^ (this.#random.pick([1, 2, 3]) << 30));
    }
  }

  ref(): void {
    this.#set(this.#random.pick(this.#parts.refs), this.#oddRef());
  }

  copy(): void {
    const from = this.#stretch();
    this.bytes.copyWithin(this.#stretch().at, from.at, from.at + from.bytes);
  }

  swap(): void {
    const [a, b] = [this.#stretch(), this.#stretch()];
    const n = Math.min(a.bytes, b.bytes);
    const first = this.bytes.slice(a.at, a.at + n);
    this.bytes.copyWithin(a.at, b.at, b.at + n);
    this.bytes.set(first, b.at);
  }

  cut(): void {
    const { at, bytes } = this.#stretch();
    const end = this.#random.oneIn(2) ? this.bytes.length : at + bytes;
    this.#resize(at, end, new Uint8Array(0));
  }

  insert(): void {
    const { at, bytes } = this.#stretch();
    const where = this.#random.pick([at, this.bytes.length]);
    this.#resize(where, where, this.bytes.slice(at, at + bytes));
  }

  /** A root with nothing below it, which an empty heap might be taken to have. */
  appendNode(): void {
    const at = this.#append(layout.NODE_BYTES);
    this.#set(at + layout.NODE_SHAPE, this.#random.below(layout.LEVELS) << layout.LEVEL_SHIFT);
    this.#set(layout.HEADER_ROOT, at);
  }

  /** A record at the head of either list. */
  appendRecord(): void {
    const random = this.#random;
    const kind = random.pick([
      layout.KIND_DEAD,
      layout.KIND_CACHE,
      layout.KIND_RELEASING,
      layout.KIND_REUSING,
    ]);
    const list = kind === layout.KIND_DEAD ? layout.HEADER_DEAD_RECORDS : layout.HEADER_RECORDS;
    const next = this.#get(list);
    const at = this.#append(layout.RECORD_BYTES);
    this.#set(at + layout.RECORD_NEXT, next);
    this.#set(at + layout.RECORD_KIND, kind);
    this.#set(at + layout.RECORD_CHUNK, this.#get(layout.HEADER_START));
    this.#set(at + layout.RECORD_INDEX, random.below(layout.CHUNK_PAGES));
    this.#set(at + layout.RECORD_NPAGES, random.below(3));
    this.#set(list, at);
    if (next && kind !== layout.KIND_DEAD) this.#set(next + layout.RECORD_PREV, at);
    if (kind > layout.KIND_CACHE) this.#set(layout.HEADER_HOLDS, this.#get(layout.HEADER_HOLDS) + 1);
  }

  /** Offset of a field, every other one of the header's, of which there are few. */
  #field(): number {
    return this.#random.pick(this.#random.pick([HEADER_FIELDS, this.#parts.fields]));
  }

  #append(bytes: number): number {
    const at = this.bytes.length;
    this.#resize(at, at, new Uint8Array(bytes));
    this.#set(layout.HEADER_USED, this.bytes.length);
    return at;
  }

  /** Puts `between` where [from, to) was, and mostly has the header agree, or that alone would give it away. */
  #resize(from: number, to: number, between: Uint8Array): void {
    const after = this.bytes.subarray(to);
    const bytes = new Uint8Array(from + between.length + after.length);
    bytes.set(this.bytes.subarray(0, from));
    bytes.set(between, from);
    bytes.set(after, from + between.length);
    this.bytes = bytes;
    if (!this.#random.oneIn(4)) this.#set(layout.HEADER_USED, this.bytes.length);
  }

  #oddWord(): number {
    const random = this.#random;
    const word = this.#get(4 * random.below(this.bytes.length / 4));
    const odd = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), layout.NO_CHUNK, random.below(100), random.bits()];
    return random.pick([...odd, word, this.#oddRef(), this.bytes.length]);
  }

  /** Of a piece, of a place within one or anywhere, or of none. */
  #oddRef(): number {
    const { at, bytes } = this.#stretch();
    return this.#random.pick([at, at & -16, (at + this.#random.below(bytes)) & -16, 0]);
  }

  /** A piece, or any other stretch. */
  #stretch(): Stretch {
    const random = this.#random;
    const { length } = this.bytes;
    const anywhere = random.below(length) & random.pick([-1, -4, -16]);
    const any = { at: anywhere, bytes: random.pick([4, 8, 16, random.below(length)]) };
    const { at, bytes } = random.pick([any, random.pick(this.#parts.pieces) ?? any]);
    return { at: Math.min(at, length), bytes: Math.max(0, Math.min(bytes, length - at)) };
  }

  /** A word; 0 beyond the end. */
  #get(at: number): number {
    return at < 0 || at + 4 > this.bytes.length ? 0 : new DataView(this.bytes.buffer).getInt32(at, true);
  }

  /** Writes a word, unless it would be beyond the end. */
  #set(at: number, value: number): void {
    if (at >= 0 && at + 4 <= this.bytes.length) new DataView(this.bytes.buffer).setInt32(at, value, true);
  }
}
