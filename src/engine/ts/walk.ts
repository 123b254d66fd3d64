// The scavenger's walk: which chunk below has a candidate. Every node has a bit for each of its parts that may hold one;
// a node's bit in its parent is set just when one of its own is. So finding the next chunk downward costs a look at each
// level of the tree, whatever the size of the heap. A set bit may be wrong, a clear one is right: bits are set when pages
// are freed, and cleared when a look under the lock finds nothing.
//
// The walk takes no lock. Nodes are never moved or freed but by `recover`, so what it reads is a node, if perhaps an old one
// or one that is being changed: then it gives a chunk that has no candidate, or misses one that was freed meanwhile. Where
// what it reads cannot be, it gives up, as at the bottom: who walks has to do so again with the lock before that counts.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { levelOf, slotOf } from "./tree.ts";

/** Whether `chunk`, one of the leaf's, may have a candidate. */
export function isMarked({ i32 }: Memory, leaf: number, chunk: number): boolean {
  return ((i32[(leaf + layout.NODE_CANDIDATES) >>> 2] >>> (chunk & (layout.FANOUT - 1))) & 1) !== 0;
}

/** The highest chunk at or below `chunk`, which the tree covers, that may have a candidate; -1 when there is none. */
export function walk(memory: Memory, heap: number, chunk: number): number {
  const { i32 } = memory;
  let node = heap + i32[(heap + layout.HEADER_ROOT) >>> 2];
  let level = levelOf(memory, node);
  let turn = 0;
  let turnMarks = 0;
  for (;;) {
    const marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    const slot = slotOf(chunk, level);
    const below = marks & ((1 << slot) - 1);
    if (below) {
      turn = node;
      turnMarks = below;
    }
    if (!((marks >>> slot) & 1)) break;
    if (!level) return chunk;
    node = seenBelow(memory, heap, node, slot);
    if (!node) return -1;
    level--;
  }
  return turn ? highest(memory, heap, turn, turnMarks) : -1;
}

/** The highest chunk that may have a candidate under the parts `marks` of `node`; -1 where the tree is being changed. */
function highest(memory: Memory, heap: number, node: number, marks: number): number {
  const { i32 } = memory;
  for (let level = levelOf(memory, node); level; level--) {
    node = seenBelow(memory, heap, node, 31 - Math.clz32(marks));
    if (!node) return -1;
    marks = i32[(node + layout.NODE_CANDIDATES) >>> 2];
    if (!marks) return -1;
  }
  return i32[(node + layout.NODE_FIRST) >>> 2] + 31 - Math.clz32(marks);
}

/** The node under part `slot`, as it is seen without the lock; 0 where no ref of a piece is seen. */
function seenBelow({ i32 }: Memory, heap: number, node: number, slot: number): number {
  const ref = i32[((node + layout.NODE_CHILDREN) >>> 2) + slot] >>> 0;
  return ref && ref < i32[(heap + layout.HEADER_USED) >>> 2] >>> 0 ? heap + ref : 0;
}
