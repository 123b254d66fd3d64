// A peer of heap and arena: the allocator with two levels of bins, as in OffsetAllocator by Sebastian Aaltonen
// (https://github.com/sebbbi/OffsetAllocator), written anew from its idea. Games use it for buffers of a GPU.
//
// Free ranges lie in bins by their size. A bin stands for a float with 5 bits of exponent and 3 bits of mantissa, so
// the sizes of one bin differ by an eighth at most. Two levels of bitmaps say which bins have a range. An alloc takes
// any range of the first bin whose ranges are all long enough, and leaves what is too much as a range of its own. A
// free merges the range with its neighbours, if they are free. Both take constant time, whatever is live. Nothing is
// ordered by address, so a block lies wherever the latest range of its bin was.

import { firstListFor, listOf, lowestBit } from "./size-lists.mjs";

const MANTISSA_BITS = 3;
/** Bins of one exponent, and the 1-bits to mask them. */
const LEAVES = 1 << MANTISSA_BITS;
const LEAF_MASK = LEAVES - 1;
/** Exponents. */
const GROUPS = 32;

/** No node, or no bin. */
const NONE = -1;
/** Takes the place of a node's BIN_PREV while the range is in use. */
const IN_USE = -2;

// A node is a range, free or in use: so many words of `nodes`. Its number, of the first word, is what `alloc` returns.
const OFFSET = 0;
const SIZE = 1;
/** The ranges next to it, by address. */
const LEFT = 2;
const RIGHT = 3;
/** The list of its bin, or with BIN_NEXT alone that of nodes without a range. */
const BIN_PREV = 4;
const BIN_NEXT = 5;
const NODE_WORDS = 6;

/** An allocator of ranges of `size` units, below 2**31. It knows at most `maxNodes` ranges, live ones and free ones. */
export class TwoLevelBins {
  #nodes;
  /** The first node of each bin's list. */
  #heads = new Int32Array(GROUPS * LEAVES).fill(NONE);
  /** Which bins of a group have a range, and which groups do. */
  #leaves = new Uint8Array(GROUPS);
  #groups = 0;
  /** The first node without a range, and the first that has never had one. */
  #spare = NONE;
  #fresh = 0;

  constructor(size, maxNodes) {
    this.#nodes = new Int32Array(maxNodes * NODE_WORDS);
    this.#putFree(this.#newNode(), 0, size, NONE, NONE);
  }

  /** Bytes of all arrays. */
  get metadata() {
    return this.#nodes.byteLength + this.#heads.byteLength + this.#leaves.byteLength;
  }

  /** Takes `size` units, 1 or more. Returns the node of the block, for `offset` and `free`; -1 if there is no room. */
  alloc(size) {
    const least = firstListFor(size, MANTISSA_BITS);
    let group = least >>> MANTISSA_BITS;
    let leaves = this.#leaves[group] & (-1 << (least & LEAF_MASK));
    if (!leaves) {
      const groups = this.#groups & (-2 << group);
      if (!groups) return NONE;
      group = lowestBit(groups);
      leaves = this.#leaves[group];
    }
    const bin = (group << MANTISSA_BITS) + lowestBit(leaves);
    const nodes = this.#nodes;
    const node = this.#heads[bin];
    const rest = nodes[node + SIZE] - size;
    const spare = rest ? this.#newNode() : NONE;
    if (rest && spare === NONE) return NONE;
    this.#leaveBin(node, bin);
    nodes[node + BIN_PREV] = IN_USE;
    if (rest) {
      const right = nodes[node + RIGHT];
      nodes[node + SIZE] = size;
      nodes[node + RIGHT] = spare;
      if (right !== NONE) nodes[right + LEFT] = spare;
      this.#putFree(spare, nodes[node + OFFSET] + size, rest, node, right);
    }
    return node;
  }

  /** Returns where a block begins. */
  offset(node) {
    return this.#nodes[node + OFFSET];
  }

  /** Frees a block, by its node. */
  free(node) {
    const nodes = this.#nodes;
    if (nodes[node + BIN_PREV] !== IN_USE) throw new RangeError(`no block has node ${node}`);
    let offset = nodes[node + OFFSET];
    let size = nodes[node + SIZE];
    let left = nodes[node + LEFT];
    let right = nodes[node + RIGHT];
    if (left !== NONE && nodes[left + BIN_PREV] !== IN_USE) {
      offset = nodes[left + OFFSET];
      size += nodes[left + SIZE];
      left = this.#forget(left, LEFT);
      if (left !== NONE) nodes[left + RIGHT] = node;
    }
    if (right !== NONE && nodes[right + BIN_PREV] !== IN_USE) {
      size += nodes[right + SIZE];
      right = this.#forget(right, RIGHT);
      if (right !== NONE) nodes[right + LEFT] = node;
    }
    this.#putFree(node, offset, size, left, right);
  }

  /** Makes a free range of a node, and puts it first into its bin. */
  #putFree(node, offset, size, left, right) {
    const nodes = this.#nodes;
    const bin = listOf(size, MANTISSA_BITS);
    const next = this.#heads[bin];
    nodes[node + OFFSET] = offset;
    nodes[node + SIZE] = size;
    nodes[node + LEFT] = left;
    nodes[node + RIGHT] = right;
    nodes[node + BIN_PREV] = NONE;
    nodes[node + BIN_NEXT] = next;
    if (next !== NONE) nodes[next + BIN_PREV] = node;
    else {
      this.#leaves[bin >>> MANTISSA_BITS] |= 1 << (bin & LEAF_MASK);
      this.#groups |= 1 << (bin >>> MANTISSA_BITS);
    }
    this.#heads[bin] = node;
  }

  /** Takes the node of a free range out of its bin. */
  #leaveBin(node, bin) {
    const nodes = this.#nodes;
    const prev = nodes[node + BIN_PREV];
    const next = nodes[node + BIN_NEXT];
    if (next !== NONE) nodes[next + BIN_PREV] = prev;
    if (prev !== NONE) {
      nodes[prev + BIN_NEXT] = next;
      return;
    }
    this.#heads[bin] = next;
    if (next !== NONE) return;
    const group = bin >>> MANTISSA_BITS;
    this.#leaves[group] &= ~(1 << (bin & LEAF_MASK));
    if (!this.#leaves[group]) this.#groups &= ~(1 << group);
  }

  /** Takes a free range out of its bin, as it merges with the next one. Returns its neighbour on the other side. */
  #forget(node, side) {
    const nodes = this.#nodes;
    const beyond = nodes[node + side];
    this.#leaveBin(node, listOf(nodes[node + SIZE], MANTISSA_BITS));
    nodes[node + BIN_NEXT] = this.#spare;
    this.#spare = node;
    return beyond;
  }

  /** Returns a node without a range; NONE if there are no more. */
  #newNode() {
    const node = this.#spare;
    if (node !== NONE) {
      this.#spare = this.#nodes[node + BIN_NEXT];
      return node;
    }
    if (this.#fresh === this.#nodes.length) return NONE;
    this.#fresh += NODE_WORDS;
    return this.#fresh - NODE_WORDS;
  }
}
