// The summaries of the tree above a chunk: merges those of eight parts into one, level by level.
//
// assembly/ has a text of its own, with vectors.

import { endOf, maxOf, pack, spanOf, startOf } from "../both/sums.ts";
import { slotOf } from "../both/tree.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

/** The counts of a packed summary other than the longest run. */
const EDGES = layout.SUM_MASK | (layout.SUM_MASK << (2 * layout.SUM_BITS));

/**
 * Writes the packed summary of a chunk of the leaf, and updates the summaries above. `was` is the summary before the
 * one alloc or free that has changed it.
 */
export function setSummary(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  was: number,
  sum: number,
): void {
  const { i32 } = memory;
  const ref = i32[(leaf + layout.NODE_PARENT) >>> 2];
  if (ref && !((was ^ sum) & EDGES)) {
    const part = ((leaf + layout.LEAF_SUMS) >>> 2) + (chunk & (layout.FANOUT - 1));
    const node = heap + ref;
    if (sum > was) {
      i32[part] = sum;
      raiseLongest(memory, heap, node, chunk, layout.FANOUT_SHIFT, maxOf(sum));
      return;
    }
    if (i32[((node + layout.NODE_MAX) >>> 2) + slotOf(chunk, 1)] > maxOf(was)) {
      // The longest run of the leaf is elsewhere.
      i32[part] = sum;
      return;
    }
  }
  setPart(memory, heap, leaf, 0, chunk, startOf(sum), maxOf(sum), endOf(sum));
}

/**
 * Writes the summary of the part of a node that `chunk` is in, and updates the summaries above. Stops at the first that
 * stays the same. `shift` is FANOUT_SHIFT times the level of the node.
 */
export function setPart(
  memory: Memory,
  heap: number,
  from: number,
  fromShift: number,
  chunk: number,
  newStart: number,
  newMax: number,
  newEnd: number,
): void {
  const { i32 } = memory;
  let node = from;
  let shift = fromShift;
  let start = newStart;
  let max = newMax;
  let end = newEnd;
  for (;;) {
    const part = (node >>> 2) + ((chunk >>> shift) & (layout.FANOUT - 1));
    const first = node >>> 2;
    if (shift) {
      i32[part + layout.NODE_START / 4] = start;
      i32[part + layout.NODE_MAX / 4] = max;
      i32[part + layout.NODE_END / 4] = end;
    } else {
      i32[part + layout.LEAF_SUMS / 4] = pack(start, max, end);
    }
    const ref = i32[first + layout.NODE_PARENT / 4];
    if (!ref) return;
    max = 0;
    end = 0;
    if (shift) {
      const span = spanOf(shift / layout.FANOUT_SHIFT);
      for (let other = first; other < first + layout.FANOUT; other++) {
        const longest = i32[other + layout.NODE_MAX / 4];
        if (longest) {
          const reached = end + i32[other + layout.NODE_START / 4];
          if (longest > max) max = longest;
          if (reached > max) max = reached;
          // A part that is all free continues the run from the parts before it.
          end = longest === span ? reached : i32[other + layout.NODE_END / 4];
        } else {
          end = 0;
        }
      }
      start = i32[first + layout.NODE_START / 4];
      for (let other = first + 1; start === (other - first) * span && other < first + layout.FANOUT; other++)
        start += i32[other + layout.NODE_START / 4];
    } else {
      const sums = first + layout.LEAF_SUMS / 4;
      for (let other = sums; other < sums + layout.FANOUT; other++) {
        const sum = i32[other];
        if (sum) {
          const longest = maxOf(sum);
          const reached = end + startOf(sum);
          if (longest > max) max = longest;
          if (reached > max) max = reached;
          end = sum === layout.SUM_FREE ? reached : endOf(sum);
        } else {
          end = 0;
        }
      }
      start = startOf(i32[sums]);
      for (let other = 1; start === other * layout.CHUNK_PAGES && other < layout.FANOUT; other++)
        start += startOf(i32[sums + other]);
    }
    node = heap + ref;
    shift += layout.FANOUT_SHIFT;
    const above = (node >>> 2) + ((chunk >>> shift) & (layout.FANOUT - 1));
    const wasMax = i32[above + layout.NODE_MAX / 4];
    if (i32[above + layout.NODE_START / 4] === start && i32[above + layout.NODE_END / 4] === end) {
      if (max === wasMax) return;
      if (max > wasMax) {
        raiseLongest(memory, heap, node, chunk, shift, max);
        return;
      }
    }
  }
}

/**
 * Raises the longest run of the parts that `chunk` is in, from a node upward. `fromShift` is FANOUT_SHIFT times the
 * level of the node. This is all that a free changes, unless free pages at the start or the end of a part have changed
 * too.
 */
function raiseLongest(
  { i32 }: Memory,
  heap: number,
  from: number,
  chunk: number,
  fromShift: number,
  longest: number,
): void {
  let node = from;
  for (let shift = fromShift; ; shift += layout.FANOUT_SHIFT) {
    const part = ((node + layout.NODE_MAX) >>> 2) + ((chunk >>> shift) & (layout.FANOUT - 1));
    if (i32[part] >= longest) return;
    i32[part] = longest;
    const ref = i32[(node + layout.NODE_PARENT) >>> 2];
    if (!ref) return;
    node = heap + ref;
  }
}
