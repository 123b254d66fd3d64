// Snapshots: a heap's state as bytes. They are the region as it is, but for the checksum and what matters to threads or
// within a call only: the lock, the journal, the saved fields, and what is noted of a shared heap alone. All that is 0.

import { copyBytes } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";

/** Seals a copy of a region, `words` of it, as a snapshot. */
export function seal(words: Int32Array): void {
  words.fill(0, layout.HEADER_LOCK >>> 2, layout.FIELDS >>> 2);
  words.fill(0, layout.HEADER_SHARED >>> 2, layout.HEADER_SCAV_END >>> 2);
  words.fill(0, layout.FIELDS_END >>> 2, layout.HEADER_BYTES >>> 2);
  words[layout.HEADER_CHECKSUM >>> 2] = 0;
  words[layout.HEADER_CHECKSUM >>> 2] = checksum(words);
}

/**
 * A copy of the region that a snapshot holds. Throws TypeError, or PageAllocError ERR_CORRUPT when a byte of it has
 * changed, or it is of another version.
 */
export function unseal(snapshot: Uint8Array): Int32Array {
  const { buffer, length } = copyBytes("snapshot", snapshot);
  const words = new Int32Array(buffer, 0, length >>> 2);
  const version = words[layout.HEADER_VERSION >>> 2];
  if (words[layout.HEADER_MAGIC >>> 2] === layout.MAGIC && version !== layout.VERSION) {
    throw new PageAllocError("ERR_CORRUPT", ofVersion("snapshot", version));
  }
  if (length >= layout.HEADER_BYTES && length % 4 === 0 && words[layout.HEADER_USED >>> 2] === length) {
    // Sealing it again changes nothing.
    const header = words.slice(0, layout.HEADER_BYTES >>> 2);
    seal(words);
    if (header.every((word, i) => word === words[i])) {
      words[layout.HEADER_CHECKSUM >>> 2] = 0;
      return words;
    }
  }
  throw new PageAllocError("ERR_CORRUPT", `snapshot, of ${length} bytes, is none of a heap, or damaged`);
}

/** Says that a state is of another version than this. */
export function ofVersion(name: string, version: number): string {
  const versions = `layout version ${version >>> 0}; this palloc reads version ${layout.VERSION}`;
  return `${name} has ${versions}: use the one that made it`;
}

/**
 * MurmurHash3 (x86, 32 bits; github.com/aappleby/smhasher) without its last mix. Every step maps words and sums one to
 * one, so no change of one word goes unseen; it also carries high bits down, so that two of them do not hide each
 * other.
 */
export function checksum(words: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < words.length; i++) {
    const word = Math.imul(words[i], 0xcc9e2d51);
    sum ^= Math.imul((word << 15) | (word >>> 17), 0x1b873593);
    sum = (Math.imul((sum << 13) | (sum >>> 19), 5) + 0xe6546b64) | 0;
  }
  return sum;
}
