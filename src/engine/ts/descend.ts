// The search for free pages from the root of the tree down.
//
// assembly/ has a text of its own, with vectors.

import { dataOf, endOf, maxOf, spanOf, startOf } from "../both/sums.ts";
import { childOf, levelOf, raiseSearch } from "../both/tree.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { find } from "./bits.ts";

/** Returns the pages in one part of a node of `level`, exactly. `**` would take longer than all else in a descent. */
function sizeOf(level: number): number {
  const pages = 1 << (layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * (level & 7));
  return level < 8 ? pages : pages * 2 ** (8 * layout.FANOUT_SHIFT);
}

/**
 * Finds the lowest run of npages free pages. Returns its first page as a page number, or -1. On each level it takes the
 * first part that completes a run with the parts before it, or that has a long enough run of its own. Raises searchAddr
 * to the lowest page that may be free, as far as the descent has shown it.
 */
export function descend(memory: Memory, heap: number, npages: number): number {
  const { i32 } = memory;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  let level = levelOf(memory, node);
  // Whether each step so far went to the first part with free pages. Only then does the next level narrow down
  // firstFree.
  let narrowing = true;
  let firstFree = 0;
  for (;;) {
    const span = spanOf(level);
    const size = sizeOf(level);
    const base = i32[(node + layout.NODE_FIRST) >>> 2] * layout.CHUNK_PAGES;
    const parts = node >>> 2;
    let run = 0;
    let seen = -1;
    let slot = 0;
    for (; slot < layout.FANOUT; slot++) {
      const sum = i32[parts + layout.LEAF_SUMS / 4 + slot];
      const max = level ? i32[parts + layout.NODE_MAX / 4 + slot] : maxOf(sum);
      if (!max) {
        run = 0;
        continue;
      }
      if (seen < 0) {
        seen = slot;
        if (narrowing) firstFree = base + slot * size;
      }
      const start = level ? i32[parts + layout.NODE_START / 4 + slot] : startOf(sum);
      // A run that reaches in from earlier parts is lower than any run within this part.
      if (run + start >= npages) {
        raiseSearch(memory, heap, firstFree);
        return base + slot * size - run;
      }
      if (max >= npages) break;
      const end = level ? i32[parts + layout.NODE_END / 4 + slot] : endOf(sum);
      run = start === span ? run + span : end;
    }
    if (slot === layout.FANOUT) break;
    narrowing = narrowing && seen === slot;
    if (!level) {
      const first = base + slot * size;
      const hit = find(memory, dataOf(node, first / layout.CHUNK_PAGES), npages, 0);
      raiseSearch(memory, heap, narrowing ? first + (hit >>> 16) : firstFree);
      return first + (hit & 0xffff);
    }
    node = childOf(memory, heap, node, slot);
    level--;
  }
  raiseSearch(memory, heap, firstFree);
  return -1;
}
