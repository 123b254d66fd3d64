// Snapshots: a heap's state as bytes. A snapshot is a copy of the region with a checksum. Fields that matter only to
// threads or within a call are 0: the lock, the journal, the saved fields, and those of shared heaps alone.

import { copyBytes } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";

/** Turns a copy of a region into a snapshot, in place. */
export function seal(words: Int32Array): void {
  words.fill(0, layout.HEADER_LOCK >>> 2, layout.FIELDS >>> 2);
  words.fill(0, layout.HEADER_SHARED >>> 2, layout.HEADER_SIZES >>> 2);
  words.fill(0, layout.FIELDS_END >>> 2, layout.HEADER_BYTES >>> 2);
  words[layout.HEADER_CHECKSUM >>> 2] = 0;
  words[layout.HEADER_CHECKSUM >>> 2] = checksum(words);
}

/**
 * Returns a copy of the region in a snapshot. Throws TypeError, or PageAllocError ERR_CORRUPT when the bytes are
 * damaged or of another layout version.
 */
export function unseal(snapshot: Uint8Array): Int32Array {
  const { buffer, length } = copyBytes("snapshot", snapshot);
  const words = new Int32Array(buffer, 0, length >>> 2);
  const version = words[layout.HEADER_VERSION >>> 2];
  if (words[layout.HEADER_MAGIC >>> 2] === layout.MAGIC && version !== layout.VERSION) {
    throw new PageAllocError("ERR_CORRUPT", ofVersion("snapshot", version));
  }
  if (length >= layout.HEADER_BYTES && length % 4 === 0 && words[layout.HEADER_USED >>> 2] === length) {
    // Sealing an intact snapshot again changes nothing.
    const header = words.slice(0, layout.HEADER_BYTES >>> 2);
    seal(words);
    if (header.every((word, i) => word === words[i])) {
      words[layout.HEADER_CHECKSUM >>> 2] = 0;
      return words;
    }
  }
  throw new PageAllocError(
    "ERR_CORRUPT",
    `snapshot (${length} bytes) is damaged, or did not come from heap.snapshot()`,
  );
}

/** Returns the message for a state of another layout version. */
export function ofVersion(name: string, version: number): string {
  const versions = `layout version ${version >>> 0}; this palloc reads version ${layout.VERSION}`;
  return `${name} has ${versions}: use the palloc that made it`;
}

/**
 * MurmurHash3 (x86, 32 bits; github.com/aappleby/smhasher) without its final mix. Each step is a bijection of the word
 * and of the sum, so a change of one word always changes the result. The rotations carry high bits down, so that two
 * changed high bits do not cancel out.
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
