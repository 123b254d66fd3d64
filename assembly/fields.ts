// The header's fields as a call changes them. `head` is where `open` says that they are.

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
} from "../src/layout";

/** Adds to a count. */
export function count(head: usize, amount: u32, counter: usize): void {
  store<u32>(head + counter, load<u32>(head + counter) + amount);
}

/** Adds to a total. */
export function total(head: usize, amount: f64, counter: usize): void {
  store<f64>(head + counter, load<f64>(head + counter) + amount);
}

/** Accounts for pages that come into use, `scavenged` of which had been released. */
export function countTaken(head: usize, npages: u32, scavenged: u32): void {
  const inUse = load<u32>(head, HEADER_IN_USE) + npages;
  store<u32>(head, inUse, HEADER_IN_USE);
  if (inUse > load<u32>(head, HEADER_PEAK_IN_USE)) store<u32>(head, inUse, HEADER_PEAK_IN_USE);
  if (!scavenged) return;
  const released = load<u32>(head, HEADER_RELEASED) - scavenged;
  store<u32>(head, released, HEADER_RELEASED);
  const retained = load<u32>(head, HEADER_CHUNKS) * CHUNK_PAGES - released;
  if (retained > load<u32>(head, HEADER_PEAK_RETAINED)) store<u32>(head, retained, HEADER_PEAK_RETAINED);
}

/** Accounts for pages that are released, in that many runs. */
export function countReleased(head: usize, npages: u32, runs: u32): void {
  count(head, npages, HEADER_RELEASED);
  total(head, runs, HEADER_SCAVENGES);
  total(head, npages, HEADER_SCAVENGED_TOTAL);
}

/** Lowers searchAddr to a page that becomes free. */
export function lowerSearch(head: usize, chunk: u32, index: u32): void {
  const searchChunk = load<u32>(head, HEADER_SEARCH_CHUNK);
  if (chunk > searchChunk || (chunk == searchChunk && index >= load<u32>(head, HEADER_SEARCH_INDEX))) return;
  setSearch(head, chunk, index);
}

/** Moves searchAddr. */
export function setSearch(head: usize, chunk: u32, index: u32): void {
  store<u32>(head, chunk, HEADER_SEARCH_CHUNK);
  store<u32>(head, index, HEADER_SEARCH_INDEX);
}
