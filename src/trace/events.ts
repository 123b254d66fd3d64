// The events of a trace, as columns. Every format is read into them, and a replay reads them.

/** The kinds of events. Those of Go's page trace have the numbers that they have there. */
export const ALLOC = 1;
export const FREE = 2;
export const SCAVENGE = 3;
export const EXISTS = 4;
export const GROW = 5;
export const UNMAP = 6;

/** Bytes per page, unless a trace says otherwise. */
export const PAGE_BYTES = 8192;
/** Addresses in a trace lie in [0, ADDRESS_LIMIT). */
export const ADDRESS_LIMIT = 2 ** 48;

/** The formats that are read, by the names that `PageTrace.format` has. */
export type TraceFormat = "go-page-trace" | "go-exec" | "pytorch" | "malloc" | "perf-kmem" | "neutral";

/** What a program did with its pages: events as columns, ascending by time. A trace, or a block of one. */
export interface PageTrace {
  /** Format that the trace was read from. A trace that you make yourself leaves it out. */
  readonly format?: string;
  /** Of the neutral form: the format that it was converted from. */
  readonly origin?: string;
  /** Bytes per page of `base` and `npages`: a power of two from 16 to 2^30. Default 8192. */
  readonly pageSize?: number;
  /** What the program's garbage collector did, if the trace has it. Of a block: the cycles that ended in it. */
  readonly gc?: GcEvents;
  /** How many objects of each size the program allocated, if that was asked for and the trace has it. */
  readonly objects?: ObjectCounts;
  /**
   * What the reader had to change, so that the events are ones that a heap can follow. Left out if it changed nothing.
   * Of a block: what it changed in there; the neutral form has all in the last block.
   */
  readonly corrections?: TraceCorrections;
  /** Number of events. */
  readonly length: number;
  /** Time in ns, on the recording machine's clock; ascending. */
  readonly time: Float64Array;
  /** Id of the P (Go's processor), or of the thread, that did it; -1: none. */
  readonly proc: Int32Array;
  /**
   * 1 alloc, 2 free, 3 scavenge, 4 exists (in use when the trace began, at this very place), 5 grow (the heap got these
   * pages), 6 unmap (the heap gave them back).
   */
  readonly kind: Uint8Array;
  /** Address of the first page, in bytes; a multiple of the page size. */
  readonly base: Float64Array;
  /** Number of pages, 1 or more. */
  readonly npages: Uint32Array;
  /**
   * Byte offset of the event in the file, after unpacking. For messages; may be left out.
   */
  readonly offset?: Float64Array;
  /** Tells people why the file seems to be cut short. Left out if the file seems complete. */
  readonly cutShort?: string;
}

/**
 * What a reader had to change, because a recording may begin late, may lose events, and may have several threads' in
 * nearly the right order. Each is a number of events, from 0.
 */
export interface TraceCorrections {
  /** Frees that the file lacks: they were added where other events took, or gave back, pages that were in use. */
  readonly impliedFrees: number;
  /** Growth that the file lacks: it was added where pages were used that the heap did not have. */
  readonly impliedGrows: number;
  /** Frees of pages that were not in use. They were left out, or those of their pages were. */
  readonly skippedFrees: number;
  /** Growth by pages that the heap had already. It was left out, or those pages of it were. */
  readonly skippedGrows: number;
  /** Unmaps of pages that the heap did not have. They were left out, or those of their pages were. */
  readonly skippedUnmaps: number;
  /** Allocations at addresses that pages cannot have, which were put elsewhere. */
  readonly movedAllocs: number;
}

/** Cycles of a garbage collector, as columns, ascending by time. NaN where the trace does not say. */
export interface GcEvents {
  /** Number of cycles. */
  readonly length: number;
  /** Start of the cycle, in ns. The sweeping of the cycle before has ended by then. */
  readonly start: Float64Array;
  /** End of marking, in ns. */
  readonly time: Float64Array;
  /** End of the sweeping that follows the marking, in ns. */
  readonly sweepEnd: Float64Array;
  /** Live bytes at the end of marking. */
  readonly heapLive: Float64Array;
  /** Bytes at which the next cycle is to end; Infinity if the heap may grow without end. */
  readonly heapGoal: Float64Array;
}

/** How many objects a program had and made, by size; ascending. */
export interface ObjectCounts {
  /** Number of sizes. */
  readonly length: number;
  /** Bytes per object, as the allocator rounds them. */
  readonly size: Float64Array;
  /** Objects of the size that existed when the trace began, that were allocated, and that were freed. */
  readonly existing: Float64Array;
  readonly allocs: Float64Array;
  readonly frees: Float64Array;
}
