// An engine: linear memory, and the calls that loop over bits and summaries in it. WebAssembly and the twin both
// implement it. After the same calls, the state of a heap is the same in both, byte for byte: all that a snapshot has.
//
// Pointers are byte addresses in linear memory. Refs are byte offsets from a heap's own address (see layout.ts). A page
// is given by its chunk and its index in the chunk. A range is npages pages (1 or more) from such a page on, and may
// reach into further chunks. Engines do not check arguments: the facade does.

import type { Memory, Region } from "./memory.ts";

/** The calls of an engine. */
export interface Kernels {
  // One bitmap
  setRange(bits: number, i: number, n: number): void;
  clearRange(bits: number, i: number, n: number): void;
  popcntRange(bits: number, i: number, n: number): number;
  /**
   * Returns the first run of npages free pages, from the 64-bit word of searchIdx upward, in bits 0-15, and the first
   * free page seen in bits 16-31. Either is 0xffff if there is none.
   */
  find(bits: number, npages: number, searchIdx: number): number;
  /** Returns the packed summary: start, max and end, ten bits each. */
  summarize(bits: number): number;

  // One chunk
  fillAligned(x: bigint, m: number): bigint;
  hasScavengeCandidate(data: number, min: number): boolean | number;
  /**
   * Returns the start of a candidate below page `ceiling` in bits 0-15, and its pages in bits 16-31; 0 if there is
   * none.
   */
  findScavengeCandidate(data: number, ceiling: number, min: number, max: number, hugePages: number): number;

  // Many chunks, one after the other
  /**
   * Runs a kernel, one of the SCAN_ numbers, on n chunks. a to d are its arguments after the chunk. Writes the results,
   * as i16, to address `to`.
   */
  scan(kernel: number, data: number, n: number, to: number, a: number, b: number, c: number, d: number): void;

  // A heap, given by its address
  /**
   * Returns the first page of the run as a page number, or -1. It is a multiple of `align` pages, a power of two. Sets
   * HEADER_LAST_SCAVENGED to how many of the pages had been scavenged.
   */
  alloc(heap: number, npages: number, align: number): number;
  /** Returns where `alloc` would put npages pages, without taking them. Raises searchAddr. */
  findFree(heap: number, npages: number, align: number): number;
  /** Returns one of the RANGE_ answers, as `free` does. Sets HEADER_LAST_SCAVENGED as `alloc` does. */
  allocRange(heap: number, chunk: number, index: number, npages: number): number;
  free(heap: number, chunk: number, index: number, npages: number): number;
  /**
   * Takes the lock with the word `held`, allocates npages pages, 1 to 512, and releases the lock. Returns the first
   * page as a page number plus, in units of 1 / LAST_SCALE, how many of the pages had been scavenged; -1 if there is no
   * such run. Returns BUSY, with nothing changed, if the lock is taken or an interrupted call must be mended first. If
   * others wait for the lock, leaves it to the caller to release it.
   */
  allocNow(heap: number, npages: number, held: number): number;
  /** Does the same for `free`. Returns one of the RANGE_ answers, or BUSY. */
  freeNow(heap: number, chunk: number, index: number, npages: number, held: number): number;
  /**
   * Checks that a range is all free or, with `inUse`, all in use and owned by no cache or hook. Returns one of the
   * RANGE_ answers.
   */
  inspect(heap: number, chunk: number, index: number, npages: number, inUse: boolean): number;
  /** Returns the first mapped page of a range, as a page number; -1 if there is none. */
  mappedPage(heap: number, chunk: number, index: number, npages: number): number;
  /** Maps the pages of a range, which must all be holes. The region must have room for the new nodes. */
  map(heap: number, chunk: number, index: number, npages: number): void;
  /**
   * Marks the pages of a range as in use, as holes are to the summaries. All must be mapped and free. Leaves
   * JOURNAL_UNMAP in the journal, for `commitUnmap` in store/unmapping.ts.
   */
  markUnmapped(heap: number, chunk: number, index: number, npages: number): void;
  /** Returns the address of the leaf that covers a chunk; 0 for a hole. */
  mappedLeafOf(heap: number, chunk: number): number;

