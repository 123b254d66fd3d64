// Computes summaries: that of a chunk from its bitmap, and that of a tree node from its eight parts.

import * as layout from "../src/engine/layout";

/** Packs three counts of 0 to 512 pages. */
export function pack(start: u32, max: u32, end: u32): u32 {
  return start | (max << layout.SUM_BITS) | (end << (2 * layout.SUM_BITS));
}

/** Returns the free pages at the start, from a packed summary. */
export function startOf(sum: u32): u32 {
  return sum & layout.SUM_MASK;
}

/** Returns the longest run of free pages, from a packed summary. */
export function maxOf(sum: u32): u32 {
  return (sum >> layout.SUM_BITS) & layout.SUM_MASK;
}

/** Returns the free pages at the end, from a packed summary. */
export function endOf(sum: u32): u32 {
  return sum >> (2 * layout.SUM_BITS);
}

/** Returns the packed summary of the chunk whose alloc bitmap is `bits`. */
export function summarize(bits: usize): u32 {
  let start: u32 = layout.CHUNK_PAGES;
  let max: u32 = 0;
  let run: u32 = 0;
  for (let i: u32 = 0; i < <u32>layout.CHUNK_PAGES; i += 64) {
    const used = load<u64>(bits + (i >> 3));
    if (!used) {
      run += 64;
      continue;
    }
    run += <u32>ctz(used);
    if (start == layout.CHUNK_PAGES) start = run;
    if (run > max) max = run;
    run = <u32>clz(used);
  }
  if (run > max) max = run;
  // What is left are runs inside a word. They have a used page on either side, so at most 62 pages.
  if (max < 62) max = longestWithin(bits, max);
  return pack(start, max, run);
}

/** Returns the length of the longest run of free pages within a word, or `max` (0 to 61) if none is longer. */
function longestWithin(bits: usize, max: u32): u32 {
  let a = v128.not(v128.load(bits, 0));
  let b = v128.not(v128.load(bits, 16));
  let c = v128.not(v128.load(bits, 32));
  let d = v128.not(v128.load(bits, 48));
  // A 1 stands for a run of `width` free pages that starts there. First `width` grows to the shortest run that matters,
  // of max + 1 pages.
  let width = 1;
  const wanted = <i32>max + 1;
  while (width < wanted) {
    const step = min(width, wanted - width);
    a = v128.and(a, i64x2.shr_u(a, step));
    b = v128.and(b, i64x2.shr_u(b, step));
    c = v128.and(c, i64x2.shr_u(c, step));
    d = v128.and(d, i64x2.shr_u(d, step));
    width += step;
  }
  if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) return max;
  // Then it grows for as long as there are such runs, in steps that double and, after the first that fails, halve.
  let step = 1;
  let growing = true;
  while (step) {
    const e = v128.and(a, i64x2.shr_u(a, step));
    const f = v128.and(b, i64x2.shr_u(b, step));
    const g = v128.and(c, i64x2.shr_u(c, step));
    const h = v128.and(d, i64x2.shr_u(d, step));
    if (v128.any_true(v128.or(v128.or(e, f), v128.or(g, h)))) {
      a = e;
      b = f;
      c = g;
      d = h;
      width += step;
      step = growing ? step << 1 : step >> 1;
    } else {
      growing = false;
      step >>= 1;
    }
  }
  return width;
}

/**
 * Stands for a span that does not fit in 32 bits. A heap has fewer than 2^31 pages, so a part this large is never all
 * free.
 */
const ENDLESS: u32 = 0xffffffff;

/** Returns the number of pages in one part of a node of `level`. */
export function spanOf(level: u32): u32 {
  return level < 8 ? 1 << (layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * level) : ENDLESS;
}

/**
 * Computes the summary of `node`, which is at `level`, and writes it to part `slot` of `parent`. Returns whether it
 * changed.
 */
export function mergeInto(parent: usize, slot: u32, node: usize, level: u32): bool {
  if (!level) return mergeLeafInto(parent, slot, node);
  const span = spanOf(level);
  let max: u32 = 0;
  let run: u32 = 0;
  for (let part = node; part < node + 4 * layout.FANOUT; part += 4) {
    const longest = load<u32>(part, layout.NODE_MAX);
    if (!longest) {
      run = 0;
      continue;
    }
    const first = load<u32>(part, layout.NODE_START);
    if (longest > max) max = longest;
    if (run + first > max) max = run + first;
    // A part that is all free continues the run from the parts before it.
    run = first == span ? run + span : load<u32>(part, layout.NODE_END);
  }
  let start: u32 = 0;
  for (let part = node; part < node + 4 * layout.FANOUT; part += 4) {
    const first = load<u32>(part, layout.NODE_START);
    start += first;
    if (first != span) break;
  }
  return setSummary(parent, slot, start, max, run);
}

/**
 * Does the same for a leaf, in a loop of its own. With one loop for both kinds of summary, an alloc takes a fifth
 * longer.
 */
function mergeLeafInto(parent: usize, slot: u32, leaf: usize): bool {
  let max: u32 = 0;
  let run: u32 = 0;
  for (let part = leaf; part < leaf + 4 * layout.FANOUT; part += 4) {
    const sum = load<u32>(part, layout.LEAF_SUMS);
    if (!sum) {
      run = 0;
      continue;
    }
    const longest = maxOf(sum);
    const reached = run + startOf(sum);
    if (longest > max) max = longest;
    if (reached > max) max = reached;
    run = sum == layout.SUM_FREE ? reached : endOf(sum);
  }
  let start: u32 = 0;
  for (let part = leaf; part < leaf + 4 * layout.FANOUT; part += 4) {
    const sum = load<u32>(part, layout.LEAF_SUMS);
    start += startOf(sum);
    if (sum != layout.SUM_FREE) break;
  }
  return setSummary(parent, slot, start, max, run);
}

/** Writes the summary of part `slot` of a node of level 1 or higher. Returns whether it changed. */
function setSummary(node: usize, slot: u32, start: u32, max: u32, end: u32): bool {
  const part = node + (slot << 2);
  const same =
    load<u32>(part, layout.NODE_START) == start &&
    load<u32>(part, layout.NODE_MAX) == max &&
    load<u32>(part, layout.NODE_END) == end;
  if (same) return false;
  store<u32>(part, start, layout.NODE_START);
  store<u32>(part, max, layout.NODE_MAX);
  store<u32>(part, end, layout.NODE_END);
  return true;
}

/** Writes the packed summary of chunk `slot` of `leaf`. Returns whether it changed. */
export function setChunkSummary(leaf: usize, slot: u32, sum: u32): bool {
  const part = leaf + (slot << 2);
  if (load<u32>(part, layout.LEAF_SUMS) == sum) return false;
  store<u32>(part, sum, layout.LEAF_SUMS);
  return true;
}
