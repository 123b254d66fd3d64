// The radix tree over the mapped chunks. Looks up chunks, keeps the summaries, and finds free runs from the root down.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { find, findAligned, freeAbove, freeBelow, NONE, popcntRange } from "./bits.ts";
import { endOf, maxOf, pack, setChunkSummary, spanOf, startOf, summarize } from "./summary.ts";

/** Returns the level of a node; 0 for a leaf. */
function levelOf({ i32 }: Memory, node: number): number {
  return i32[(node + layout.NODE_SHAPE) >>> 2] >>> layout.LEVEL_SHIFT;
}

/** Returns the part of a node of `level` that the chunk is in. */
function slotOf(chunk: number, level: number): number {
  return (chunk >>> (layout.FANOUT_SHIFT * level)) & (layout.FANOUT - 1);
}

/** Returns the pages in one part of a node of `level`, exactly. `**` would take longer than all else in a descent. */
function sizeOf(level: number): number {
  const pages = 1 << (layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * (level & 7));
  return level < 8 ? pages : pages * 2 ** (8 * layout.FANOUT_SHIFT);
}

/** Returns the address of the bitmaps of a chunk of the leaf. */
export function dataOf(leaf: number, chunk: number): number {
  return leaf + layout.LEAF_DATA + (chunk & (layout.FANOUT - 1)) * layout.DATA_BYTES;
}

/** Returns the node under part `slot`; `heap` itself if there is none, since its ref is 0. */
function childOf({ i32 }: Memory, heap: number, node: number, slot: number): number {
  return heap + i32[((node + layout.NODE_CHILDREN) >>> 2) + slot];
}

/** Returns the leaf that covers `chunk`; 0 if there is none. */
export function leafOf(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  if (chunk < i32[(heap + layout.HEADER_START) >>> 2] || chunk >= i32[(heap + layout.HEADER_END) >>> 2])
    return 0;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  for (let level = levelOf(memory, node); level; level--) {
    node = childOf(memory, heap, node, slotOf(chunk, level));
    if (node === heap) return 0;
  }
  return node;
}

