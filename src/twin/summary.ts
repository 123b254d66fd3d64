// Summaries: of a chunk from its bitmap, and of a node of the tree from its eight parts.

import { CHUNK_PAGES, FANOUT, NODE_END, NODE_MAX, NODE_START, SUM_BITS, SUM_MASK } from "../layout.ts";
import type { Memory } from "../memory.ts";
import { ctz, wordOf } from "./bits.ts";

/** Packs three counts of 0 to 512 pages. */
function pack(start: number, max: number, end: number): number {
  return start | (max << SUM_BITS) | (end << (2 * SUM_BITS));
}

/** The packed summary of the chunk whose alloc bitmap is `bits`. */
export function summarize(memory: Memory, bits: number): number {
  const { i32 } = memory;
  let start = CHUNK_PAGES;
  let max = 0;
  let run = 0;
  for (let i = 0; i < CHUNK_PAGES; i += 32) {
    const used = i32[wordOf(bits, i)];
    if (!used) {
      run += 32;
      continue;
    }
    run += ctz(used);
    if (start === CHUNK_PAGES) start = run;
    if (run > max) max = run;
    run = Math.clz32(used);
  }
  if (run > max) max = run;
  // A run inside a word has a used page on either side.
  if (max < 30) max = longestWithin(memory, bits, max);
  return pack(start, max, run);
}

/** The longest run of free pages that lies within a word, or `max` (0 to 29) when none is longer. */
function longestWithin({ i32 }: Memory, bits: number, max: number): number {
  for (let i = 0; i < CHUNK_PAGES; i += 32) {
    // A 1 stands for a run of `width` free pages that starts there: first the shortest run that is of interest ...
    let runs = ~i32[wordOf(bits, i)];
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

/**
 * Writes the summary of `node`, whose parts have `span` pages each, into part `slot` of `parent`. Returns whether that
 * changed anything.
 */
export function mergeInto(memory: Memory, parent: number, slot: number, node: number, span: number): boolean {
  const { i32 } = memory;
  const from = node >>> 2;
  let start = 0;
  let max = 0;
  let run = 0;
  let open = true;
  for (let part = from; part < from + FANOUT; part++) {
    const first = i32[part + NODE_START / 4];
    const longest = i32[part + NODE_MAX / 4];
    if (open) {
      start += first;
      open = first === span;
    }
    if (run + first > max) max = run + first;
    if (longest > max) max = longest;
    run = first === span ? run + span : i32[part + NODE_END / 4];
  }
  return setSummary(memory, parent, slot, start, max, run);
}

/** Writes the summary of part `slot` of `node`. Returns whether that changed anything. */
export function setSummary(
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
export function setChunkSummary(memory: Memory, leaf: number, slot: number, sum: number): boolean {
  return setSummary(
    memory,
    leaf,
    slot,
    sum & SUM_MASK,
    (sum >>> SUM_BITS) & SUM_MASK,
    sum >>> (2 * SUM_BITS),
  );
}
