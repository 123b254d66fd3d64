// What an engine is: linear memory, and the calls that loop over bits and summaries in it. WebAssembly and the twin
// both implement this, and after the same calls their memory is the same to the byte.
//
// Pointers are byte addresses in linear memory, refs are byte offsets from a heap's own address (see layout.ts). Pages
// are given as a chunk and the index of the page in it, ranges as [index, index + npages) from there on, over as many
// chunks as they take, at least one page. Nothing here checks its arguments: the facade does.

import type { Memory, Region } from "./memory.ts";

/** The calls of an engine. */
export interface Kernels {
  // One bitmap
  setRange(bits: number, i: number, n: number): void;
  clearRange(bits: number, i: number, n: number): void;
  popcntRange(bits: number, i: number, n: number): number;
  /**
   * First run of npages at or after the word of searchIdx in bits 0-15, first free page seen in 16-31; 0xffff: none.
   */
  find(bits: number, npages: number, searchIdx: number): number;
  /** Packed summary: start, max, end, ten bits each. */
  summarize(bits: number): number;

  // One chunk
  fillAligned(x: bigint, m: number): bigint;
  hasScavengeCandidate(data: number, min: number): boolean | number;
  /** Start in bits 0-15, length in pages in bits 16-31; 0: none. Only pages below `ceiling` count. */
  findScavengeCandidate(data: number, ceiling: number, min: number, max: number, hugePages: number): number;

  // A heap, given by its address
  /**
   * The first page of the run as a page number, or -1. Also writes HEADER_LAST_SCAVENGED: how many of the pages had
   * been scavenged.
   */
  alloc(heap: number, npages: number): number;
  /** Where `alloc` would put npages, without taking them; raises searchAddr. */
  findFreePage(heap: number, npages: number): number;
  /** One of the RANGE_ answers, as for `free`. Also writes HEADER_LAST_SCAVENGED. */
  allocRange(heap: number, chunk: number, index: number, npages: number): number;
  free(heap: number, chunk: number, index: number, npages: number): number;
  /** Whether a range is all in use, and nobody's but its user's, or all free: one of the RANGE_ answers. */
  inspect(heap: number, chunk: number, index: number, npages: number, inUse: boolean): number;
  /** The first page of a range that is mapped, as a page number; -1 when none is. */
  mappedPage(heap: number, chunk: number, index: number, npages: number): number;
  /** Adds holes to the heap. The region has room for the nodes that this takes. */
  map(heap: number, chunk: number, index: number, npages: number): void;
  /** Address of the leaf that holds a chunk of the heap; 0 for a hole. */
  mappedLeafOf(heap: number, chunk: number): number;

  // The scavenger; `scavEnd` is what HEADER_SCAV_END becomes
  /** Where a first look begins: the page number below which pages count; 0 when nothing is left. */
  scavengeTop(heap: number): number;
  /** The candidate in a chunk below page `ceiling`, packed as by findScavengeCandidate. */
  findCandidate(heap: number, chunk: number, ceiling: number, maxPages: number): number;
  /**
   * Releases what a first look finds, and moves scavAddr just below it. Returns the pages released. Changes nothing and
   * returns 0 when the look finds nothing, and -1 when nothing is left below scavAddr.
   */
  release(heap: number, maxPages: number): number;
  /** Goes on below a chunk in which nothing was found, or a hole. */
  passOver(heap: number, chunk: number, scavEnd: number): void;
  /** Releases what is free and unscavenged of a range, holes or not. Returns pages. */
  scavengeRange(heap: number, chunk: number, index: number, npages: number, scavEnd: number): number;
  /** The same within a chunk, not counted as a release. */
  rescavenge(heap: number, chunk: number, index: number, npages: number): void;
  reset(heap: number): void;
  /** The highest chunk at or below `chunk` that may have a candidate, or -1. Needs no lock. */
  walk(heap: number, chunk: number): number;

  // Records; the region has room for one where one is made
  /** A record of pages that are in use, or of none. Returns its ref. */
  newRecord(heap: number, kind: number, owner: number, chunk: number, index: number, npages: number): number;
  /** Drops a record that owns no pages; with its place, the last of the region, if it is `unmade`. */
  dropRecord(heap: number, ref: number, unmade: boolean): void;
  /** Takes free pages for a hook to run on. Returns the ref of their record. */
  hold(
    heap: number,
    kind: number,
    owner: number,
    chunk: number,
    index: number,
    npages: number,
    scavEnd: number,
  ): number;
  /** Ends a hold with one of the HOLD_ outcomes. */
  endHold(heap: number, ref: number, outcome: number): void;
  /**
   * Ends a hold of pages that a cache had: the cache gets back those with a 1 in `pages`. `scav` says which are
   * scavenged.
   */
  returnHold(heap: number, ref: number, cache: number, pages: bigint, scav: bigint): void;
  /** Place in the block in bits 0-15, scavenged pages in 16-31; -1: no such run. */
  cacheAlloc(heap: number, ref: number, npages: number): number;
  /** Fills an empty cache anew, or a new one for ref 0. Returns its ref, or 0 when nothing is free. */
  refill(heap: number, ref: number, owner: number): number;
  /** Makes a cache that owns pages in use: those of a block with a 1 in `cache`. Returns its ref. */
  adopt(heap: number, owner: number, chunk: number, index: number, cache: bigint, scav: bigint): number;
  /** One of the RANGE_ answers. */
  flush(heap: number, ref: number): number;

  /** Carries out again the commit that the journal tells of, whose fields have been put back. */
  redo(heap: number): void;
}

/** What a batch needs of the heap that it runs on. */
export interface BatchHeap {
  /** The heap's address. Throws when there is none any more. */
  readonly at: number;
  readonly engine: Engine;
  /** What hands out the engine's own memory; undefined on shared memory. */
  readonly regions: Scratch | undefined;
  /** Runs `work` with the lock held. */
  locked<T>(work: () => T): T;
}

/** Memory for the numbers of batches. */
export interface Scratch {
  alloc(bytes: number): Region;
  free(region: Region): void;
}

/** A batch of operations (see layout.ts) that the engine carries out by itself as far as it can. */
export interface Batch {
  /** Carries out operations from `from` on. Returns the first that it leaves to others, `to` when there is none. */
  run(from: number, to: number): number;
  /** Takes over the result of an operation that was carried out elsewhere. */
  note(i: number): void;
}

/** An engine: its calls and the memory that they work on. */
export interface Engine extends Kernels {
  readonly name: "wasm" | "ts";
  readonly memory: Memory;
  /**
   * How to give it a batch, with the refs of page caches. The twin, which costs nothing to call, has no need for it; an
   * engine on shared memory has no place there for one.
   */
  readonly Batch?: new (
    heap: BatchHeap,
    ops: Float64Array,
    results: Float64Array,
    refs: number[],
  ) => Batch;
}
