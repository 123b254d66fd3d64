// The search for free pages from the root of the tree down.
//
// The twin has a text of its own, as it has no vectors.

import { dataOf, partEnd, partMax, partStart, spanOf } from "../build/both/sums";
import { childOf, levelOf, raiseSearch } from "../build/both/tree";
import * as layout from "../src/engine/layout";
import { find } from "./bits";
import { bitmask } from "./merge";
import { pageOf } from "./pages";

/**
 * Finds the lowest run of npages free pages. Returns its first page as a page number, or -1. On each level it takes the
 * first part that completes a run with the parts before it, or that has a long enough run of its own. Raises searchAddr
 * to the lowest page that may be free, as far as the descent has shown it.
 */
export function descend(heap: usize, npages: u32): f64 {
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  let level = levelOf(node);
  // Whether each step so far went to the first part with free pages. Only then does the next level narrow down
  // firstFree.
  let narrowing = true;
  let firstFree: f64 = 0;
  for (;;) {
    const shift = layout.FANOUT_SHIFT * level;
    const span = spanOf(level);
    const base = load<u32>(node, layout.NODE_FIRST);
    let free: u32 = 0;
    let slot: u32 = layout.FANOUT;
    // Pages of a run that reaches in from earlier parts; -1 if the run lies within the part.
    let run: i32 = -1;
    if (npages <= span) {
      // A part that is all free is long enough by itself. So a run reaches in from no more than one part.
      const mask = i32x4.splat(layout.SUM_MASK);
      const none = i32x4.splat(0);
      const least = i32x4.splat(npages - 1);
      const sums0 = v128.load(node, layout.LEAF_SUMS);
      const sums1 = v128.load(node, layout.LEAF_SUMS + 16);
      let max0: v128;
      let max1: v128;
      if (level) {
        max0 = v128.load(node, layout.NODE_MAX);
        max1 = v128.load(node, layout.NODE_MAX + 16);
      } else {
        max0 = v128.and(i32x4.shr_u(sums0, layout.SUM_BITS), mask);
        max1 = v128.and(i32x4.shr_u(sums1, layout.SUM_BITS), mask);
      }
      free = bitmask(i32x4.gt_s(max0, none), i32x4.gt_s(max1, none));
      let fits = free;
      let across: u32 = 0;
      if (npages > 1) {
        let start0 = sums0;
        let start1 = sums1;
        let end0: v128;
        let end1: v128;
        if (level) {
          end0 = v128.load(node, layout.NODE_END);
          end1 = v128.load(node, layout.NODE_END + 16);
        } else {
          end0 = i32x4.shr_u(sums0, 2 * layout.SUM_BITS);
          end1 = i32x4.shr_u(sums1, 2 * layout.SUM_BITS);
          start0 = v128.and(sums0, mask);
          start1 = v128.and(sums1, mask);
        }
        const across0 = i32x4.add(v128.shuffle<u32>(none, end0, 0, 4, 5, 6), start0);
        const across1 = i32x4.add(v128.shuffle<u32>(end0, end1, 3, 4, 5, 6), start1);
        across = bitmask(i32x4.gt_s(across0, least), i32x4.gt_s(across1, least));
        fits = bitmask(i32x4.gt_s(max0, least), i32x4.gt_s(max1, least)) | across;
      }
      slot = min(<u32>ctz(fits), layout.FANOUT);
      if ((across >> slot) & 1) run = slot ? partEnd(node, level, slot - 1) : 0;
    } else {
      let reached: u32 = 0;
      for (let other: u32 = 0; other < <u32>layout.FANOUT; other++) {
        const first = partStart(node, level, other);
        const last = partEnd(node, level, other);
        free |= u32(partMax(node, level, other) != 0) << other;
        if (reached + first >= npages) {
          slot = other;
          run = reached;
          break;
        }
        reached = first == span ? reached + span : last;
      }
    }
    const seen = <u32>ctz(free);
    if (narrowing && free) firstFree = pageOf(base + (seen << shift), 0);
    if (slot == layout.FANOUT) break;
    const chunk = base + (slot << shift);
    if (run >= 0) {
      raiseSearch(heap, firstFree);
      return pageOf(chunk, 0) - run;
    }
    narrowing = narrowing && seen == slot;
    if (!level) {
      const hit = find(dataOf(node, chunk), npages, 0);
      raiseSearch(heap, narrowing ? pageOf(chunk, hit >> 16) : firstFree);
      return pageOf(chunk, hit & 0xffff);
    }
    node = childOf(heap, node, slot);
    level--;
  }
  raiseSearch(heap, firstFree);
  return -1;
}
