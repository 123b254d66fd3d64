// The scavenger's walk: which chunk below has a candidate. Every node has a bit for each of its parts that may hold one;
// a node's bit in its parent is set just when one of its own is. So finding the next chunk downward costs a look at each
// level of the tree, whatever the size of the heap. A set bit may be wrong, a clear one is right: bits are set when pages
// are freed, and cleared when a look under the lock finds nothing.
//
// The walk takes no lock. Nodes are never moved or freed but by `recover`, so what it reads is a node, if perhaps an old one
// or one that is being changed: then it gives a chunk that has no candidate, or misses one that was freed meanwhile. Where
// what it reads cannot be, it gives up, as at the bottom: who walks has to do so again with the lock before that counts.

import * as layout from "../src/engine/layout";
import { levelOf, slotOf } from "./tree";

/** Says that `chunk`, one of the leaf's, may have a candidate. */
// @ts-ignore: decorator
@inline
export function markCandidate(heap: usize, leaf: usize, chunk: u32): void {
  let node = leaf;
  for (let shift: u32 = 0; ; shift += layout.FANOUT_SHIFT) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    store<u32>(node, marks | (1 << ((chunk >> shift) & (layout.FANOUT - 1))), layout.NODE_CANDIDATES);
    const parent = load<u32>(node, layout.NODE_PARENT);
    if (marks || !parent) break;
    node = heap + parent;
  }
}

/** Whether `chunk`, one of the leaf's, may have a candidate. */
export function isMarked(leaf: usize, chunk: u32): bool {
  return ((load<u32>(leaf, layout.NODE_CANDIDATES) >> (chunk & (layout.FANOUT - 1))) & 1) != 0;
}

/** The highest chunk at or below `chunk`, which the tree covers, that may have a candidate; -1 when there is none. */
export function walk(heap: usize, chunk: u32): i32 {
  let node = heap + load<u32>(heap, layout.HEADER_ROOT);
  let level = levelOf(node);
  let turn: usize = 0;
  let turnMarks: u32 = 0;
  for (;;) {
    const marks = load<u32>(node, layout.NODE_CANDIDATES);
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    if (below) {
      turn = node;
      turnMarks = below;
    }
    if (!((marks >> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(heap, turn, turnMarks) : -1;
}

/** The highest chunk that may have a candidate under the parts `marks` of `node`; -1 where the tree is being changed. */
function highest(heap: usize, node: usize, marks: u32): i32 {
  for (let level = levelOf(node); level; level--) {
    node = seenBelow(heap, node, 31 - <u32>clz(marks));
    if (!node) return -1;
    marks = load<u32>(node, layout.NODE_CANDIDATES);
    if (!marks) return -1;
  }
  return load<u32>(node, layout.NODE_FIRST) + 31 - <i32>clz(marks);
}

/** The node under part `slot`, as it is seen without the lock; 0 where no ref of a piece is seen. */
function seenBelow(heap: usize, node: usize, slot: u32): usize {
  const ref = load<u32>(node + (slot << 2), layout.NODE_CHILDREN);
  return ref && ref < load<u32>(heap, layout.HEADER_USED) ? heap + ref : 0;
}
