// Carrying out what the journal says. Every step gives the same when it is done again, from the start, after it was broken
// off anywhere; only what is derived from the bits may then be left half done, and is rebuilt by `recover` (src/recover.ts).

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
} from "../src/layout";
import { clearRange, setRange } from "./bits";
import { close } from "./journal";
import { dataOf, leafOf, mappedLeafOf, resummarize, updateAbove, updateSummary } from "./tree";
import { clearCandidate, markCandidate } from "./walk";

/**
 * Carries out the journal's entry, and empties it. `leaf` covers the entry's chunk; 0 where that is a hole, or the entry is
 * of a record alone.
 */
export function apply(heap: usize, leaf: usize): void {
  const op = load<u32>(heap, JOURNAL_OP);
  if (op & (JOURNAL_CLAIM | JOURNAL_UNCLAIM)) markRange(heap, leaf, op);
  else if (op & JOURNAL_SCAVENGE) scavengeMapped(heap, leaf);
  const rest = op & (JOURNAL_CLEAR | JOURNAL_NEW | JOURNAL_DROP | JOURNAL_REFILL | JOURNAL_FLUSH | JOURNAL_RETURN);
  if (rest) applyRest(heap, leaf, op);
  close(heap);
  // Not before: until then the entry may have to be carried out again.
  if (rest) {
    store<u64>(heap, 0, JOURNAL_CACHE);
    store<u64>(heap, 0, JOURNAL_SCAV);
  }
}

/** Does what there is besides the bits of a range; most calls have nothing of that. */
function applyRest(heap: usize, leaf: usize, op: u32): void {
  if (op & JOURNAL_CLEAR) clearCandidate(heap, leaf, load<u32>(heap, JOURNAL_CHUNK));
  if (op & (JOURNAL_REFILL | JOURNAL_FLUSH)) moveBlock(heap, leaf, op);
  if (op & JOURNAL_NEW) linkRecord(heap);
  if (op & (JOURNAL_NEW | JOURNAL_REFILL)) writeOwned(heap);
  if (op & JOURNAL_RETURN) writeWords(heap, load<u32>(heap, JOURNAL_TO));
  if (op & JOURNAL_DROP) unlinkRecord(heap);
}

/** Sets or clears the bits of the range, and keeps what is derived from them. */
function markRange(heap: usize, leaf: usize, op: u32): void {
  let chunk = load<u32>(heap, JOURNAL_CHUNK);
  let index = load<u32>(heap, JOURNAL_INDEX);
  let left = load<u32>(heap, JOURNAL_NPAGES);
  let changed = false;
  for (;;) {
    const n = min(left, CHUNK_PAGES - index);
    const data = dataOf(leaf, chunk);
    if (op & JOURNAL_CLAIM) {
      setRange(data, index, n);
      clearRange(data + DATA_SCAVENGED, index, n);
    } else {
      clearRange(data, index, n);
      if (op & JOURNAL_SCAVENGE) setScavenged(data, index, n);
      else markCandidate(heap, leaf, chunk);
    }
    const summed =
      op & JOURNAL_AGAIN
        ? resummarize(leaf, chunk)
        : updateSummary(leaf, chunk, index, n, (op & JOURNAL_CLAIM) != 0);
    if (summed) changed = true;
    left -= n;
    const leaves = !left || (chunk & (FANOUT - 1)) == FANOUT - 1;
    if (leaves && changed) {
      updateAbove(heap, leaf);
      changed = false;
    }
    if (!left) return;
    chunk++;
    index = 0;
    if (leaves) leaf = leafOf(heap, chunk);
  }
}

