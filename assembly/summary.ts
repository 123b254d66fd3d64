// Summaries of chunks, from their bitmaps. merge.ts has the summaries above.
//
// The twin has a text of its own, as it has no vectors.

import { pack } from "../build/both/sums";
import * as layout from "../src/engine/layout";

/** Returns the packed summary of the chunk whose alloc bitmap is `bits`. */
export function summarize(bits: usize): u32 {
  return sumUp(bits);
}

/** Does the same inline, for functions that may not call. */
// @ts-ignore: decorator
@inline
export function sumUp(bits: usize): u32 {
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
// @ts-ignore: decorator
@inline
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
