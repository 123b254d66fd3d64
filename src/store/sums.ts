// Computes summaries from the bits upward, in JavaScript: to check or rebuild those that the engines keep.

import * as layout from "../engine/layout.ts";
import type { State } from "./state.ts";

/** A summary: free pages at the start of a span of pages, in its longest free run, and at its end. */
export interface PallocSum {
  start: number;
  max: number;
  end: number;
}

/** Unpacks a packed summary. */
export function unpack(sum: number): PallocSum {
  return {
    start: sum & layout.SUM_MASK,
    max: (sum >>> layout.SUM_BITS) & layout.SUM_MASK,
    end: sum >>> (2 * layout.SUM_BITS),
  };
}

/** The summary of a node or chunk, with its scavenge candidates. */
interface Sum extends PallocSum {
  /** Not 0 if there may be a scavenge candidate. */
  candidates: number;
}

/** The summary of a hole. */
const NOTHING: Sum = { start: 0, max: 0, end: 0, candidates: 0 };

/** What `sumUp` calls on its way through a tree. */
export interface Visitor {
  /** Called before a node is read. Must throw if the node does not fit its parent: else a cycle would never end. */
  node(ref: number, parent: number, first: number, level: number): void;
  /**
   * Called before a chunk, mapped or not, is read. `bit` is its bit in the leaf's fields, `data` the address of its
   * bitmaps in linear memory.
   */
  chunk(leaf: number, bit: number, chunk: number, data: number): void;
  /** Called with the value that a node's field must have, as computed from what is below. */
  derived(ref: number, field: number, value: number): void;
}

/** Visits a heap's tree from the root down and computes its summaries from the bits upward. */
export function sumUp(state: State, visitor: Visitor): void {
  const root = state.get(layout.HEADER_ROOT);
  if (!root) return;
  const level = Math.min(state.get(root + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT, layout.LEVELS - 1);
  const first = state.get(root + layout.NODE_FIRST);
  sumUpNode(state, visitor, root, 0, first - (first % layout.FANOUT ** (level + 1)), level);
}

/** Visits the tree below a node. Returns the node's summary. */
function sumUpNode(
  state: State,
  visitor: Visitor,
  ref: number,
  parent: number,
  first: number,
  level: number,
): Sum {
  visitor.node(ref, parent, first, level);
  const chunks = layout.FANOUT ** level;
  const pages = chunks * layout.CHUNK_PAGES;
  // Not a copy of NOTHING: Node 20 takes a microsecond to spread an object.
  const whole: Sum = { start: 0, max: 0, end: 0, candidates: 0 };
  for (let slot = 0; slot < layout.FANOUT; slot++) {
    const column = 4 * slot;
    const bit = 1 << slot;
    const chunk = first + slot * chunks;
    let part = NOTHING;
    if (level) {
      const child = state.get(ref + layout.NODE_CHILDREN + column);
      if (child) part = sumUpNode(state, visitor, child, ref, chunk, level - 1);
      visitor.derived(ref, layout.NODE_START + column, part.start);
      visitor.derived(ref, layout.NODE_MAX + column, part.max);
      visitor.derived(ref, layout.NODE_END + column, part.end);
    } else {
      const data = state.at + ref + layout.LEAF_DATA + slot * layout.DATA_BYTES;
      visitor.chunk(ref, bit, chunk, data);
      const isMapped = state.get(ref + layout.NODE_SHAPE) & bit;
      const packed = isMapped ? state.engine.summarize(data) : 0;
      const { start, max, end } = unpack(packed);
      const candidates = isMapped && state.get(ref + layout.NODE_CANDIDATES) & bit;
      part = { start, max, end, candidates };
      visitor.derived(ref, layout.LEAF_SUMS + column, packed);
    }
    if (part.candidates) whole.candidates |= bit;
    if (whole.start === slot * pages) whole.start += part.start;
    whole.max = Math.max(whole.max, part.max, whole.end + part.start);
    whole.end = part.start === pages ? whole.end + pages : part.end;
  }
  visitor.derived(ref, layout.NODE_CANDIDATES, whole.candidates);
  return whole;
}
