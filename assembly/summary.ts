// Summaries: of a chunk from its bitmap, and of a node of the tree from its eight parts.

import * as layout from "../src/engine/layout";

/** Packs three counts of 0 to 512 pages. */
export function pack(start: u32, max: u32, end: u32): u32 {
  return start | (max << layout.SUM_BITS) | (end << (2 * layout.SUM_BITS));
}

/** Free pages at the start, of a packed summary. */
export function startOf(sum: u32): u32 {
  return sum & layout.SUM_MASK;
}

/** The longest run of free pages, of a packed summary. */
export function maxOf(sum: u32): u32 {
  return (sum >> layout.SUM_BITS) & layout.SUM_MASK;
}

/** Free pages at the end, of a packed summary. */
export function endOf(sum: u32): u32 {
  return sum >> (2 * layout.SUM_BITS);
}

/** The packed summary of the chunk whose alloc bitmap is `bits`. */
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
  // A run inside a word has a used page on either side.
  if (max < 62) max = longestWithin(bits, max);
  return pack(start, max, run);
}

/** The longest run of free pages that lies within a word, or `max` (0 to 61) when none is longer. */
function longestWithin(bits: usize, max: u32): u32 {
  let a = v128.not(v128.load(bits, 0));
  let b = v128.not(v128.load(bits, 16));
  let c = v128.not(v128.load(bits, 32));
  let d = v128.not(v128.load(bits, 48));
  // A 1 stands for a run of `width` free pages that starts there: first the shortest run that is of interest ...
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
  // ... then longer ones while there are any, in steps that double and, once one fails, halve.
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

/** No run of pages is longer than 2^31, so parts this large are never free as a whole. */
const ENDLESS: u32 = 0xffffffff;

/** Pages in one part of a node of `level`. */
export function spanOf(level: u32): u32 {
  return level < 8 ? 1 << (layout.CHUNK_SHIFT + layout.FANOUT_SHIFT * level) : ENDLESS;
}

/** Writes the summary of `node`, of `level`, into part `slot` of `parent`. Returns whether that changed anything. */
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
 * The same for a leaf, in a loop of its own: one that reads either kind of summary takes a fifth more of an alloc's
 * time.
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

/** Writes the summary of part `slot` of a node of level 1 and up. Returns whether that changed anything. */
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

/** Writes the packed summary of chunk `slot` of `leaf`. Returns whether that changed anything. */
export function setChunkSummary(leaf: usize, slot: u32, sum: u32): bool {
  const part = leaf + (slot << 2);
  if (load<u32>(part, layout.LEAF_SUMS) == sum) return false;
  store<u32>(part, sum, layout.LEAF_SUMS);
  return true;
}
