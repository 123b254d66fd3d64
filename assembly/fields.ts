// The header's fields as commits change them.

import {
  HEADER_IN_USE,
  HEADER_PAGES,
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RELEASED,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
} from "../src/engine/layout";

/** Adds to a u32 of the header; what is negative takes away. */
// @ts-ignore: decorator
@inline
export function count(heap: usize, amount: u32, counter: usize): void {
  store<u32>(heap + counter, load<u32>(heap + counter) + amount);
}

/** Adds to an f64 of the header. */
// @ts-ignore: decorator
@inline
export function total(heap: usize, amount: f64, counter: usize): void {
  store<f64>(heap + counter, load<f64>(heap + counter) + amount);
}

/** Accounts for pages that come into use, `scavenged` of which had been released. */
// @ts-ignore: decorator
@inline
export function countTaken(heap: usize, npages: u32, scavenged: u32): void {
  const inUse = load<u32>(heap, HEADER_IN_USE) + npages;
  store<u32>(heap, inUse, HEADER_IN_USE);
  if (inUse > load<u32>(heap, HEADER_PEAK_IN_USE)) store<u32>(heap, inUse, HEADER_PEAK_IN_USE);
  if (scavenged) {
    const released = load<u32>(heap, HEADER_RELEASED) - scavenged;
    store<u32>(heap, released, HEADER_RELEASED);
    const retained = load<u32>(heap, HEADER_PAGES) - released;
    if (retained > load<u32>(heap, HEADER_PEAK_RETAINED)) store<u32>(heap, retained, HEADER_PEAK_RETAINED);
  }
}

/** Accounts for pages that are released, in that many runs. */
// @ts-ignore: decorator
@inline
export function countReleased(heap: usize, npages: u32, runs: u32): void {
  count(heap, npages, HEADER_RELEASED);
  total(heap, runs, HEADER_SCAVENGES);
  total(heap, npages, HEADER_SCAVENGED_TOTAL);
}

/** Lowers searchAddr to a page that becomes free. */
// @ts-ignore: decorator
@inline
export function lowerSearch(heap: usize, chunk: u32, index: u32): void {
  const searchChunk = load<u32>(heap, HEADER_SEARCH_CHUNK);
  if (chunk < searchChunk || (chunk == searchChunk && index < load<u32>(heap, HEADER_SEARCH_INDEX))) {
    setSearch(heap, chunk, index);
  }
}

/** Moves searchAddr. */
// @ts-ignore: decorator
@inline
export function setSearch(heap: usize, chunk: u32, index: u32): void {
  store<u32>(heap, chunk, HEADER_SEARCH_CHUNK);
  store<u32>(heap, index, HEADER_SEARCH_INDEX);
}
