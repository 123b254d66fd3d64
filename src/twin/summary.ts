// Summaries: of a chunk from its bitmap, and of a node of the tree from its eight parts.

import {
  CHUNK_PAGES,
  CHUNK_SHIFT,
  FANOUT,
  FANOUT_SHIFT,
  LEAF_SUMS,
  NODE_END,
  NODE_MAX,
  NODE_START,
  SUM_BITS,
  SUM_MASK,
} from "../layout.ts";
import type { Memory } from "../memory.ts";
import { ctz, wordOf } from "./bits.ts";

/** Packs three counts of 0 to 512 pages. */
export function pack(start: number, max: number, end: number): number {
  return start | (max << SUM_BITS) | (end << (2 * SUM_BITS));
}

/** The packed summary of the chunk whose alloc bitmap is `bits`. */
export function summarize(memory: Memory, bits: number): number {
  const { i32 } = memory;
  const first = wordOf(bits, 0);
  let start = -1;
  let max = 0;
  let run = 0;
  let gaps = 0;
  for (let word = first; word < first + CHUNK_PAGES / 32; word++) {
    const used = i32[word];
    if (!used) {
      run += 32;
      continue;
    }
    const below = ctz(used);
    run += below;
    if (start < 0) start = run;
    if (run > max) max = run;
    run = Math.clz32(used);
    // Adding 1 to ones alone leaves none of them; any zero between two ones keeps those above it.
    const body = used >>> below;
    gaps |= body & (body + 1);
  }
  if (start < 0) return pack(CHUNK_PAGES, CHUNK_PAGES, CHUNK_PAGES);
  if (run > max) max = run;
  // A run inside a word has a used page on either side.
  if (gaps && max < 30) max = longestWithin(i32, first, max);
  return pack(start, max, run);
}

/** The longest run of free pages that lies within a word, or `max` (0 to 29) when none is longer. */
function longestWithin(i32: Int32Array, first: number, max: number): number {
  for (let word = first; word < first + CHUNK_PAGES / 32; word++) {
    // A 1 stands for a run of `width` free pages that starts there: first the shortest run that is of interest ...
    let runs = ~i32[word];
    let width = 1;
    while (runs && width <= max) {
      const step = Math.min(width, max + 1 - width);
      runs &= runs >>> step;
      width += step;
    }
    if (!runs) continue;
    // ... then longer ones while there are any, in steps that double and, once one fails, halve.
    let growing = true;
    for (let step = 1; step; step = growing ? step << 1 : step >> 1) {
      const longer = runs & (runs >>> step);
      if (longer) {
        runs = longer;
        width += step;
      } else {
        growing = false;
      }
    }
    max = width;
  }
  return max;
}

/** No run of pages is longer than 2^31, so parts this large are never free as a whole. */
const ENDLESS = 0xffffffff;

/** Pages in one part of a node of `level`. */
export function spanOf(level: number): number {
  return level < 8 ? 1 << (CHUNK_SHIFT + FANOUT_SHIFT * level) : ENDLESS;
}

/** Free pages at the start of a part, given by the word where its column begins, of a node of `level`. */
export function startOf({ i32 }: Memory, part: number, level: number): number {
  return level ? i32[part + NODE_START / 4] : i32[part + LEAF_SUMS / 4] & SUM_MASK;
}

/** Longest run of free pages in a part. */
export function maxOf({ i32 }: Memory, part: number, level: number): number {
  return level ? i32[part + NODE_MAX / 4] : (i32[part + LEAF_SUMS / 4] >>> SUM_BITS) & SUM_MASK;
}

/** Free pages at the end of a part. */
export function endOf({ i32 }: Memory, part: number, level: number): number {
  return level ? i32[part + NODE_END / 4] : i32[part + LEAF_SUMS / 4] >>> (2 * SUM_BITS);
}

/**
 * Writes the summary of `node`, of `level`, into part `slot` of `parent`. Returns whether that changed anything.
 */
export function mergeInto(
  memory: Memory,
  parent: number,
  slot: number,
  node: number,
  level: number,
): boolean {
  const span = spanOf(level);
  const parts = node >>> 2;
  let max = 0;
  let run = 0;
  for (let part = parts; part < parts + FANOUT; part++) {
    const longest = maxOf(memory, part, level);
    if (!longest) {
      run = 0;
      continue;
    }
    const first = startOf(memory, part, level);
    if (longest > max) max = longest;
    if (run + first > max) max = run + first;
    run = first === span ? run + span : endOf(memory, part, level);
  }
  let start = 0;
  for (let part = parts; part < parts + FANOUT; part++) {
    const first = startOf(memory, part, level);
    start += first;
    if (first !== span) break;
  }
  return setSummary(memory, parent, slot, start, max, run);
}

/** Writes the summary of part `slot` of a node of level 1 and up. Returns whether that changed anything. */
function setSummary(
  { i32 }: Memory,
  node: number,
  slot: number,
  start: number,
  max: number,
  end: number,
): boolean {
  const part = (node >>> 2) + slot;
  const same =
    i32[part + NODE_START / 4] === start &&
    i32[part + NODE_MAX / 4] === max &&
    i32[part + NODE_END / 4] === end;
  if (same) return false;
  i32[part + NODE_START / 4] = start;
  i32[part + NODE_MAX / 4] = max;
  i32[part + NODE_END / 4] = end;
  return true;
}

/** Writes the packed summary of chunk `slot` of `leaf`. Returns whether that changed anything. */
export function setChunkSummary({ i32 }: Memory, leaf: number, slot: number, sum: number): boolean {
  const part = (leaf >>> 2) + slot;
  if (i32[part + LEAF_SUMS / 4] === sum) return false;
  i32[part + LEAF_SUMS / 4] = sum;
  return true;
}
