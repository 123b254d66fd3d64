// The allocators that the benchmark of the arena compares. Each is a class with the same methods:
//
// - `alloc(nbytes)`: returns the block, a number; negative when there is no room
// - `offset(block)`: where it begins, in bytes
// - `free(block, nbytes)`: `nbytes` is for those that do not know it themselves
// - `overhead(requested)`: bytes of bookkeeping and of rounding, when blocks of `requested` bytes are live
//
// A column runs in a worker of its own, so these calls have one target each, and compilers can inline them.
import { MemPool } from "@thi.ng/malloc";
import { TwoLevelBins } from "../peers/two-level-bins.mjs";

/** Returns the class of an arena on an engine. Its memory is a buffer, as users have it. */
function arenaOn(Arena, PageAlloc) {
  return class {
    #arena;
    constructor({ nbytes, unit }) {
      this.#arena = new Arena(PageAlloc, new ArrayBuffer(nbytes), { unit });
    }
    alloc(nbytes) {
      return this.#arena.alloc(nbytes);
    }
    offset(block) {
      return block;
    }
    free(block) {
      this.#arena.free(block);
    }
    overhead(requested) {
      const { metadata, inUse } = this.#arena.stats();
      return { bookkeeping: metadata, rounding: inUse - requested };
    }
  };
}

/** Returns the class of a heap without an arena: the caller keeps the sizes. */
function heapOn(PageAlloc) {
  return class {
    #heap;
    #unit;
    constructor({ nbytes, unit }) {
      this.#heap = new PageAlloc({ pageSize: unit });
      this.#heap.grow(0, nbytes);
      this.#unit = unit;
    }
    alloc(nbytes) {
      return this.#heap.alloc(Math.ceil(nbytes / this.#unit));
    }
    offset(block) {
      return block;
    }
    free(block, nbytes) {
      this.#heap.free(block, Math.ceil(nbytes / this.#unit));
    }
    overhead(requested) {
      const { metadata, inUse } = this.#heap.stats();
      return { bookkeeping: metadata, rounding: inUse - requested };
    }
  };
}

/** Two-level bins in units of one byte, with just as many nodes as can be needed: a free range lies beside a block. */
class Bins {
  #bins;
  constructor({ nbytes, live }) {
    this.#bins = new TwoLevelBins(nbytes, 2 * live + 1);
  }
  alloc(nbytes) {
    return this.#bins.alloc(nbytes);
  }
  offset(block) {
    return this.#bins.offset(block);
  }
  free(block) {
    this.#bins.free(block);
  }
  overhead() {
    return { bookkeeping: this.#bins.metadata, rounding: 0 };
  }
}

/** Bytes of a MemPool's state, and of the header before each block. */
const POOL_STATE = 28;
const POOL_HEADER = 8;

class Pool {
  #pool;
  constructor({ nbytes }) {
    this.#pool = new MemPool({ size: nbytes });
  }
  alloc(nbytes) {
    return this.#pool.malloc(nbytes) || -1;
  }
  offset(block) {
    return block;
  }
  free(block) {
    if (!this.#pool.free(block)) throw new Error(`@thi.ng/malloc does not know block ${block}`);
  }
  overhead(requested) {
    const { used } = this.#pool.stats();
    const headers = used.count * POOL_HEADER;
    return { bookkeeping: POOL_STATE + headers, rounding: used.size - headers - requested };
  }
}

const built = (file) => import(new URL(`../../dist/${file}`, import.meta.url));
const arena = async (engine) => arenaOn((await built("arena.js")).Arena, (await built(engine)).PageAlloc);
const heap = async (engine) => heapOn((await built(engine)).PageAlloc);

/** The name of each column, and a function that returns its class. */
export const COLUMNS = {
  "arena, wasm": () => arena("index.js"),
  "arena, ts": () => arena("ts.js"),
  "heap, wasm": () => heap("index.js"),
  "heap, ts": () => heap("ts.js"),
  "two-level bins": async () => Bins,
  "@thi.ng/malloc": async () => Pool,
};
