// The search for an aligned run. ../ts/descend.ts has the search for a run anywhere.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { findAligned, NONE } from "../ts/bits.ts";
import type { f64, u32, usize } from "../ts/builtins.ts";
import { alignUp, pageOf } from "../ts/pages.ts";
import { dataOf, endOf, maxOf, spanOf, startOf } from "./sums.ts";
import { childOf, levelOf, raiseSearch, slotOf } from "./tree.ts";

/**
 * Finds the lowest run of npages free pages that starts at a multiple of align pages, a power of two. Returns its first
 * page as a page number, or -1. Raises searchAddr as `descend` does.
 *
 * A run that is long enough need not have an aligned start with enough pages behind it. So the search goes down into
 * each part with such a run, and comes back up if none of them will do. A part of at most align pages has one place for
 * an aligned start: its first page. The summary shows whether that one will do.
 */
export function descendAligned(memory: Memory, heap: usize, npages: u32, align: u32): f64 {
  const { i32 } = memory;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  let level = levelOf(memory, node);
  let slot: u32 = 0;
  // Free pages just before the part.
  let run: u32 = 0;
  let narrowing = true;
  let firstFree: f64 = 0;
  let page: f64 = -1;
  for (;;) {
    if (slot === layout.FANOUT) {
      const parent = i32[(node + layout.NODE_PARENT) >>> 2];
      if (!parent) break;
      slot = slotOf(i32[(node + layout.NODE_FIRST) >>> 2], ++level) + 1;
      node = heap + parent;
      continue;
    }
    const part = node + (slot << 2);
    const sum = i32[(part + layout.LEAF_SUMS) >>> 2];
    const max = level ? i32[(part + layout.NODE_MAX) >>> 2] : maxOf(sum);
    if (!max) {
      run = 0;
      slot++;
      continue;
    }
    const chunk = i32[(node + layout.NODE_FIRST) >>> 2] + (slot << (layout.FANOUT_SHIFT * level));
    const base = pageOf(chunk, 0);
    if (narrowing) firstFree = base;
    const start = level ? i32[(part + layout.NODE_START) >>> 2] : startOf(sum);
    const first = alignUp(base - run, align);
    if (first + npages <= base + start) {
      page = first;
      break;
    }
    const span = spanOf(level);
    if (max >= npages && span > align) {
      if (level) {
        node = childOf(memory, heap, node, slot);
        level--;
        slot = 0;
        continue;
      }
      const hit = findAligned(memory, dataOf(node, chunk), npages, align);
      if (hit !== NONE) {
        page = base + hit;
        break;
      }
    }
    narrowing = false;
    run = start === span ? run + span : level ? i32[(part + layout.NODE_END) >>> 2] : endOf(sum);
    slot++;
  }
  raiseSearch(memory, heap, firstFree);
  return page;
}
