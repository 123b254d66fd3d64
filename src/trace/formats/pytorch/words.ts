// The strings of a snapshot that are told apart: the keys that are read, and their values. Each has a code. All others
// have that of what nobody wants.

import { UNWANTED } from "./node.ts";

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

/** The words of each length: their codes and their bytes. */
const BY_LENGTH = Array.from({ length: LONGEST_WORD + 1 }, (_, length) =>
  WORDS.flatMap((word, i) =>
    word.length === length
      ? [{ code: i + 1, letters: Uint8Array.from(word, (letter) => letter.charCodeAt(0)) }]
      : [],
  ),
);

/** Returns the code of the word that stands in `bytes` at [start, start + length); UNWANTED if it is none. */
export function codeOfWord(bytes: Uint8Array, start: number, length: number): number {
  if (length > LONGEST_WORD) return UNWANTED;
  for (const { code, letters } of BY_LENGTH[length]) {
    let i = 0;
    while (i < length && bytes[start + i] === letters[i]) i++;
    if (i === length) return code;
  }
  return UNWANTED;
}

/** Returns the word of a code; undefined for UNWANTED. */
export function wordOf(code: number): string | undefined {
  return BY_CODE[code];
}
