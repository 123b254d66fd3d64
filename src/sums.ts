// What parts of a heap sum up to, computed from the bits or from the parts below, in JavaScript: for whoever checks or
// rebuilds what the engines keep.

import type { PallocSum } from "./palloc-data.ts";

/** What a node or chunk says of its pages. */
export interface Sum extends PallocSum {
  /** Whether it may have a scavenge candidate. */
  candidates: boolean;
}

/** What a part of a node says when there is nothing in it. */
export const NOTHING: Sum = { start: 0, max: 0, end: 0, candidates: false };

/** Adds a part of `pages` pages to the sum of those before it, `before` pages. */
export function addPart(whole: Sum, part: Sum, before: number, pages: number): void {
  if (whole.start === before) whole.start += part.start;
  whole.max = Math.max(whole.max, part.max, whole.end + part.start);
  whole.end = part.start === pages ? whole.end + part.start : part.end;
}
