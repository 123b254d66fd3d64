// The events of a trace, as columns: what every format is read into, and a replay runs on.

/** The kinds of events, as the file has them. */
export const ALLOC = 1;
export const FREE = 2;
export const SCAVENGE = 3;

/** Bytes per page, in every trace. */
export const PAGE_BYTES = 8192;
/** Addresses in a trace lie in [0, ADDRESS_LIMIT). */
export const ADDRESS_LIMIT = 2 ** 48;

/** What a program did with its pages: events in time order, as columns. */
export interface PageTrace {
  /** Number of events. */
  readonly length: number;
  /** When, in ns on the recording machine's clock; ascending. */
  readonly time: Float64Array;
  /** The P (Go's processor) that did it; -1: none. */
  readonly proc: Int32Array;
  /** 1 alloc, 2 free, 3 scavenge. */
  readonly kind: Uint8Array;
  /** Address of the first page, in bytes. */
  readonly base: Float64Array;
  /** How many pages, at least 1. */
  readonly npages: Uint32Array;
  /**
   * Where the event stands in the file (when gzipped: in what it unpacks to), in bytes. For messages; may be left out.
   */
  readonly offset?: Float64Array;
  /**
   * What makes it likely that the end of the file is missing, in words; left out when nothing does. A file may have
   * been cut all the same: within the last buffer of all nothing tells it.
   */
  readonly cutShort?: string;
}
