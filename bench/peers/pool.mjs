// A peer of the heap: `MemPool` of @thi.ng/malloc, with the calls of the other peers. Its free list is in order of
// address, so it is first fit by address and merges free neighbours. Both lists are walked from their start: that of
// free blocks to allocate and to free, and that of live blocks to free.
import { MemPool } from "@thi.ng/malloc";

/** Bytes that stand for a unit: the pool's header before a block must fit. */
const UNIT = 16;
const HEADER = 8;
/** Where the first block begins, after the pool's state. */
const FIRST = 32 + HEADER;

/** An allocator of blocks in `size` units. */
export class Pool {
  #pool;

  constructor(size) {
    this.#pool = new MemPool({ size: FIRST - HEADER + size * UNIT });
  }

  /** Takes `size` units, 1 or more. Returns the block, for `offset` and `free`; -1 if there is no room. */
  alloc(size) {
    return this.#pool.malloc(size * UNIT - HEADER) || -1;
  }

  /** Returns where a block begins. */
  offset(block) {
    return (block - FIRST) / UNIT;
  }

  /** Frees a block. */
  free(block) {
    if (!this.#pool.free(block)) throw new RangeError(`no block begins at ${block}`);
  }
}
