// The layout of a neutral file: its constants, and the heads of its frames. encode.ts describes the file.

/** The first bytes: 0x89, "pages", a newline and the version. A transfer as text would change them. */
export const MAGIC: Uint8Array = Uint8Array.of(0x89, 0x70, 0x61, 0x67, 0x65, 0x73, 0x0a, 1);
/** Bytes of the header before the origin: the magic, the page size and the length of the origin. */
export const HEADER_BYTES = 16;
/** Most bytes of the origin's name. */
export const ORIGIN_BYTES = 255;
export const CRC_BYTES = 4;

/** The kinds of frames. */
export const EVENTS = 1;
export const CYCLES = 2;
export const OBJECTS = 3;
export const CUT_SHORT = 4;
export const CORRECTIONS = 5;
export const INDEX = 6;
export const END = 7;

/** Bytes of a frame's head, and of the end frame. */
export const HEAD_BYTES = 20;
/** Most events, cycles, sizes or entries of a frame. */
export const COUNT_MAX = 2 ** 16;
/** Bytes of a collector cycle: five columns. */
const CYCLE_BYTES = 40;
/** Bytes of a size of objects: four columns. */
const OBJECT_BYTES = 32;
/** Bytes of the corrections: six columns. */
const CORRECTIONS_BYTES = 48;
/** Most bytes of the text that says why a file is cut short. */
export const TEXT_BYTES = 2 ** 16;

/** Most bytes of an event, and of the two numbers in front of a frame's events. */
const EVENT_BYTES = 32;
const EVENTS_START_BYTES = 16;
/** Most bytes of an entry of the index. */
const ENTRY_BYTES = 24;
/** Deflate cannot shrink data by more than this factor. */
const DEFLATE_FACTOR = 1032;

/** The head of a frame. */
export interface Head {
  readonly kind: number;
  /** Number of events, cycles, sizes or entries. */
  readonly count: number;
  /** Bytes of the content, unpacked and packed. */
  readonly unpacked: number;
  readonly packed: number;
}

/** Most bytes that the content of a frame can have, before packing. -1 for an unknown kind. */
export function mostBytes(kind: number, count: number): number {
  switch (kind) {
    case EVENTS:
      return EVENTS_START_BYTES + EVENT_BYTES * count;
    case CYCLES:
      return CYCLE_BYTES * count;
    case OBJECTS:
      return OBJECT_BYTES * count;
    case CUT_SHORT:
      return TEXT_BYTES;
    case CORRECTIONS:
      return CORRECTIONS_BYTES * count;
    case INDEX:
      return ENTRY_BYTES * count;
    default:
      return -1;
  }
}

/** Reports whether the lengths in a head can be right. Then they are below 4 MiB. */
export function isPossible({ kind, count, unpacked, packed }: Head): boolean {
  if (count === 0 && (kind === EVENTS || kind === INDEX)) return false;
  if (count > COUNT_MAX || unpacked > mostBytes(kind, count)) return false;
  return packed <= unpacked + (unpacked >> 4) + 64 && unpacked <= packed * DEFLATE_FACTOR;
}
