// The summaries of the tree above a chunk: merges those of eight parts into one, level by level.
//
// The twin has a text of its own, as it has no vectors.

import { endOf, maxOf, pack, partEnd, partStart, spanOf, startOf } from "../build/both/sums";
import * as layout from "../src/engine/layout";

/**
 * Writes the packed summary of a chunk of the leaf, and updates the summaries above. `was` is the summary before the
 * one alloc or free that has changed it.
 */
// @ts-ignore: decorator
@inline
export function setSummary(heap: usize, leaf: usize, chunk: u32, was: u32, sum: u32): void {
  const edges: u32 = layout.SUM_MASK | (layout.SUM_MASK << (2 * layout.SUM_BITS));
  const ref = load<u32>(leaf, layout.NODE_PARENT);
  if (ref && !((was ^ sum) & edges)) {
    const part = leaf + ((chunk & (layout.FANOUT - 1)) << 2);
    const node = heap + ref;
    if (sum > was) {
      store<u32>(part, sum, layout.LEAF_SUMS);
      raiseLongest(heap, node, chunk, layout.FANOUT_SHIFT, maxOf(sum));
      return;
    }
    if (load<u32>(node + (((chunk >> layout.FANOUT_SHIFT) & (layout.FANOUT - 1)) << 2), layout.NODE_MAX) > maxOf(was)) {
      // The longest run of the leaf is elsewhere.
      store<u32>(part, sum, layout.LEAF_SUMS);
      return;
    }
  }
  setPart(heap, leaf, 0, chunk, startOf(sum), maxOf(sum), endOf(sum));
}

/**
 * Writes the summary of the part of a node that `chunk` is in, and updates the summaries above. Stops at the first that
 * stays the same. `shift` is FANOUT_SHIFT times the level of the node.
 *
 * A processor stalls when it loads a vector right after a part of it has been stored. So each node's summaries are
 * loaded first, and the new one is put in its place in the vectors.
 */
