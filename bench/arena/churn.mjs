// The load of the arena's benchmark: a number of live blocks; a random one is freed, and one of another size is
// allocated. All columns get the same sizes in the same order.
import { randomBelow, randomBits } from "../random.mjs";

/** The sizes of blocks in bytes. Each doubling has as many blocks as the next: the logarithm is uniform. */
export const LEAST_BYTES = 16;
export const MOST_BYTES = 65536;
const MEAN_BYTES = (MOST_BYTES - LEAST_BYTES) / Math.log(MOST_BYTES / LEAST_BYTES);

/** How many times the live bytes the memory has. */
export const ROOM = 2;

/** Inputs that timed runs repeat, a power of two: more than any cache holds, and cheaper to read than to make. */
const INPUTS = 2 ** 20;

/** The memory is a multiple of this, which is whole chunks of the heap, whatever the unit. */
const MEMORY_STEP = 2 ** 19;

/** Returns the bytes of the memory for so many live blocks. */
export const memoryFor = (live) => Math.ceil((ROOM * live * MEAN_BYTES) / MEMORY_STEP) * MEMORY_STEP;

/** Returns a function that returns the next random size. */
function randomSize(seed) {
  const bits = randomBits(seed);
  const ratio = MOST_BYTES / LEAST_BYTES;
  return () => Math.floor(LEAST_BYTES * ratio ** (bits() / 2 ** 32));
}

/** Live blocks of one allocator. */
export class Churn {
  #allocator;
  #blocks;
  #sizes;
  #nextSize = randomSize(1);
  #nextVictim = randomBelow(2);
  /** Bytes that were asked for, of all live blocks. */
  requested = 0;
  /** The most that they were, and the end of the highest block that there ever was. */
  mostRequested = 0;
  highest = 0;

  constructor(allocator, live) {
    this.#allocator = allocator;
    this.#blocks = new Float64Array(live);
    this.#sizes = new Int32Array(live);
    for (let i = 0; i < live; i++) this.#fill(i);
  }

  /** Puts a new block into a slot. */
  #fill(i) {
    const nbytes = this.#nextSize();
    const block = this.#allocator.alloc(nbytes);
    if (block < 0) throw new Error(`no room for ${nbytes} bytes, with ${this.requested} live`);
    this.#blocks[i] = block;
    this.#sizes[i] = nbytes;
    this.requested += nbytes;
    this.mostRequested = Math.max(this.mostRequested, this.requested);
    this.highest = Math.max(this.highest, this.#allocator.offset(block) + nbytes);
  }

  /** Frees a random block and allocates another, so many times, with inputs that do not repeat. */
  run(pairs) {
    for (let n = 0; n < pairs; n++) {
      const i = this.#nextVictim(this.#blocks.length);
      this.#allocator.free(this.#blocks[i], this.#sizes[i]);
      this.requested -= this.#sizes[i];
      this.#fill(i);
    }
  }

  /** Returns the end of the highest live block. Throws if two live blocks overlap. */
  top() {
    const begins = Float64Array.from(this.#blocks, (block) => this.#allocator.offset(block));
    const order = Uint32Array.from(begins.keys()).sort((one, other) => begins[one] - begins[other]);
    let top = 0;
    for (const i of order) {
      if (begins[i] < top) throw new Error(`the block at ${begins[i]} overlaps the one below it`);
      top = begins[i] + this.#sizes[i];
    }
    return top;
  }

  /** Returns the largest block that there is room for, in bytes. */
  largest(nbytes) {
    let [fits, tooLarge] = [0, nbytes + 1];
    while (tooLarge - fits > 1) {
      const tried = Math.floor((fits + tooLarge) / 2);
      const block = this.#allocator.alloc(tried);
      if (block < 0) tooLarge = tried;
      else {
        this.#allocator.free(block, tried);
        fits = tried;
      }
    }
    return fits;
  }

  /** Returns the pairs as a case to `measure`. The sum counts allocs that failed. */
  task() {
    const live = this.#blocks.length;
    const sizes = Int32Array.from({ length: INPUTS }, this.#nextSize);
    const victims = Int32Array.from({ length: INPUTS }, () => this.#nextVictim(live));
    const [allocator, blocks, held] = [this.#allocator, this.#blocks, this.#sizes];
    let at = 0;
    return {
      run(operations) {
        let failed = 0;
        for (let n = 0; n < operations; n++) {
          const i = victims[at];
          const nbytes = sizes[at];
          at = (at + 1) & (INPUTS - 1);
          allocator.free(blocks[i], held[i]);
          const block = allocator.alloc(nbytes);
          if (block < 0) failed++;
          blocks[i] = block;
          held[i] = nbytes;
        }
        if (failed) throw new Error(`no room for ${failed} of ${operations} blocks`);
        return operations;
      },
    };
  }
}