/** Returns the leaf that covers `chunk`; 0 if the chunk is a hole. */
export function mappedLeafOf(memory: Memory, heap: number, chunk: number): number {
  const leaf = leafOf(memory, heap, chunk);
  if (!leaf) return 0;
  return (memory.i32[(leaf + layout.NODE_SHAPE) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1 ? leaf : 0;
}

/** Reports whether a chunk of the leaf has both holes and mapped pages. */
export function isPartial({ i32 }: Memory, leaf: number, chunk: number): boolean {
  return ((i32[(leaf + layout.LEAF_PARTIAL) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/** Returns the packed summary of a chunk of the leaf. */
export function sumOf({ i32 }: Memory, leaf: number, chunk: number): number {
  return i32[((leaf + layout.LEAF_SUMS) >>> 2) + (chunk & (layout.FANOUT - 1))];
}

/** Counts the scavenged pages of a range. `leaf` covers its first chunk. */
export function countScavenged(
  memory: Memory,
  heap: number,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
): number {
  let n = Math.min(npages, layout.CHUNK_PAGES - index);
  let scavenged = popcntRange(memory, dataOf(leaf, chunk) + layout.DATA_SCAVENGED, index, n);
  for (let left = npages - n; left; left -= n) {
    if (!(++chunk & (layout.FANOUT - 1))) leaf = leafOf(memory, heap, chunk);
    n = Math.min(left, layout.CHUNK_PAGES);
    scavenged += popcntRange(memory, dataOf(leaf, chunk) + layout.DATA_SCAVENGED, 0, n);
  }
  return scavenged;
}

/** Recomputes the summary of a chunk of the leaf. Returns whether it changed. */
export function resummarize(memory: Memory, leaf: number, chunk: number): boolean {
  return setChunkSummary(memory, leaf, chunk & (layout.FANOUT - 1), summarize(memory, dataOf(leaf, chunk)));
}

/**
 * Updates the summary of a chunk of the leaf after a run of its pages has been allocated or freed. Returns whether the
 * summary changed. Looks at the whole bitmap only if an alloc has split the longest run.
 */
export function updateSummary(
  memory: Memory,
  leaf: number,
  chunk: number,
  index: number,
  npages: number,
  inUse: boolean,
): boolean {
  const sum = sumOf(memory, leaf, chunk);
  const data = dataOf(leaf, chunk);
  const end = index + npages;
  const below = freeBelow(memory, data, index);
  const above = freeAbove(memory, data, end);
  // The free run around the pages, as it was before an alloc, or is after a free.
  const run = below + npages + above;
  let longest = maxOf(sum);
  if (inUse) {
    // Only the bitmap can tell how long the next longest run is. If the run was shorter, the longest is still there.
    if (run === longest) return resummarize(memory, leaf, chunk);
  } else {
    longest = Math.max(longest, run);
  }
  // The start changes only if all pages below the run are free, and the end only if all above it are.
  const first = below !== index ? startOf(sum) : inUse ? below : run;
  const last = end + above !== layout.CHUNK_PAGES ? endOf(sum) : inUse ? above : run;
  return setChunkSummary(memory, leaf, chunk & (layout.FANOUT - 1), pack(first, longest, last));
}

/** Recomputes the summaries above `node`. Stops at the first that stays the same. */
export function updateAbove(memory: Memory, heap: number, node: number): void {
  const { i32 } = memory;
  const level = levelOf(memory, node);
  const first = i32[(node + layout.NODE_FIRST) >>> 2];
  setPart(
    memory,
    heap,
    node,
    layout.FANOUT_SHIFT * level,
    first,
    partStart(memory, node, level, 0),
    partMax(memory, node, level, 0),
    partEnd(memory, node, level, 0),
  );
}

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
function setPart(
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

/** Returns the free pages at the start of part `slot` of a node. */
function partStart({ i32 }: Memory, node: number, level: number, slot: number): number {
  const start = i32[((node + layout.NODE_START) >>> 2) + slot];
  return level ? start : startOf(start);
}

/** Returns the longest run of free pages in part `slot` of a node. */
function partMax({ i32 }: Memory, node: number, level: number, slot: number): number {
  return level
    ? i32[((node + layout.NODE_MAX) >>> 2) + slot]
    : maxOf(i32[((node + layout.LEAF_SUMS) >>> 2) + slot]);
}

/** Returns the free pages at the end of part `slot` of a node. */
function partEnd({ i32 }: Memory, node: number, level: number, slot: number): number {
  return level
    ? i32[((node + layout.NODE_END) >>> 2) + slot]
    : endOf(i32[((node + layout.LEAF_SUMS) >>> 2) + slot]);
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

/**
 * Finds the lowest run of npages free pages that starts at a multiple of align pages, a power of two. Returns its first
 * page as a page number, or -1. Raises searchAddr as `descend` does.
 *
 * A run that is long enough need not have an aligned start with enough pages behind it. So the search goes down into
 * each part with such a run, and comes back up if none of them will do. A part of at most align pages has one place for
 * an aligned start: its first page. The summary shows whether that one will do.
 */
export function descendAligned(memory: Memory, heap: number, npages: number, align: number): number {
  const { i32 } = memory;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  let level = levelOf(memory, node);
  let slot = 0;
  // Free pages just before the part.
  let run = 0;
  let narrowing = true;
  let firstFree = 0;
  let page = -1;
  for (;;) {
    if (slot === layout.FANOUT) {
      const parent = i32[(node + layout.NODE_PARENT) >>> 2];
      if (!parent) break;
      slot = slotOf(i32[(node + layout.NODE_FIRST) >>> 2], ++level) + 1;
      node = heap + parent;
      continue;
    }
    const part = (node >>> 2) + slot;
    const sum = i32[part + layout.LEAF_SUMS / 4];
    const max = level ? i32[part + layout.NODE_MAX / 4] : maxOf(sum);
    if (!max) {
      run = 0;
      slot++;
      continue;
    }
    const chunk = i32[(node + layout.NODE_FIRST) >>> 2] + slot * layout.FANOUT ** level;
    const base = chunk * layout.CHUNK_PAGES;
    if (narrowing) firstFree = base;
    const start = level ? i32[part + layout.NODE_START / 4] : startOf(sum);
    const first = Math.ceil((base - run) / align) * align;
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
    run = start === span ? run + span : level ? i32[part + layout.NODE_END / 4] : endOf(sum);
    slot++;
  }
  raiseSearch(memory, heap, firstFree);
  return page;
}

/**
 * Raises searchAddr to a page, unless it is there already or higher. No page below that page is free. A worker may die
 * between any two stores, so each store leaves searchAddr at or below the first free page.
 */
export function raiseSearch({ i32 }: Memory, heap: number, page: number): void {
  const chunk = Math.floor(page / layout.CHUNK_PAGES);
  const index = page - chunk * layout.CHUNK_PAGES;
  const search = (heap + layout.HEADER_SEARCH_CHUNK) >>> 2;
  const searchIndex = (heap + layout.HEADER_SEARCH_INDEX) >>> 2;
  const from = i32[search];
  if (chunk < from || (chunk === from && index <= i32[searchIndex])) return;
  if (chunk > from) {
    // The index goes first: in the new chunk, the old one might lie above the first free page.
    i32[searchIndex] = 0;
    i32[search] = chunk;
  }
  i32[searchIndex] = index;
}

/** Takes a node from the list of free ones, or appends one to the region, which must have room for it. */
function newNode({ i32 }: Memory, heap: number, parent: number, first: number, level: number): number {
  const list = (heap + (level ? layout.HEADER_FREE_NODES : layout.HEADER_FREE_LEAVES)) >>> 2;
  const free = i32[list];
  const node = heap + (free || i32[(heap + layout.HEADER_USED) >>> 2]);
  const bytes = level ? layout.NODE_BYTES : layout.LEAF_BYTES;
  // A free node keeps its link. So if this call is undone, the restored head of the list leads to it again.
  if (free) i32[list] = i32[(node + (level ? layout.NODE_NEXT : layout.LEAF_NEXT)) >>> 2];
  else i32.fill(0, node >>> 2, (node + bytes) >>> 2);
  i32[(node + layout.NODE_PARENT) >>> 2] = parent;
  i32[(node + layout.NODE_FIRST) >>> 2] = first;
  i32[(node + layout.NODE_SHAPE) >>> 2] = level << layout.LEVEL_SHIFT;
  // Last, since a walk without the lock ignores refs at or above HEADER_USED.
  if (!free) i32[(heap + layout.HEADER_USED) >>> 2] = node - heap + bytes;
  return node;
}

/** Makes the tree high enough to cover `chunk`. */
function cover(memory: Memory, heap: number, chunk: number): void {
  const { i32 } = memory;
  if (!i32[(heap + layout.HEADER_ROOT) >>> 2]) {
    i32[(heap + layout.HEADER_ROOT) >>> 2] = newNode(memory, heap, 0, chunk & -layout.FANOUT, 0) - heap;
    return;
  }
  for (;;) {
    const root = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
    const level = levelOf(memory, root);
    const first = i32[(root + layout.NODE_FIRST) >>> 2];
    if (!((first ^ chunk) >>> (layout.FANOUT_SHIFT * (level + 1)))) return;
    const above = newNode(memory, heap, 0, first & (-1 << (layout.FANOUT_SHIFT * (level + 2))), level + 1);
    const ref = above - heap;
    const slot = slotOf(first, level + 1);
    i32[((above + layout.NODE_CHILDREN) >>> 2) + slot] = root - heap;
    i32[(root + layout.NODE_PARENT) >>> 2] = ref;
    updateAbove(memory, heap, root);
    if (i32[(root + layout.NODE_CANDIDATES) >>> 2]) i32[(above + layout.NODE_CANDIDATES) >>> 2] = 1 << slot;
    // Last, so that a concurrent walk sees the new root only when it is complete.
    i32[(heap + layout.HEADER_ROOT) >>> 2] = ref;
  }
}

/**
 * Returns the leaf that covers `chunk`. Makes it and the nodes above it if there is none. The region must have room for
 * them.
 */
export function growLeaf(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  cover(memory, heap, chunk);
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  for (let level = levelOf(memory, node); level; level--) {
    const slot = slotOf(chunk, level);
    let child = childOf(memory, heap, node, slot);
    if (child === heap) {
      child = newNode(memory, heap, node - heap, chunk & (-1 << (layout.FANOUT_SHIFT * level)), level - 1);
      i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] = child - heap;
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

/** Reports whether a chunk of the leaf may have a candidate. */
export function isMarked({ i32 }: Memory, leaf: number, chunk: number): boolean {
  return ((i32[(leaf + layout.NODE_CANDIDATES) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/**
 * Returns the highest chunk at or below `chunk` that may have a candidate; -1 if there is none. The tree must cover
 * `chunk`.
 */
export function walk(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  const root = i32[(heap + layout.HEADER_ROOT) >>> 2];
  if (!root) return -1;
  let node = heap + root;
  let level = levelOf(memory, node);
  let turn = 0;
  let turnMarks = 0;
  let turnLevel = 0;
  for (;;) {
    const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    // The deepest node with marked parts below the path has the highest of the lower chunks. The walk turns back to it
    // if the path ends.
    if (below) {
      turn = node;
      turnMarks = below;
      turnLevel = level;
    }
    if (!((marks >>> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(memory, heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(memory, heap, turn, turnLevel, turnMarks) : -1;
}

/**
 * Returns the highest chunk that may have a candidate under the parts `marks` of a node; -1 if the tree is being
 * changed.
 */
function highest(memory: Memory, heap: number, node: number, level: number, marks: number): number {
  const { i32 } = memory;
  for (; level; level--) {
    node = seenBelow(memory, heap, node, 31 - Math.clz32(marks));
    if (!node) return -1;
    marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    if (!marks) return -1;
  }
  return i32[(node + layout.NODE_FIRST) >>> 2] + 31 - Math.clz32(marks);
}

/** Returns the node under part `slot`, as read without the lock; 0 if that cannot be the ref of a node. */
function seenBelow({ i32 }: Memory, heap: number, node: number, slot: number): number {
  const ref = i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] >>> 0;
  const isPiece = ref && !(ref & (layout.LINE_BYTES - 1));
  return isPiece && ref <= (i32[(heap + layout.HEADER_USED) >>> 2] >>> 0) - layout.NODE_BYTES
    ? heap + ref
    : 0;
}