// @ts-ignore: decorator
@inline
export function setPart(
  heap: usize,
  from: usize,
  fromShift: u32,
  chunk: u32,
  newStart: u32,
  newMax: u32,
  newEnd: u32,
): void {
  let node = from;
  let shift = fromShift;
  let start = newStart;
  let max = newMax;
  let end = newEnd;
  // Start, max and end of parts 0 to 3, and of parts 4 to 7.
  let start0 = i32x4.splat(0);
  let start1 = i32x4.splat(0);
  let end0 = i32x4.splat(0);
  let end1 = i32x4.splat(0);
  for (;;) {
    const slot = (chunk >> shift) & (layout.FANOUT - 1);
    const part = node + (slot << 2);
    const is0 = i32x4.eq(i32x4.splat(slot), i32x4(0, 1, 2, 3));
    const is1 = i32x4.eq(i32x4.splat(slot), i32x4(4, 5, 6, 7));
    let max0: v128;
    let max1: v128;
    let some: bool;
    if (shift) {
      max0 = v128.bitselect(i32x4.splat(max), v128.load(node, layout.NODE_MAX), is0);
      max1 = v128.bitselect(i32x4.splat(max), v128.load(node, layout.NODE_MAX + 16), is1);
      some = v128.any_true(v128.or(max0, max1));
      if (some) {
        start0 = v128.bitselect(i32x4.splat(start), v128.load(node, layout.NODE_START), is0);
        start1 = v128.bitselect(i32x4.splat(start), v128.load(node, layout.NODE_START + 16), is1);
        end0 = v128.bitselect(i32x4.splat(end), v128.load(node, layout.NODE_END), is0);
        end1 = v128.bitselect(i32x4.splat(end), v128.load(node, layout.NODE_END + 16), is1);
      }
      store<u32>(part, start, layout.NODE_START);
      store<u32>(part, max, layout.NODE_MAX);
      store<u32>(part, end, layout.NODE_END);
    } else {
      const sum = pack(start, max, end);
      const mask = i32x4.splat(layout.SUM_MASK);
      start0 = v128.bitselect(i32x4.splat(sum), v128.load(node, layout.LEAF_SUMS), is0);
      start1 = v128.bitselect(i32x4.splat(sum), v128.load(node, layout.LEAF_SUMS + 16), is1);
      store<u32>(part, sum, layout.LEAF_SUMS);
      some = v128.any_true(v128.or(start0, start1));
      max0 = v128.and(i32x4.shr_u(start0, layout.SUM_BITS), mask);
      max1 = v128.and(i32x4.shr_u(start1, layout.SUM_BITS), mask);
      end0 = i32x4.shr_u(start0, 2 * layout.SUM_BITS);
      end1 = i32x4.shr_u(start1, 2 * layout.SUM_BITS);
      start0 = v128.and(start0, mask);
      start1 = v128.and(start1, mask);
    }
    const ref = load<u32>(node, layout.NODE_PARENT);
    if (!ref) break;
    if (some) {
      // The longest run of any part, or across two parts.
      const across0 = i32x4.add(v128.shuffle<u32>(i64x2.splat(0), end0, 0, 4, 5, 6), start0);
      const across1 = i32x4.add(v128.shuffle<u32>(end0, end1, 3, 4, 5, 6), start1);
      let longest = i32x4.max_u(i32x4.max_u(max0, max1), i32x4.max_u(across0, across1));
      longest = i32x4.max_u(longest, v128.shuffle<u32>(longest, longest, 2, 3, 0, 1));
      longest = i32x4.max_u(longest, v128.shuffle<u32>(longest, longest, 1, 0, 3, 2));
      start = <u32>i32x4.extract_lane(start0, 0);
      max = <u32>i32x4.extract_lane(longest, 0);
      end = <u32>i32x4.extract_lane(end1, 3);
      // Runs across more parts have parts in them that are all free.
      const level = shift / layout.FANOUT_SHIFT;
      const span = spanOf(level);
      let whole: u32 = 0;
      if (max >= span) whole = bitmask(i32x4.eq(start0, i32x4.splat(span)), i32x4.eq(start1, i32x4.splat(span)));
      while (whole) {
        const first = <u32>ctz(whole);
        const after = first + <u32>ctz(~(whole >> first));
        let run = (after - first) * span;
        if (first) run += partEnd(node, level, first - 1);
        if (after < <u32>layout.FANOUT) run += partStart(node, level, after);
        else end = run;
        if (!first) start = run;
        if (run > max) max = run;
        whole &= -1 << after;
      }
    } else {
      start = 0;
      max = 0;
      end = 0;
    }
    node = heap + ref;
    shift += layout.FANOUT_SHIFT;
    const above = node + (((chunk >> shift) & (layout.FANOUT - 1)) << 2);
    const wasMax = load<u32>(above, layout.NODE_MAX);
    if (load<u32>(above, layout.NODE_START) == start && load<u32>(above, layout.NODE_END) == end) {
      if (max == wasMax) break;
      if (max > wasMax) {
        raiseLongest(heap, node, chunk, shift, max);
        break;
      }
    }
  }
}

/**
 * Raises the longest run of the parts that `chunk` is in, from a node upward. `shift` is FANOUT_SHIFT times the level
 * of the node. This is all that a free changes, unless free pages at the start or the end of a part have changed too.
 */
// @ts-ignore: decorator
@inline
function raiseLongest(heap: usize, from: usize, chunk: u32, shift: u32, longest: u32): void {
  let node = from;
  for (; ; shift += layout.FANOUT_SHIFT) {
    const part = node + (((chunk >> shift) & (layout.FANOUT - 1)) << 2);
    if (load<u32>(part, layout.NODE_MAX) >= longest) break;
    store<u32>(part, longest, layout.NODE_MAX);
    const ref = load<u32>(node, layout.NODE_PARENT);
    if (!ref) break;
    node = heap + ref;
  }
}

/** Returns a bit for each lane of two vectors that is all ones. */
// @ts-ignore: decorator
@inline
export function bitmask(lower: v128, upper: v128): u32 {
  return i32x4.bitmask(lower) | (i32x4.bitmask(upper) << 4);
}
