// The header's fields as calls change them, once the journal is open.

import {
  CHUNK_PAGES,
  HEADER_CHUNKS,
  HEADER_IN_USE,
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RELEASED,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
} from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Adds to a u32 of the header; what is negative takes away. */
export function count({ i32 }: Memory, heap: number, amount: number, counter: number): void {
  i32[(heap + counter) >>> 2] += amount;
}

/** Adds to an f64 of the header. */
export function total({ f64 }: Memory, heap: number, amount: number, counter: number): void {
  f64[(heap + counter) >>> 3] += amount;
}

/** Accounts for pages that come into use, `scavenged` of which had been released. */
export function countTaken({ i32 }: Memory, heap: number, npages: number, scavenged: number): void {
  const inUse = i32[(heap + HEADER_IN_USE) >>> 2] + npages;
  i32[(heap + HEADER_IN_USE) >>> 2] = inUse;
  if (inUse > i32[(heap + HEADER_PEAK_IN_USE) >>> 2]) i32[(heap + HEADER_PEAK_IN_USE) >>> 2] = inUse;
  if (!scavenged) return;
  const released = i32[(heap + HEADER_RELEASED) >>> 2] - scavenged;
  i32[(heap + HEADER_RELEASED) >>> 2] = released;
  const retained = i32[(heap + HEADER_CHUNKS) >>> 2] * CHUNK_PAGES - released;
  if (retained > i32[(heap + HEADER_PEAK_RETAINED) >>> 2]) {
    i32[(heap + HEADER_PEAK_RETAINED) >>> 2] = retained;
  }
}

/** Accounts for pages that are released, in that many runs. */
export function countReleased(memory: Memory, heap: number, npages: number, runs: number): void {
  count(memory, heap, npages, HEADER_RELEASED);
  total(memory, heap, runs, HEADER_SCAVENGES);
  total(memory, heap, npages, HEADER_SCAVENGED_TOTAL);
}

/** Lowers searchAddr to a page that becomes free. */
export function lowerSearch(memory: Memory, heap: number, chunk: number, index: number): void {
  const { i32 } = memory;
  const searchChunk = i32[(heap + HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk > searchChunk || (chunk === searchChunk && index >= i32[(heap + HEADER_SEARCH_INDEX) >>> 2]))
    return;
  setSearch(memory, heap, chunk, index);
}

/** Moves searchAddr. */
export function setSearch({ i32 }: Memory, heap: number, chunk: number, index: number): void {
  i32[(heap + HEADER_SEARCH_CHUNK) >>> 2] = chunk;
  i32[(heap + HEADER_SEARCH_INDEX) >>> 2] = index;
}
