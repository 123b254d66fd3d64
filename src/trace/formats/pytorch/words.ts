// The strings of a snapshot that are told apart: the keys that are read, and their values. All others read as
// undefined.

const WORDS: readonly string[] = [
  "segments",
  "device_traces",
  "action",
  "addr",
  "size",
  "stream",
  "time_us",
  "device",
  "address",
  "total_size",
  "blocks",
  "state",
  "requested_size",
  "alloc",
  "free_completed",
  "segment_alloc",
  "segment_free",
  "segment_map",
  "segment_unmap",
  "active_allocated",
  "active_pending_free",
  "active_awaiting_free",
];

/** Bytes of the longest word. */
export const LONGEST_WORD = Math.max(...WORDS.map((word) => word.length));

/** The words by their codes. An index outside of an array would be looked up as a name, which is slow. */
const BY_CODE: ReadonlyArray<string | undefined> = [undefined, ...WORDS];
const CODES: ReadonlyMap<string, number> = new Map(WORDS.map((word, i) => [word, i + 1]));

/** The words of each length, with their bytes. */
const BY_LENGTH = Array.from({ length: LONGEST_WORD + 1 }, (_, length) =>
  WORDS.filter((word) => word.length === length).map((word) => ({
    word,
    bytes: Uint8Array.from(word, (letter) => letter.charCodeAt(0)),
  })),
);

/** Returns the word that stands in `bytes` at [start, start + length), if it is one. */
export function wordAt(bytes: Uint8Array, start: number, length: number): string | undefined {
  if (length > LONGEST_WORD) return undefined;
  for (const { word, bytes: letters } of BY_LENGTH[length]) {
    let i = 0;
    while (i < length && bytes[start + i] === letters[i]) i++;
    if (i === length) return word;
  }
  return undefined;
}

/** Returns a word's code, from 1 to 254. */
export function codeOf(word: string): number {
  return CODES.get(word) as number;
}

/** Returns the word of a code, undefined for 0. */
export function wordOf(code: number): string | undefined {
  return BY_CODE[code];
}
