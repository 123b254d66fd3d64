// The header's fields as commits change them.

import * as layout from "../src/engine/layout";

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
  const inUse = load<u32>(heap, layout.HEADER_IN_USE) + npages;
  store<u32>(heap, inUse, layout.HEADER_IN_USE);
  if (inUse > load<u32>(heap, layout.HEADER_PEAK_IN_USE)) store<u32>(heap, inUse, layout.HEADER_PEAK_IN_USE);
  if (scavenged) {
    const released = load<u32>(heap, layout.HEADER_RELEASED) - scavenged;
    store<u32>(heap, released, layout.HEADER_RELEASED);
    const retained = load<u32>(heap, layout.HEADER_PAGES) - released;
    if (retained > load<u32>(heap, layout.HEADER_PEAK_RETAINED)) store<u32>(heap, retained, layout.HEADER_PEAK_RETAINED);
  }
}

/** Accounts for pages that are released, in that many runs. */
// @ts-ignore: decorator
@inline
export function countReleased(heap: usize, npages: u32, runs: u32): void {
  count(heap, npages, layout.HEADER_RELEASED);
  total(heap, runs, layout.HEADER_SCAVENGES);
  total(heap, npages, layout.HEADER_SCAVENGED_TOTAL);
}

/** Lowers searchAddr to a page that becomes free. */
// @ts-ignore: decorator
@inline
export function lowerSearch(heap: usize, chunk: u32, index: u32): void {
  const searchChunk = load<u32>(heap, layout.HEADER_SEARCH_CHUNK);
  if (chunk < searchChunk || (chunk == searchChunk && index < load<u32>(heap, layout.HEADER_SEARCH_INDEX))) {
    setSearch(heap, chunk, index);
  }
}

/** Moves searchAddr. */
// @ts-ignore: decorator
@inline
export function setSearch(heap: usize, chunk: u32, index: u32): void {
  store<u32>(heap, chunk, layout.HEADER_SEARCH_CHUNK);
  store<u32>(heap, index, layout.HEADER_SEARCH_INDEX);
}
