// Summaries of chunks, from their bitmaps. merge.ts has the summaries above.
//
// assembly/ has a text of its own, with vectors.

import { pack } from "../both/sums.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { ctz, wordOf } from "./bits.ts";

/** Returns the packed summary of the chunk whose alloc bitmap is `bits`. */
export function summarize(memory: Memory, bits: number): number {
  const { i32 } = memory;
  const first = wordOf(bits, 0);
  let start = -1;
  let max = 0;
  let run = 0;
  let gaps = 0;
  for (let word = first; word < first + layout.CHUNK_PAGES / 32; word++) {
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
    // If the used pages are one run, adding 1 clears all their bits. If there is a gap, the bits above it stay.
    const body = used >>> below;
    gaps |= body & (body + 1);
  }
  if (start < 0) return layout.SUM_FREE;
  if (run > max) max = run;
  // What is left are runs inside a word. They have a used page on either side, so at most 30 pages.
  if (gaps && max < 30) max = longestWithin(i32, first, max);
  return pack(start, max, run);
}

/** Returns the length of the longest run of free pages within a word, or `max` (0 to 29) if none is longer. */
function longestWithin(i32: Int32Array, first: number, max: number): number {
  for (let word = first; word < first + layout.CHUNK_PAGES / 32; word++) {
    // A 1 stands for a run of `width` free pages that starts there. First `width` grows to the shortest run that
    // matters, of max + 1 pages.
    let runs = ~i32[word];
    let width = 1;
    while (runs && width <= max) {
      const step = Math.min(width, max + 1 - width);
      runs &= runs >>> step;
      width += step;
    }
    if (!runs) continue;
    // Then it grows for as long as there are such runs, in steps that double and, after the first that fails, halve.
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
