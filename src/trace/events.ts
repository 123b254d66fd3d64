// The events of a trace, as columns. Every format is read into them, and a replay reads them.

/** The kinds of events, numbered as in the file. */
export const ALLOC = 1;
export const FREE = 2;
export const SCAVENGE = 3;

/** Bytes per page, in every trace. */
export const PAGE_BYTES = 8192;
/** Addresses in a trace lie in [0, ADDRESS_LIMIT). */
export const ADDRESS_LIMIT = 2 ** 48;

/** What a program did with its pages: events as columns, ascending by time. */
export interface PageTrace {
  /** Number of events. */
  readonly length: number;
  /** Time in ns, on the recording machine's clock; ascending. */
  readonly time: Float64Array;
  /** Id of the P (Go's processor) that did it; -1: none. */
  readonly proc: Int32Array;
  /** 1 alloc, 2 free, 3 scavenge. */
  readonly kind: Uint8Array;
  /** Address of the first page, in bytes. */
  readonly base: Float64Array;
  /** Number of pages, 1 or more. */
  readonly npages: Uint32Array;
  /**
   * Byte offset of the event in the file, after unpacking. For messages; may be left out.
   */
  readonly offset?: Float64Array;
  /**
   * Tells people why the file seems to be cut short. Left out if the file seems complete. A cut within the very last
   * buffer is not detected.
   */
  readonly cutShort?: string;
}
