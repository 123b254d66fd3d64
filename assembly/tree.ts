// The radix tree over the mapped chunks. Looks up chunks, keeps the summaries, and finds free runs from the root down.

import * as layout from "../src/engine/layout";
import { find, findAligned, freeAbove, freeBelow, NONE, popcntRange } from "./bits";
import { endOf, maxOf, pack, setChunkSummary, spanOf, startOf, summarize } from "./summary";

/** Returns the level of a node; 0 for a leaf. */
// @ts-ignore: decorator
@inline
function levelOf(node: usize): u32 {
  return load<u32>(node, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT;
}

/** Returns the part of a node of `level` that the chunk is in. */
// @ts-ignore: decorator
@inline
function slotOf(chunk: u32, level: u32): u32 {
  return (chunk >> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
}

/** Returns the address of the bitmaps of a chunk of the leaf. */
// @ts-ignore: decorator
@inline
export function dataOf(leaf: usize, chunk: u32): usize {
  return leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES;
}

/** Returns the node under part `slot`; `heap` itself if there is none, since its ref is 0. */
function childOf(heap: usize, node: usize, slot: u32): usize {
  return heap + load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
}

/** Returns the leaf that covers `chunk`; 0 if there is none. */
export function leafOf(heap: usize, chunk: u32): usize {
  if (chunk < load<u32>(heap, layout.HEADER_START) || chunk >= load<u32>(heap, layout.HEADER_END)) return 0;
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  for (let level = levelOf(node); level; level--) {
    node = childOf(heap, node, slotOf(chunk, level));
    if (node == heap) return 0;
  }
  return node;
}

/** Returns the leaf that covers `chunk`; 0 if the chunk is a hole. */
export function mappedLeafOf(heap: usize, chunk: u32): usize {
  return mappedLeafAt(heap, chunk);
}

/** Does the same inline, for commits, which may not call a function. */
// @ts-ignore: decorator
@inline
export function mappedLeafAt(heap: usize, chunk: u32): usize {
  let node: usize = 0;
  if (chunk >= load<u32>(heap, layout.HEADER_START) && chunk < load<u32>(heap, layout.HEADER_END)) {
    node = heap + load<u32>(heap, layout.HEADER_ROOT);
    for (let level = load<u32>(node, layout.NODE_SHAPE) >> layout.LEVEL_SHIFT; level; level--) {
      const slot = (chunk >> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
      node = heap + load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
      if (node == heap) break;
    }
    if (node == heap || !((load<u32>(node, layout.NODE_SHAPE) >> (chunk & (layout.FANOUT - 1))) & 1)) node = 0;
  }
  return node;
}

/** Reports whether a chunk of the leaf has both holes and mapped pages. */
export function isPartial(leaf: usize, chunk: u32): bool {
  return ((load<u32>(leaf, layout.LEAF_PARTIAL) >> (chunk & (layout.FANOUT - 1))) & 1) != 0;
}

/** Returns the packed summary of a chunk of the leaf. */
export function sumOf(leaf: usize, chunk: u32): u32 {
  return load<u32>(leaf + ((chunk & (layout.FANOUT - 1)) << 2), layout.LEAF_SUMS);
}

/** Counts the scavenged pages of a range. `leaf` covers its first chunk. */
export function countScavenged(heap: usize, leaf: usize, chunk: u32, index: u32, npages: u32): u32 {
  let n = min(npages, layout.CHUNK_PAGES - index);
  let scavenged = popcntRange(dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, n);
  for (let left = npages - n; left; left -= n) {
    if (!(++chunk & (layout.FANOUT - 1))) leaf = leafOf(heap, chunk);
    n = min(left, layout.CHUNK_PAGES);
    scavenged += popcntRange(dataOf(leaf, chunk) + layout.DATA_SCAVENGED, 0, n);
  }
  return scavenged;
}

/** Recomputes the summary of a chunk of the leaf. Returns whether it changed. */
export function resummarize(leaf: usize, chunk: u32): bool {
  return setChunkSummary(leaf, chunk & (layout.FANOUT - 1), summarize(dataOf(leaf, chunk)));
}

/**
 * Updates the summary of a chunk of the leaf after a run of its pages has been allocated or freed. Returns whether the
 * summary changed. Looks at the whole bitmap only if an alloc has split the longest run.
 */
export function updateSummary(leaf: usize, chunk: u32, index: u32, npages: u32, inUse: bool): bool {
  const sum = sumOf(leaf, chunk);
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  const below = freeBelow(data, index);
  const above = freeAbove(data, end);
  // The free run around the pages, as it was before an alloc, or is after a free.
  const run = below + npages + above;
  let longest = maxOf(sum);
  if (inUse) {
    // Only the bitmap can tell how long the next longest run is. If the run was shorter, the longest is still there.
    if (run == longest) return resummarize(leaf, chunk);
  } else {
    longest = max(longest, run);
  }
  // The start changes only if all pages below the run are free, and the end only if all above it are.
  const first = below != index ? startOf(sum) : inUse ? below : run;
  const last = end + above != layout.CHUNK_PAGES ? endOf(sum) : inUse ? above : run;
  return setChunkSummary(leaf, chunk & (layout.FANOUT - 1), pack(first, longest, last));
}

/** Recomputes the summaries above `node`. Stops at the first that stays the same. */
export function updateAbove(heap: usize, node: usize): void {
  const level = levelOf(node);
  const first = load<u32>(node, layout.NODE_FIRST);
  const start = partStart(node, level, 0);
  setPart(heap, node, layout.FANOUT_SHIFT * level, first, start, partMax(node, level, 0), partEnd(node, level, 0));
}

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
    if (load<u32>(node + (slotOf(chunk, 1) << 2), layout.NODE_MAX) > maxOf(was)) {
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
function setPart(
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

/** Returns the free pages at the start of part `slot` of a node. */
// @ts-ignore: decorator
@inline
function partStart(node: usize, level: u32, slot: u32): u32 {
  const start = load<u32>(node + (slot << 2), layout.NODE_START);
  return level ? start : start & layout.SUM_MASK;
}

/** Returns the longest run of free pages in part `slot` of a node. */
// @ts-ignore: decorator
@inline
function partMax(node: usize, level: u32, slot: u32): u32 {
  const part = node + (slot << 2);
  return level ? load<u32>(part, layout.NODE_MAX) : maxOf(load<u32>(part, layout.LEAF_SUMS));
}

/** Returns the free pages at the end of part `slot` of a node. */
// @ts-ignore: decorator
@inline
function partEnd(node: usize, level: u32, slot: u32): u32 {
  const part = node + (slot << 2);
  return level ? load<u32>(part, layout.NODE_END) : load<u32>(part, layout.LEAF_SUMS) >> (2 * layout.SUM_BITS);
}

/**
 * Finds the lowest run of npages free pages. Returns its first page as a page number, or -1. On each level it takes the
 * first part that completes a run with the parts before it, or that has a long enough run of its own. Raises searchAddr
 * to the lowest page that may be free, as far as the descent has shown it.
 */
export function descend(heap: usize, npages: u32): i64 {
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  let level = levelOf(node);
  // Whether each step so far went to the first part with free pages. Only then does the next level narrow down
  // firstFree.
  let narrowing = true;
  let firstFree: i64 = 0;
  for (;;) {
    const shift = layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * level;
    const span = spanOf(level);
    const base = (<i64>load<u32>(node, layout.NODE_FIRST)) << layout.CHUNK_SHIFT;
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
    if (narrowing && free) firstFree = base + ((<i64>seen) << shift);
    if (slot == layout.FANOUT) break;
    const first = base + ((<i64>slot) << shift);
    if (run >= 0) {
      raiseSearch(heap, firstFree);
      return first - run;
    }
    narrowing = narrowing && seen == slot;
    if (!level) {
      const hit = find(dataOf(node, <u32>(first >> layout.CHUNK_SHIFT)), npages, 0);
      raiseSearch(heap, narrowing ? first + (hit >> 16) : firstFree);
      return first + (hit & 0xffff);
    }
    node = childOf(heap, node, slot);
    level--;
  }
  raiseSearch(heap, firstFree);
  return -1;
}

/** Returns a bit for each lane of two vectors that is all ones. */
// @ts-ignore: decorator
@inline
function bitmask(lower: v128, upper: v128): u32 {
  return i32x4.bitmask(lower) | (i32x4.bitmask(upper) << 4);
}

/**
 * Finds the lowest run of npages free pages that starts at a multiple of align pages, a power of two. Returns its first
 * page as a page number, or -1. Raises searchAddr as `descend` does.
 *
 * A run that is long enough need not have an aligned start with enough pages behind it. So the search goes down into
 * each part with such a run, and comes back up if none of them will do. A part of at most align pages has one place for
 * an aligned start: its first page. The summary shows whether that one will do.
 */
export function descendAligned(heap: usize, npages: u32, align: u32): i64 {
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  let level = levelOf(node);
  let slot: u32 = 0;
  // Free pages just before the part.
  let run: u32 = 0;
  let narrowing = true;
  let firstFree: i64 = 0;
  let page: i64 = -1;
  for (;;) {
    if (slot == layout.FANOUT) {
      const parent = load<u32>(node, layout.NODE_PARENT);
      if (!parent) break;
      slot = slotOf(load<u32>(node, layout.NODE_FIRST), ++level) + 1;
      node = heap + parent;
      continue;
    }
    const part = node + (slot << 2);
    const sum = load<u32>(part, layout.LEAF_SUMS);
    const max = level ? load<u32>(part, layout.NODE_MAX) : maxOf(sum);
    if (!max) {
      run = 0;
      slot++;
      continue;
    }
    const chunk = load<u32>(node, layout.NODE_FIRST) + (slot << (layout.FANOUT_SHIFT * level));
    const base = (<i64>chunk) << layout.CHUNK_SHIFT;
    if (narrowing) firstFree = base;
    const start = level ? load<u32>(part, layout.NODE_START) : startOf(sum);
    const first = (base - run + (align - 1)) & -(<i64>align);
    if (first + npages <= base + start) {
      page = first;
      break;
    }
    const span = spanOf(level);
    if (max >= npages && span > align) {
      if (level) {
        node = childOf(heap, node, slot);
        level--;
        slot = 0;
        continue;
      }
      const hit = findAligned(dataOf(node, chunk), npages, align);
      if (hit != NONE) {
        page = base + hit;
        break;
      }
    }
    narrowing = false;
    run = start == span ? run + span : level ? load<u32>(part, layout.NODE_END) : endOf(sum);
    slot++;
  }
  raiseSearch(heap, firstFree);
  return page;
}

/**
 * Raises searchAddr to a page, unless it is there already or higher. No page below that page is free. A worker may die
 * between any two stores, so each store leaves searchAddr at or below the first free page.
 */
export function raiseSearch(heap: usize, page: i64): void {
  const chunk = <u32>(page >> layout.CHUNK_SHIFT);
  const index = <u32>page & (layout.CHUNK_PAGES - 1);
  const from = load<u32>(heap, layout.HEADER_SEARCH_CHUNK);
  if (chunk < from || (chunk == from && index <= load<u32>(heap, layout.HEADER_SEARCH_INDEX))) return;
  if (chunk > from) {
    // The index goes first: in the new chunk, the old one might lie above the first free page.
    store<u32>(heap, 0, layout.HEADER_SEARCH_INDEX);
    store<u32>(heap, chunk, layout.HEADER_SEARCH_CHUNK);
  }
  store<u32>(heap, index, layout.HEADER_SEARCH_INDEX);
}

/** Takes a node from the list of free ones, or appends one to the region, which must have room for it. */
function newNode(heap: usize, parent: u32, first: u32, level: u32): usize {
  const list = heap + (level ? layout.HEADER_FREE_NODES : layout.HEADER_FREE_LEAVES);
  const free = load<u32>(list);
  const node = heap + (free ? free : load<u32>(heap, layout.HEADER_USED));
  const bytes = level ? layout.NODE_BYTES : layout.LEAF_BYTES;
  // A free node keeps its link. So if this call is undone, the restored head of the list leads to it again.
  if (free) store<u32>(list, load<u32>(node + (level ? layout.NODE_NEXT : layout.LEAF_NEXT)));
  else memory.fill(node, 0, bytes);
  store<u32>(node, parent, layout.NODE_PARENT);
  store<u32>(node, first, layout.NODE_FIRST);
  store<u32>(node, level << layout.LEVEL_SHIFT, layout.NODE_SHAPE);
  // Last, since a walk without the lock ignores refs at or above HEADER_USED.
  if (!free) store<u32>(heap, <u32>(node - heap) + bytes, layout.HEADER_USED);
  return node;
}

/** Makes the tree high enough to cover `chunk`. */
function cover(heap: usize, chunk: u32): void {
  if (!load<u32>(heap, layout.HEADER_ROOT)) {
    const leaf = newNode(heap, 0, chunk & -layout.FANOUT, 0);
    store<u32>(heap, <u32>(leaf - heap), layout.HEADER_ROOT);
    return;
  }
  for (;;) {
    const root = heap + load<u32>(heap, layout.HEADER_ROOT);
    const level = levelOf(root);
    const first = load<u32>(root, layout.NODE_FIRST);
    if (!((first ^ chunk) >> (layout.FANOUT_SHIFT * (level + 1)))) return;
    const above = newNode(heap, 0, first & (-1 << (layout.FANOUT_SHIFT * (level + 2))), level + 1);
    const ref = <u32>(above - heap);
    const slot = slotOf(first, level + 1);
    store<u32>(above + (slot << 2), <u32>(root - heap), layout.NODE_CHILDREN);
    store<u32>(root, ref, layout.NODE_PARENT);
    updateAbove(heap, root);
    if (load<u32>(root, layout.NODE_CANDIDATES)) store<u32>(above, 1 << slot, layout.NODE_CANDIDATES);
    // Last, so that a concurrent walk sees the new root only when it is complete.
    store<u32>(heap, ref, layout.HEADER_ROOT);
  }
}

/**
 * Returns the leaf that covers `chunk`. Makes it and the nodes above it if there is none. The region must have room for
 * them.
 */
export function growLeaf(heap: usize, chunk: u32): usize {
  cover(heap, chunk);
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  for (let level = levelOf(node); level; level--) {
    const slot = slotOf(chunk, level);
    let child = childOf(heap, node, slot);
    if (child == heap) {
      child = newNode(heap, <u32>(node - heap), chunk & (-1 << (layout.FANOUT_SHIFT * level)), level - 1);
      store<u32>(node + (slot << 2), <u32>(child - heap), layout.NODE_CHILDREN);
    }
    node = child;
  }
  return node;
}

// The scavenger's walk finds the next chunk downward that may have a candidate. Every node has a bit for each part that
// may hold one. A node's bit in its parent is set exactly when any of its own bits is set. So the walk reads one or two
// nodes per level, whatever the size of the heap. A set bit may be wrong, a clear one is right: bits are set when pages
// are freed, and cleared when a look under the lock finds nothing.
//
// The walk takes no lock. So a node that it reads may be in the middle of a change, out of the tree, or elsewhere in
// the tree by now. Then the walk may return any chunk, or miss one with pages freed meanwhile: the caller must not
// trust what it returns. If it reads something impossible, it gives up as if it had reached the bottom. So before the
// caller may conclude that nothing is left, it must walk again with the lock held.

/** Sets the candidate bit of a chunk of the leaf, and those of the nodes above. */
// @ts-ignore: decorator
@inline
export function markCandidate(heap: usize, leaf: usize, chunk: u32): void {
  let node = leaf;
  for (let shift: u32 = 0; ; shift += layout.FANOUT_SHIFT) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    store<u32>(node, marks | (1 << ((chunk >> shift) & (layout.FANOUT - 1))), layout.NODE_CANDIDATES);
    const parent = load<u32>(node, layout.NODE_PARENT);
    // A node that had a bit set already has its own bit set in all nodes above.
    if (marks || !parent) break;
    node = heap + parent;
  }
}

/** Reports whether a chunk of the leaf may have a candidate. */
// @ts-ignore: decorator
@inline
export function isMarked(leaf: usize, chunk: u32): bool {
  return ((load<u32>(leaf, layout.NODE_CANDIDATES) >> (chunk & (layout.FANOUT - 1))) & 1) != 0;
}

/**
 * Returns the highest chunk at or below `chunk` that may have a candidate; -1 if there is none. The tree must cover
 * `chunk`.
 */
export function walk(heap: usize, chunk: u32): i32 {
  const root = load<u32>(heap, layout.HEADER_ROOT);
  if (!root) return -1;
  let node = heap + root;
  let level = levelOf(node);
  let turn: usize = 0;
  let turnMarks: u32 = 0;
  let turnLevel: u32 = 0;
  for (;;) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    // The deepest node with marked parts below the path has the highest of the lower chunks. The walk turns back to it
    // if the path ends.
    if (below) {
      turn = node;
      turnMarks = below;
      turnLevel = level;
    }
    if (!((marks >> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(heap, turn, turnLevel, turnMarks) : -1;
}

/**
 * Returns the highest chunk that may have a candidate under the parts `marks` of a node; -1 if the tree is being
 * changed.
 */
function highest(heap: usize, node: usize, level: u32, marks: u32): i32 {
  for (; level; level--) {
    node = seenBelow(heap, node, 31 - <u32>clz(marks));
    if (!node) return -1;
    marks = load<u32>(node, layout.NODE_CANDIDATES);
    if (!marks) return -1;
  }
  return load<u32>(node, layout.NODE_FIRST) + 31 - <i32>clz(marks);
}

/** Returns the node under part `slot`, as read without the lock; 0 if that cannot be the ref of a node. */
function seenBelow(heap: usize, node: usize, slot: u32): usize {
  const ref = load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
  const isPiece = ref && !(ref & (layout.LINE_BYTES - 1));
  return isPiece && ref <= load<u32>(heap, layout.HEADER_USED) - layout.NODE_BYTES ? heap + ref : 0;
}
