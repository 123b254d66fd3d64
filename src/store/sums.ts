// What the parts of a heap sum up to, computed from the bits upward, in JavaScript: for whoever checks or rebuilds what
// the engines keep.

import * as layout from "../engine/layout.ts";
import type { State } from "./state.ts";

/** Free pages at the start of a span of pages, in its longest free run, and at its end. */
export interface PallocSum {
  start: number;
  max: number;
  end: number;
}

/** A summary as the engines pack it. */
function pack({ start, max, end }: PallocSum): number {
  return start | (max << layout.SUM_BITS) | (end << (2 * layout.SUM_BITS));
}

/** A packed summary as an object. */
export function unpack(sum: number): PallocSum {
  return {
    start: sum & layout.SUM_MASK,
    max: (sum >>> layout.SUM_BITS) & layout.SUM_MASK,
    end: sum >>> (2 * layout.SUM_BITS),
  };
}

/** What a node or chunk says of its pages. */
interface Sum extends PallocSum {
  /** Not 0 when it may have a scavenge candidate. */
  candidates: number;
}

/** What a part says when there is nothing in it. */
const NOTHING: Sum = { start: 0, max: 0, end: 0, candidates: 0 };

/** What is done on the way through a tree. */
export interface Visitor {
  /** Comes to a node before it is read. Throws unless it is what the node above says, so that no way is endless. */
  node(ref: number, parent: number, first: number, level: number): void;
  /**
   * Comes to a chunk, mapped or not, before it is read: its bit in the leaf's fields, and where its bitmaps are in
   * memory.
   */
  chunk(leaf: number, bit: number, chunk: number, data: number): void;
  /** Comes to a field of a node whose value follows from what is below it. */
  derived(ref: number, field: number, value: number): void;
}

/** Goes through a heap's tree from its root down, and sums it up from the bits upward. */
export function sumUp(state: State, visitor: Visitor): void {
  const root = state.get(layout.HEADER_ROOT);
  if (!root) return;
  const level = Math.min(state.get(root + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT, layout.LEVELS - 1);
  const first = state.get(root + layout.NODE_FIRST);
  sumUpNode(state, visitor, root, 0, first - (first % layout.FANOUT ** (level + 1)), level);
}

/** The same from a node down. */
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
  const whole = { ...NOTHING };
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
      if (state.get(ref + layout.NODE_SHAPE) & bit) {
        const candidates = state.get(ref + layout.NODE_CANDIDATES) & bit;
        part = { ...unpack(state.engine.summarize(data)), candidates };
      }
      visitor.derived(ref, layout.LEAF_SUMS + column, pack(part));
    }
    if (part.candidates) whole.candidates |= bit;
    if (whole.start === slot * pages) whole.start += part.start;
    whole.max = Math.max(whole.max, part.max, whole.end + part.start);
    whole.end = part.start === pages ? whole.end + pages : part.end;
  }
  visitor.derived(ref, layout.NODE_CANDIDATES, whole.candidates);
  return whole;
}