  // The scavenger; `scavEnd` is what HEADER_SCAV_END becomes
  /** Returns the page number below which a first look searches; 0 if nothing is left. */
  scavengeTop(heap: number): number;
  /** Returns the candidate in a chunk below page `ceiling`, packed as findScavengeCandidate does. */
  findCandidate(heap: number, chunk: number, ceiling: number, maxPages: number): number;
  /**
   * Releases the run that a first look finds, and moves scavAddr just below it. Returns the number of pages released.
   * If the look finds nothing, changes nothing and returns 0. If nothing is left below scavAddr, returns -1.
   */
  release(heap: number, maxPages: number): number;
  /**
   * Releases the next run of a plain heap, wherever it is. Returns the number of pages released; -1 if nothing is left;
   * BUSY if another call is under way or an interrupted one must be mended.
   */
  releaseNow(heap: number, maxPages: number): number;
  /** Moves scavAddr below a chunk in which a look found nothing, or below a hole. */
  passOver(heap: number, chunk: number, scavEnd: number): void;
  /**
   * Releases the free and unscavenged pages of a range. Skips holes. Returns the number of pages released. If `scavEnd`
   * is -1, the pages are scavenged again after a hook: this does not count as a release, and scavAddr stays.
   */
  scavengeRange(heap: number, chunk: number, index: number, npages: number, scavEnd: number): number;
  reset(heap: number): void;
  /** Returns the highest chunk at or below `chunk` that may have a candidate, or -1. Needs no lock. */
  walk(heap: number, chunk: number): number;

  // Records. The region must have room for a record if a call makes one.
  /** Makes a record of pages that are in use, or of none. Returns its ref. */
  newRecord(heap: number, kind: number, owner: number, chunk: number, index: number, npages: number): number;
  /** Drops a record that owns no pages. If `unmade`, also gives back its room, which must be the last in the region. */
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
   * Ends a hold of pages that a cache had. The cache gets back the pages with a 1 in `pages`. `scav` says which of them
   * are scavenged.
   */
  returnHold(heap: number, ref: number, cache: number, pages: bigint, scav: bigint): void;
  /**
   * Returns the run's index in the block in bits 0-15, and its scavenged pages in bits 16-31; -1 if there is no such
   * run.
   */
  cacheAlloc(heap: number, ref: number, npages: number): number;
  /** Fills an empty cache, or a new one if `ref` is 0. Returns its ref, or 0 if nothing is free. */
  refill(heap: number, ref: number, owner: number): number;
  /** Makes a cache that owns the pages of a block with a 1 in `cache`, which must be in use. Returns its ref. */
  adopt(heap: number, owner: number, chunk: number, index: number, cache: bigint, scav: bigint): number;
  /** Frees the pages that a cache still owns, and drops its record. Returns one of the RANGE_ answers. */
  flush(heap: number, ref: number): number;

  /** Redoes the commit in the journal, unless pages are being unmapped. The saved fields must have been restored. */
  redo(heap: number): void;
}

/** What a batch needs of the heap that it runs on. */
export interface BatchHeap {
  /** The heap's address. Throws after `dispose`. */
  readonly at: number;
  readonly engine: Engine;
  /** Allocates the engine's own memory; undefined on shared memory. */
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
  /**
   * Carries out the operations [from, to). Returns the index of the first that the facade must do itself; `to` if there
   * is none.
   */
  run(from: number, to: number): number;
  /** Takes over the result of an operation that the facade has done. */
  note(i: number): void;
}

/** An engine: its calls and the memory that they work on. */
export interface Engine extends Kernels {
  readonly name: "wasm" | "ts";
  readonly memory: Memory;
  /**
   * Makes a batch. `refs` are those of page caches. The twin has no batches, since calling it costs nothing. An engine
   * on shared memory has none, since no room is reserved there for one.
   */
  readonly Batch?: new (
    heap: BatchHeap,
    ops: Float64Array,
    results: Float64Array,
    refs: number[],
  ) => Batch;
}
