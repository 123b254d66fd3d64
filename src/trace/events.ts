// Go's page trace: what a word of it holds, and the columns that a trace is read into.
//
// The file is a row of little-endian 64-bit words. An event is one word, or two when it has many pages:
//
//    63            48 47                               13 12         3  2   1   0
//   ┌────────────────┬───────────────────────────────────┬────────────┬────┬───────┐
//   │ time in ticks, │ page: its address, the bits below │ npages     │many│ kind, │
//   │ since the base │ 13 left out                       │            │    │ 1 - 3 │
//   └────────────────┴───────────────────────────────────┴────────────┴────┴───────┘
//     many = 1: npages is the next word instead
//
// Between the events stand sync words:
//
//    63                                                            3  2   1   0
//   ┌────────────────────────────────────────────────────────────────┬────┬───────┐
//   │ which = 1: the P that wrote what follows, signed; -1 for none  │which│   0   │
//   │ which = 0: the time base of what follows, in ticks             │    │       │
//   └────────────────────────────────────────────────────────────────┴────┴───────┘
//
// A P fills a buffer of its own of 4,096 words, and appends it to the file when it is full: at the latest when one word
// is left, as an event of two needs both. So the events of one P are in order, but the file as a whole is not. When the
// program exits, each P appends what it has, and last comes the buffer of those that have no P: it holds the very first
// pages of the program, so there always is one. A program that is killed leaves all this out.

/** The kinds of events, as the file has them. */
export const ALLOC = 1;
export const FREE = 2;
export const SCAVENGE = 3;

/** Bytes per page, in every trace. */
export const PAGE_BYTES = 8192;
/** Nanoseconds per tick, the unit of time in the file. */
export const TICK_NS = 128;
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
  /** Where the event stands in the file (when gzipped: in what it unpacks to), in bytes. For messages; may be left out. */
  readonly offset?: Float64Array;
  /**
   * What makes it likely that the end of the file is missing, in words; left out when nothing does. A file may have been
   * cut all the same: within the last buffer of all nothing tells it.
   */
  readonly cutShort?: string;
}
