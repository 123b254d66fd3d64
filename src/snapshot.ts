// Snapshots: a heap's state as bytes. They are the region as it is, but for the lock, which is free, and the checksum.

import { PageAllocError } from "./errors.ts";
import {
  HEADER_BYTES,
  HEADER_CHECKSUM,
  HEADER_LOCK,
  HEADER_LOCK_OWNER,
  HEADER_MAGIC,
  HEADER_USED,
  HEADER_VERSION,
  MAGIC,
  VERSION,
} from "./layout.ts";

/** Seals a copy of a region, `words` of it, as a snapshot. */
export function seal(words: Int32Array): void {
  words[HEADER_LOCK >>> 2] = 0;
  words[HEADER_LOCK_OWNER >>> 2] = 0;
  words[HEADER_CHECKSUM >>> 2] = 0;
  words[HEADER_CHECKSUM >>> 2] = checksum(words);
}

/** The region that a snapshot holds. Throws TypeError, or PageAllocError ERR_CORRUPT when a byte of it has changed. */
export function unseal(snapshot: Uint8Array): Int32Array {
  if (!(snapshot instanceof Uint8Array)) throw new TypeError("snapshot must be a Uint8Array");
  if (snapshot.length < HEADER_BYTES || snapshot.length % 4) {
    throw corrupt(
      `it has ${snapshot.length} bytes, and must have a multiple of 4 and at least ${HEADER_BYTES}`,
    );
  }
  const words = new Int32Array(snapshot.slice().buffer);
  const get = (field: number) => words[field >>> 2];
  if (get(HEADER_MAGIC) !== MAGIC) throw corrupt("it does not begin as one");
  if (get(HEADER_VERSION) !== VERSION)
    throw corrupt(`its layout is version ${get(HEADER_VERSION)}, not ${VERSION}`);
  if (get(HEADER_USED) !== snapshot.length) {
    throw corrupt(`it says that it has ${get(HEADER_USED)} bytes, and has ${snapshot.length}`);
  }
  const wanted = get(HEADER_CHECKSUM);
  words[HEADER_CHECKSUM >>> 2] = 0;
  if (checksum(words) !== wanted) throw corrupt("its checksum is wrong");
  return words;
}

/** The error for bytes that are not a snapshot. */
function corrupt(why: string): PageAllocError {
  return new PageAllocError("ERR_CORRUPT", `snapshot is not one of a heap, or has been damaged: ${why}`);
}

/**
 * FNV-1a (isthe.com/chongo/tech/comp/fnv) over 32-bit words in place of bytes. Every step maps words and sums one to one,
 * so no change of one word goes unseen.
 */
function checksum(words: Int32Array): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) sum = Math.imul(sum ^ words[i], 0x01000193);
  return sum | 0;
}
