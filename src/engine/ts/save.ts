// What a call saves in the journal: the pages that a cache gets or gives back, and the fields that a commit changes.
//
// Any call may overflow the stack. So a commit calls at most one function of this file, and only before it changes the
// heap.
//
// assembly/ has a text of its own, with words of 64 bits and vectors.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

/**
 * Writes down the pages that a cache gets or gives back, and which of them are scavenged, in two halves each. `ref` is
 * the record that `commitRefill` fills, or that `commitFlush` or `commitReturn` empties.
 */
export function writePages(
  { i32 }: Memory,
  heap: number,
  ref: number,
  cacheLower: number,
  cacheUpper: number,
  scavLower: number,
  scavUpper: number,
): void {
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
  i32[(heap + layout.JOURNAL_CACHE) >>> 2] = cacheLower;
  i32[(heap + layout.JOURNAL_CACHE + 4) >>> 2] = cacheUpper;
  i32[(heap + layout.JOURNAL_SCAV) >>> 2] = scavLower;
  i32[(heap + layout.JOURNAL_SCAV + 4) >>> 2] = scavUpper;
}

/** Does the same with bigints, for calls that are given them. `refill` and `flush` must not make any. */
export function writePages64(
  { i32, u64 }: Memory,
  heap: number,
  ref: number,
  cache: bigint,
  scav: bigint,
): void {
  i32[(heap + layout.JOURNAL_REF) >>> 2] = ref;
  u64[(heap + layout.JOURNAL_CACHE) >>> 3] = cache;
  u64[(heap + layout.JOURNAL_SCAV) >>> 3] = scav;
}

/** Begins the commit of a free. Saves the counts without a loop over words, which would take 25 ns longer. */
export function saveFree({ i32, f64 }: Memory, heap: number, op: number): void {
  const from = (heap + layout.HEADER_SEARCH_CHUNK) >>> 2;
  const to = from + layout.UNDO / 4;
  f64[(heap + layout.HEADER_FREES + layout.UNDO) >>> 3] = f64[(heap + layout.HEADER_FREES) >>> 3];
  i32[to] = i32[from];
  i32[to + 1] = i32[from + 1];
  i32[to + 2] = i32[from + 2];
  i32[(heap + layout.JOURNAL_OP) >>> 2] = op | layout.JOURNAL_FREE;
}

/** Begins a commit that changes only counts. */
export function saveCounts({ i32, f64 }: Memory, heap: number, op: number): void {
  const from = (heap + layout.HEADER_SEARCH_CHUNK) >>> 2;
  const to = from + layout.UNDO / 4;
  f64[(heap + layout.HEADER_FREES + layout.UNDO) >>> 3] = f64[(heap + layout.HEADER_FREES) >>> 3];
  for (let i = 0; i < 8; i++) i32[to + i] = i32[from + i];
  f64[(heap + layout.HEADER_ALLOCS + layout.UNDO) >>> 3] = f64[(heap + layout.HEADER_ALLOCS) >>> 3];
  i32[(heap + layout.JOURNAL_OP) >>> 2] = op | layout.JOURNAL_COUNTS;
}

/** Begins a commit that may change any field. */
export function saveAll({ i32 }: Memory, heap: number, op: number): void {
  const end = (heap + layout.FIELDS_END) >>> 2;
  for (let word = (heap + layout.FIELDS) >>> 2; word < end; word++) i32[word + layout.UNDO / 4] = i32[word];
  // Last: from here on, mend.ts restores the fields.
  i32[(heap + layout.JOURNAL_OP) >>> 2] = op | layout.JOURNAL_FIELDS;
}
