// What a policy is, and what it sees and does. This is all that `none`, `all`, `goal` and the policies of other
// allocators use.

/**
 * A policy: it chooses which free pages are released, and when. It does not choose where allocations go. An object of
 * yours will do:
 *
 *     const everySecond = {
 *       name: "every second",
 *       start(heap) {
 *         const run = () => {
 *           heap.release(0, Infinity);
 *           heap.wakeAt(heap.now + 1e9, run);
 *         };
 *         heap.wakeAt(heap.now + 1e9, run);
 *       },
 *     };
 *
 * What it throws ends the simulation.
 */
export interface Policy {
  /** Its name in reports, with its options. */
  readonly name: string;
  /** Called once, at the first event's time, before it. */
  start(heap: PolicyHeap): void;
}

/**
 * The heap of a simulation, as its policy sees it. Addresses and sizes are in bytes, times in ns on the trace's clock.
 * A page is in use, or free, or released. A released page is free too, but needs no memory of the system. Memory that
 * was never touched counts as released. When the simulation has ended, the heap is gone: `freeRuns`, `release` and
 * `releaseDown` throw PageAllocError ERR_DISPOSED.
 */
export interface PolicyHeap {
  /** Bytes per page: of the heap, of the system, and of the system's huge pages, 0 for none. */
  readonly pageSize: number;
  readonly physPageSize: number;
  readonly physHugePageSize: number;
  /** Most bytes that the program is to retain; Infinity for no limit. */
  readonly memoryLimit: number;
  /** The current time. It stands still while the policy works. */
  readonly now: number;
  /** Bytes in use: allocated, with those from before the trace. */
  readonly inUseBytes: number;
  /** Bytes that are free and not released, those in page caches too. */
  readonly freeBytes: number;
  /** Bytes that are released, or were never touched. */
  readonly releasedBytes: number;
  /** Bytes of address space: all three together. */
  readonly heapBytes: number;

  /**
   * Calls `wake` once, when a time has come: after all events up to that time, before those after it. If the time is
   * past, it is called after the current event. Nothing is called after the trace's last event. Those of the same time
   * are called in the order of these calls. Returns a function that calls it off. The clock goes on only when none is
   * left for its time: a `wake` that always asks for `now` again never ends. Throws TypeError unless the time is a
   * number.
   */
  wakeAt(time: number, wake: () => void): () => void;
  /** Calls `seen` after each allocation, with the bytes of it that had been released or never touched. */
  onAlloc(seen: (base: number, nbytes: number, faultedBytes: number) => void): void;
  /** Calls `seen` after each free. */
  onFree(seen: (base: number, nbytes: number) => void): void;
  /** Calls `seen` after each event for which the heap has grown, with the bytes by which it has. */
  onGrow(seen: (nbytes: number) => void): void;
  /** Calls `seen` for each scavenge event of the trace. It has released nothing. */
  onRecordedRelease(seen: (base: number, nbytes: number) => void): void;
  /** Calls `seen` when the program's collector has finished marking, if that is known. */
  onGc(seen: (cycle: GcCycle) => void): void;

  /**
   * Returns the runs that could be released, lowest first: whole physical pages that are free, not released, and in no
   * page cache. Takes time for each chunk that has one.
   */
  freeRuns(): FreeRun[];
  /** Returns what is in each huge page that has a page in use or free, lowest first. */
  hugePages(): HugePage[];
  /**
   * Releases what can be released in [base, base + nbytes), and returns the bytes. A base of 0 and Infinity bytes are
   * the whole heap. One call of the system is counted for each run.
   */
  release(base: number, nbytes: number): number;
  /**
   * Releases runs below an address, the highest first, until there are nbytes. May release more, to keep a huge page
   * whole. Returns the bytes. Infinity is the top of the heap.
   */
  releaseDown(from: number, nbytes: number): number;
  /** Returns the CPU time in ns, under the simulation's cost model, of so many calls that release so many bytes. */
  costOf(calls: number, nbytes: number): number;
}

/** A run of pages that could be released. */
export interface FreeRun {
  readonly base: number;
  readonly nbytes: number;
  /** When a page of it was freed last. */
  readonly freedAt: number;
}

/** What is in a huge page. What remains of its bytes is not mapped. */
export interface HugePage {
  readonly base: number;
  readonly inUseBytes: number;
  readonly freeBytes: number;
  readonly releasedBytes: number;
}

/** A cycle of the program's collector. Times in ns, sizes in bytes; NaN where unknown. */
export interface GcCycle {
  /** When it began, and when marking ended: now. */
  readonly start: number;
  readonly time: number;
  /** When the sweeping after it will end. */
  readonly sweepEnd: number;
  /** What was live, and where the next cycle is to end. */
  readonly heapLive: number;
  readonly heapGoal: number;
}
