// Takes a page from a page cache, without a call of the engine: crossing into WebAssembly would take longer than the
// work itself.

import * as layout from "./layout.ts";
import type { Memory } from "./memory.ts";

/**
 * Allocates the lowest page that a cache has. `record` is the index of its record in memory.i32. Returns the index of
 * the page in the block in bits 0-15, and whether it had been scavenged in bit 16; -1 if the cache is empty.
 */
export function takePage({ i32 }: Memory, record: number): number {
  let half = record + layout.RECORD_CACHE / 4;
  let first = 0;
  if (!i32[half]) {
    half++;
    first = 32;
  }
  const pages = i32[half];
  if (!pages) return -1;
  const bit = pages & -pages;
  const index = first + 31 - Math.clz32(bit);
  const scav = half + (layout.RECORD_SCAV - layout.RECORD_CACHE) / 4;
  const isScavenged = i32[scav] & bit;
  // The first store takes the page. If a worker dies before the second, no harm is done: scavenged bits count only for
  // pages that the cache owns.
  i32[half] = pages ^ bit;
  if (!isScavenged) return index;
  i32[scav] ^= bit;
  return index | (1 << 16);
}