/** Scavenges what is free of the range, whose chunks may be holes; `leaf` is 0 if the first is. */
function scavengeMapped(heap: usize, leaf: usize): void {
  let chunk = load<u32>(heap, JOURNAL_CHUNK);
  let index = load<u32>(heap, JOURNAL_INDEX);
  for (let left = load<u32>(heap, JOURNAL_NPAGES); left; chunk++) {
    const n = min(left, CHUNK_PAGES - index);
    if (leaf) setScavenged(dataOf(leaf, chunk), index, n);
    left -= n;
    index = 0;
    leaf = left ? mappedLeafOf(heap, chunk + 1) : 0;
  }
}

/** Sets the scavenged bits of those pages of a range that are free. */
function setScavenged(data: usize, index: u32, npages: u32): void {
  const end = index + npages;
  while (index < end) {
    const word = data + ((index >> 6) << 3);
    const n = min(64 - (index & 63), end - index);
    const range = (~(<u64>0) >> (64 - n)) << index;
    store<u64>(word, load<u64>(word, DATA_SCAVENGED) | (range & ~load<u64>(word)), DATA_SCAVENGED);
    index += n;
  }
}

/** Moves pages between a cache and its block. */
function moveBlock(heap: usize, leaf: usize, op: u32): void {
  const chunk = load<u32>(heap, JOURNAL_CHUNK);
  const word = dataOf(leaf, chunk) + (load<u32>(heap, JOURNAL_INDEX) >> 3);
  if (op & JOURNAL_REFILL) {
    store<u64>(word, ~(<u64>0));
    store<u64>(word, 0, DATA_SCAVENGED);
  } else {
    const cache = load<u64>(heap, JOURNAL_CACHE);
    const scav = load<u64>(heap, JOURNAL_SCAV);
    store<u64>(word, load<u64>(word) & ~cache);
    store<u64>(word, load<u64>(word, DATA_SCAVENGED) | scav, DATA_SCAVENGED);
    if (cache != scav) markCandidate(heap, leaf, chunk);
  }
  if (resummarize(leaf, chunk)) updateAbove(heap, leaf);
}

/** Puts a new record before the first live one. */
function linkRecord(heap: usize): void {
  const ref = load<u32>(heap, JOURNAL_REF);
  const record = heap + ref;
  const next = load<u32>(heap, JOURNAL_NEXT);
  memory.fill(record, 0, RECORD_BYTES);
  store<u32>(record, next, RECORD_NEXT);
  store<u32>(record, load<u32>(heap, JOURNAL_KIND), RECORD_KIND);
  store<u32>(record, load<u32>(heap, JOURNAL_OWNER), RECORD_OWNER);
  if (next) store<u32>(heap + next, ref, RECORD_PREV);
}

/** Writes what a record owns. */
function writeOwned(heap: usize): void {
  const ref = load<u32>(heap, JOURNAL_REF);
  const record = heap + ref;
  store<u32>(record, load<u32>(heap, JOURNAL_CHUNK), RECORD_CHUNK);
  store<u32>(record, load<u32>(heap, JOURNAL_INDEX), RECORD_INDEX);
  store<u32>(record, load<u32>(heap, JOURNAL_NPAGES), RECORD_NPAGES);
  writeWords(heap, ref);
}

/** Writes which pages of its block a cache owns. */
function writeWords(heap: usize, ref: u32): void {
  const record = heap + ref;
  store<u64>(record, load<u64>(heap, JOURNAL_CACHE), RECORD_CACHE);
  store<u64>(record, load<u64>(heap, JOURNAL_SCAV), RECORD_SCAV);
}

/** Takes a record out of the live ones. */
function unlinkRecord(heap: usize): void {
  const record = heap + load<u32>(heap, JOURNAL_REF);
  const next = load<u32>(heap, JOURNAL_NEXT);
  const prev = load<u32>(heap, JOURNAL_PREV);
  if (next) store<u32>(heap + next, prev, RECORD_PREV);
  if (prev) store<u32>(heap + prev, next, RECORD_NEXT);
  memory.fill(record, 0, RECORD_BYTES);
  store<u32>(record, load<u32>(heap, JOURNAL_DEAD), RECORD_NEXT);
}
