// Carrying out what the journal says. Every step gives the same when it is done again, from the start, after it was broken
// off anywhere; only what is derived from the bits may then be left half done, and is rebuilt by `recover` (../recover.ts).

import {
  CHUNK_PAGES,
  DATA_SCAVENGED,
  FANOUT,
  JOURNAL_AGAIN,
  JOURNAL_CACHE,
  JOURNAL_CHUNK,
  JOURNAL_CLAIM,
  JOURNAL_CLEAR,
  JOURNAL_DEAD,
  JOURNAL_DROP,
  JOURNAL_FLUSH,
  JOURNAL_INDEX,
  JOURNAL_KIND,
  JOURNAL_NEW,
  JOURNAL_NEXT,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  JOURNAL_OWNER,
  JOURNAL_PREV,
  JOURNAL_REF,
  JOURNAL_REFILL,
  JOURNAL_RETURN,
  JOURNAL_SCAV,
  JOURNAL_SCAVENGE,
  JOURNAL_TO,
  JOURNAL_UNCLAIM,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_OWNER,
  RECORD_PREV,
  RECORD_SCAV,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { clearRange, setRange } from "./bits.ts";
import { close } from "./journal.ts";
import { dataOf, leafOf, mappedLeafOf, resummarize, updateAbove, updateSummary } from "./tree.ts";
import { clearCandidate, markCandidate } from "./walk.ts";

/**
 * Carries out the journal's entry, and empties it. `leaf` covers the entry's chunk; 0 where that is a hole, or the entry is
 * of a record alone.
 */
export function apply(memory: Memory, heap: number, leaf: number): void {
  const op = memory.i32[(heap + JOURNAL_OP) >>> 2];
  if (op & (JOURNAL_CLAIM | JOURNAL_UNCLAIM)) markRange(memory, heap, leaf, op);
  else if (op & JOURNAL_SCAVENGE) scavengeMapped(memory, heap, leaf);
  const rest =
    op & (JOURNAL_CLEAR | JOURNAL_NEW | JOURNAL_DROP | JOURNAL_REFILL | JOURNAL_FLUSH | JOURNAL_RETURN);
  if (rest) applyRest(memory, heap, leaf, op);
  close(memory, heap);
  // Not before: until then the entry may have to be carried out again.
  if (rest) memory.i32.fill(0, (heap + JOURNAL_CACHE) >>> 2, ((heap + JOURNAL_SCAV) >>> 2) + 2);
}

/** Does what there is besides the bits of a range; most calls have nothing of that. */
function applyRest(memory: Memory, heap: number, leaf: number, op: number): void {
  const { i32 } = memory;
  if (op & JOURNAL_CLEAR) clearCandidate(memory, heap, leaf, i32[(heap + JOURNAL_CHUNK) >>> 2]);
  if (op & (JOURNAL_REFILL | JOURNAL_FLUSH)) moveBlock(memory, heap, leaf, op);
  if (op & JOURNAL_NEW) linkRecord(memory, heap);
  if (op & (JOURNAL_NEW | JOURNAL_REFILL)) writeOwned(memory, heap);
  if (op & JOURNAL_RETURN) writeWords(memory, heap, i32[(heap + JOURNAL_TO) >>> 2]);
  if (op & JOURNAL_DROP) unlinkRecord(memory, heap);
}

/** Sets or clears the bits of the range, and keeps what is derived from them. */
function markRange(memory: Memory, heap: number, firstLeaf: number, op: number): void {
  const { i32 } = memory;
  let leaf = firstLeaf;
  let chunk = i32[(heap + JOURNAL_CHUNK) >>> 2];
  let index = i32[(heap + JOURNAL_INDEX) >>> 2];
  let left = i32[(heap + JOURNAL_NPAGES) >>> 2];
  let changed = false;
  for (;;) {
    const n = Math.min(left, CHUNK_PAGES - index);
    const data = dataOf(leaf, chunk);
    if (op & JOURNAL_CLAIM) {
      setRange(memory, data, index, n);
      clearRange(memory, data + DATA_SCAVENGED, index, n);
    } else {
      clearRange(memory, data, index, n);
      if (op & JOURNAL_SCAVENGE) setScavenged(memory, data, index, n);
      else markCandidate(memory, heap, leaf, chunk);
    }
    const summed =
      op & JOURNAL_AGAIN
        ? resummarize(memory, leaf, chunk)
        : updateSummary(memory, leaf, chunk, index, n, (op & JOURNAL_CLAIM) !== 0);
    if (summed) changed = true;
    left -= n;
    const leaves = !left || (chunk & (FANOUT - 1)) === FANOUT - 1;
    if (leaves && changed) {
      updateAbove(memory, heap, leaf);
      changed = false;
    }
    if (!left) return;
    chunk++;
    index = 0;
    if (leaves) leaf = leafOf(memory, heap, chunk);
  }
}

/** Scavenges what is free of the range, whose chunks may be holes; `firstLeaf` is 0 if the first is. */
function scavengeMapped(memory: Memory, heap: number, firstLeaf: number): void {
  const { i32 } = memory;
  let leaf = firstLeaf;
  let chunk = i32[(heap + JOURNAL_CHUNK) >>> 2];
  let index = i32[(heap + JOURNAL_INDEX) >>> 2];
  for (let left = i32[(heap + JOURNAL_NPAGES) >>> 2] >>> 0; left; chunk++) {
    const n = Math.min(left, CHUNK_PAGES - index);
    if (leaf) setScavenged(memory, dataOf(leaf, chunk), index, n);
    left -= n;
    index = 0;
    leaf = left ? mappedLeafOf(memory, heap, chunk + 1) : 0;
  }
}

/** Sets the scavenged bits of those pages of a range that are free. */
function setScavenged({ i32 }: Memory, data: number, first: number, npages: number): void {
  const end = first + npages;
  for (let index = first; index < end; ) {
    const word = (data >>> 2) + (index >>> 5);
    const n = Math.min(32 - (index & 31), end - index);
    i32[word + DATA_SCAVENGED / 4] |= ((-1 >>> (32 - n)) << index) & ~i32[word];
    index += n;
  }
}

/** Moves pages between a cache and its block. */
function moveBlock(memory: Memory, heap: number, leaf: number, op: number): void {
  const { i32 } = memory;
  const chunk = i32[(heap + JOURNAL_CHUNK) >>> 2];
  const block = (dataOf(leaf, chunk) >>> 2) + (i32[(heap + JOURNAL_INDEX) >>> 2] >>> 5);
  let unscavenged = 0;
  for (let half = 0; half < 2; half++) {
    if (op & JOURNAL_REFILL) {
      i32[block + half] = -1;
      i32[block + half + DATA_SCAVENGED / 4] = 0;
    } else {
      const cache = i32[((heap + JOURNAL_CACHE) >>> 2) + half];
      const scav = i32[((heap + JOURNAL_SCAV) >>> 2) + half];
      i32[block + half] &= ~cache;
      i32[block + half + DATA_SCAVENGED / 4] |= scav;
      unscavenged |= cache ^ scav;
    }
  }
  if (unscavenged) markCandidate(memory, heap, leaf, chunk);
  if (resummarize(memory, leaf, chunk)) updateAbove(memory, heap, leaf);
}

/** Puts a new record before the first live one. */
function linkRecord({ i32 }: Memory, heap: number): void {
  const ref = i32[(heap + JOURNAL_REF) >>> 2];
  const record = heap + ref;
  const next = i32[(heap + JOURNAL_NEXT) >>> 2];
  i32.fill(0, record >>> 2, (record + RECORD_BYTES) >>> 2);
  i32[(record + RECORD_NEXT) >>> 2] = next;
  i32[(record + RECORD_KIND) >>> 2] = i32[(heap + JOURNAL_KIND) >>> 2];
  i32[(record + RECORD_OWNER) >>> 2] = i32[(heap + JOURNAL_OWNER) >>> 2];
  if (next) i32[(heap + next + RECORD_PREV) >>> 2] = ref;
}

/** Writes what a record owns. */
function writeOwned(memory: Memory, heap: number): void {
  const { i32 } = memory;
  const ref = i32[(heap + JOURNAL_REF) >>> 2];
  const record = heap + ref;
  i32[(record + RECORD_CHUNK) >>> 2] = i32[(heap + JOURNAL_CHUNK) >>> 2];
  i32[(record + RECORD_INDEX) >>> 2] = i32[(heap + JOURNAL_INDEX) >>> 2];
  i32[(record + RECORD_NPAGES) >>> 2] = i32[(heap + JOURNAL_NPAGES) >>> 2];
  writeWords(memory, heap, ref);
}

/** Writes which pages of its block a cache owns. */
function writeWords({ i32 }: Memory, heap: number, ref: number): void {
  const record = heap + ref;
  for (let half = 0; half < 2; half++) {
    i32[((record + RECORD_CACHE) >>> 2) + half] = i32[((heap + JOURNAL_CACHE) >>> 2) + half];
    i32[((record + RECORD_SCAV) >>> 2) + half] = i32[((heap + JOURNAL_SCAV) >>> 2) + half];
  }
}

/** Takes a record out of the live ones. */
function unlinkRecord({ i32 }: Memory, heap: number): void {
  const record = heap + i32[(heap + JOURNAL_REF) >>> 2];
  const next = i32[(heap + JOURNAL_NEXT) >>> 2];
  const prev = i32[(heap + JOURNAL_PREV) >>> 2];
  if (next) i32[(heap + next + RECORD_PREV) >>> 2] = prev;
  if (prev) i32[(heap + prev + RECORD_NEXT) >>> 2] = next;
  i32.fill(0, record >>> 2, (record + RECORD_BYTES) >>> 2);
  i32[(record + RECORD_NEXT) >>> 2] = i32[(heap + JOURNAL_DEAD) >>> 2];
}
