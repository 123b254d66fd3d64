// A peer of the heap: TLSF, "two-level segregated fit", by M. Masmano, I. Ripoll, A. Crespo and J. Real ("TLSF: A New
// Dynamic Memory Allocator for Real-Time Systems", 2004), written anew from the paper.
//
// Free blocks lie in lists by their size. The first level has a class for each power of two. The second cuts each class
// into 32 equal parts. Bitmaps of both levels say which lists have a block. An alloc takes a block of the first list
// whose blocks are all long enough: a good fit, not the best. It leaves what is too much as a block of its own. A free
// merges the block with its physical neighbours at once, if they are free. Boundary tags find them: the block above
// begins where this one ends, and a block's node names the one below. Both calls take constant time, whatever is live.
// Nothing is ordered by address.
//
// In the paper a block's node is the header before it. Here it is outside of the memory: each unit has room for the
// node of a block that begins there. So an address is all that names a block. Two-level bins have a node for each range
// instead, and eight lists of a class.

import { firstListFor, listOf, lowestBit } from "./size-lists.mjs";

/** Lists of a class, as a power of two. */
const SECOND_BITS = 5;
const LISTS = 1 << SECOND_BITS;
const LIST_MASK = LISTS - 1;
const CLASSES = 32 - SECOND_BITS;

/** No block. */
const NONE = -1;
/** Takes the place of a block's PREV while it is in use. */
const IN_USE = -2;

// A node: four words of `nodes`, from four times the block's address on.
const SIZE = 0;
/** The block that ends where this one begins. */
const BELOW = 1;
/** The list of its size. */
const PREV = 2;
const NEXT = 3;
const NODE_SHIFT = 2;

/** An allocator of blocks in `size` units, below 2**26. */
export class Tlsf {
  #size;
  #nodes;
  /** The first block of each list. */
  #heads = new Int32Array(CLASSES * LISTS).fill(NONE);
  /** Which lists of a class have a block, and which classes do. */
  #lists = new Int32Array(CLASSES);
  #classes = 0;

  constructor(size) {
    this.#size = size;
    this.#nodes = new Int32Array(size << NODE_SHIFT);
    this.#putFree(0, size, NONE);
  }

  /** Takes `size` units, 1 or more. Returns where the block begins; -1 if there is no room. */
  alloc(size) {
    const least = firstListFor(size, SECOND_BITS);
    let group = least >>> SECOND_BITS;
    let lists = this.#lists[group] & (-1 << (least & LIST_MASK));
    if (!lists) {
      const classes = this.#classes & (-2 << group);
      if (!classes) return NONE;
      group = lowestBit(classes);
      lists = this.#lists[group];
    }
    const nodes = this.#nodes;
    const list = (group << SECOND_BITS) + lowestBit(lists);
    const block = this.#heads[list];
    const node = block << NODE_SHIFT;
    const whole = nodes[node + SIZE];
    this.#leaveList(node, list);
    nodes[node + SIZE] = size;
    nodes[node + PREV] = IN_USE;
    if (whole > size) {
      this.#noteBelow(block + whole, block + size);
      this.#putFree(block + size, whole - size, block);
    }
    return block;
  }

  /** Returns where a block begins, which is what names it. */
  offset(block) {
    return block;
  }

  /** Frees a block, by its address. */
  free(block) {
    const nodes = this.#nodes;
    const node = block << NODE_SHIFT;
    if (nodes[node + PREV] !== IN_USE) throw new RangeError(`no block begins at ${block}`);
    let first = block;
    let size = nodes[node + SIZE];
    let below = nodes[node + BELOW];
    const above = block + size;
    if (above < this.#size && nodes[(above << NODE_SHIFT) + PREV] !== IN_USE) size += this.#merge(above);
    if (below !== NONE && nodes[(below << NODE_SHIFT) + PREV] !== IN_USE) {
      size += this.#merge(below);
      nodes[node + PREV] = NONE;
      first = below;
      below = nodes[(below << NODE_SHIFT) + BELOW];
    }
    this.#noteBelow(first + size, first);
    this.#putFree(first, size, below);
  }

  /** Notes which block ends at an address, if another begins there. */
  #noteBelow(block, below) {
    if (block < this.#size) this.#nodes[(block << NODE_SHIFT) + BELOW] = below;
  }

  /** Makes a free block, and puts it first into its list. */
  #putFree(block, size, below) {
    const nodes = this.#nodes;
    const node = block << NODE_SHIFT;
    const list = listOf(size, SECOND_BITS);
    const next = this.#heads[list];
    nodes[node + SIZE] = size;
    nodes[node + BELOW] = below;
    nodes[node + PREV] = NONE;
    nodes[node + NEXT] = next;
    if (next !== NONE) nodes[(next << NODE_SHIFT) + PREV] = block;
    else {
      this.#lists[list >>> SECOND_BITS] |= 1 << (list & LIST_MASK);
      this.#classes |= 1 << (list >>> SECOND_BITS);
    }
    this.#heads[list] = block;
  }

  /** Takes a free block out of its list, by its node. */
  #leaveList(node, list) {
    const nodes = this.#nodes;
    const prev = nodes[node + PREV];
    const next = nodes[node + NEXT];
    if (next !== NONE) nodes[(next << NODE_SHIFT) + PREV] = prev;
    if (prev !== NONE) {
      nodes[(prev << NODE_SHIFT) + NEXT] = next;
      return;
    }
    this.#heads[list] = next;
    if (next !== NONE) return;
    const group = list >>> SECOND_BITS;
    this.#lists[group] &= ~(1 << (list & LIST_MASK));
    if (!this.#lists[group]) this.#classes &= ~(1 << group);
  }

  /** Takes a free block out of its list, as it merges with a neighbour. Returns its size. */
  #merge(block) {
    const node = block << NODE_SHIFT;
    const size = this.#nodes[node + SIZE];
    this.#leaveList(node, listOf(size, SECOND_BITS));
    return size;
  }
}
