// Calls on a whole heap: fragmented, of 4 GiB, page by page.
import { randomBelow, shuffled } from "../random.mjs";

const PAGE = 8192;
const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE;
const CHUNKS = 1024;
const ALL = ["BigInt", "ts", "wasm"];

const sizeName = (chunks) => `${chunks.toLocaleString("en")} chunks`;

/** Returns which blocks of n pages are free at the start, and which are to be freed, one after another. */
function fragments(n) {
  const blocks = (CHUNKS * CHUNK_PAGES) / n;
  const order = shuffled(blocks, n);
  const free = order.subarray(0, blocks / 4);
  const live = order.subarray(blocks / 4);
  // Allocs take the lowest blocks, so the free ones move upward. A run ends before that matters.
  const most = Math.min(4096, free.length / 4);
  const below = randomBelow(n + 1);
  const victims = Uint32Array.from({ length: most }, () => below(live.length));
  return { free, live, victims, most };
}

/** alloc(n), then free of a random block. The heap is full of n-page blocks; a random quarter of them is free. */
function allocFreeRandom(n) {
  const { free, live, victims, most } = fragments(n);
  return {
    name: "alloc + free of a random block, from a fresh start",
    input: `${CHUNKS.toLocaleString("en")} chunks, a quarter free, npages ${n}`,
    columns: ALL,
    create: ({ PageAlloc }) => {
      const snapshot = fragmented(PageAlloc, n, free).snapshot();
      const bases = Float64Array.from(live, (block) => block * n * PAGE);
      let held;
      let heap;
      return {
        most,
        check: most,
        prepare() {
          heap?.dispose?.();
          heap = PageAlloc.restore(snapshot);
          held = bases.slice();
        },
        run(operations) {
          let sum = 0;
          for (let i = 0; i < operations; i++) {
            const base = heap.alloc(n);
            const victim = victims[i];
            heap.free(held[victim], n);
            held[victim] = base;
            sum += base / PAGE;
          }
          return sum;
        },
      };
    },
    native: nativeRandom(n),
  };
}

/** What to ask of the C program in these cases, and in those of batches: it has no calls to save. */
const nativeRandom = (n) => {
  const { free, live, victims, most } = fragments(n);
  return {
    args: ["random", most],
    input: () => Uint32Array.from([CHUNKS, n, free.length, live.length, most, ...free, ...live, ...victims]),
  };
};

/** How many numbers an operation of a batch takes, and how many its result. */
const OP_NUMBERS = 4;
const RESULT_NUMBERS = 2;

/** Returns the operations of allocFreeRandom as a batch. To free a block of its own, it names the alloc's number. */
function randomBatch(Op, n) {
  const { live, victims, most } = fragments(n);
  const allocatedBy = new Map();
  const ops = new Float64Array(2 * most * OP_NUMBERS);
  for (let i = 0; i < most; i++) {
    const victim = victims[i];
    const earlier = allocatedBy.get(victim);
    const freed =
      earlier === undefined ? [Op.free, n, live[victim] * n * PAGE, 0] : [Op.freeResult, n, earlier, 0];
    ops.set([Op.alloc, n, -1, 0, ...freed], 2 * i * OP_NUMBERS);
    allocatedBy.set(victim, 2 * i);
  }
  return ops;
}

/** The same as allocFreeRandom, in one call. */
const allocFreeBatch = (n) => ({
  name: "alloc + free of a random block, from a fresh start, in a batch",
  input: `${CHUNKS.toLocaleString("en")} chunks, a quarter free, npages ${n}`,
  columns: ["ts", "wasm"],
  create: ({ PageAlloc, Op }) => {
    const { free, most } = fragments(n);
    const snapshot = fragmented(PageAlloc, n, free).snapshot();
    const ops = randomBatch(Op, n);
    const results = new Float64Array(2 * most * RESULT_NUMBERS);
    let heap;
    return {
      most,
      check: most,
      prepare() {
        heap?.dispose?.();
        heap = PageAlloc.restore(snapshot);
      },
      run(operations) {
        heap.run(ops.subarray(0, 2 * operations * OP_NUMBERS), results);
        let sum = 0;
        for (let i = 0; i < operations; i++) sum += results[2 * i * RESULT_NUMBERS] / PAGE;
        return sum;
      },
    };
  },
  native: nativeRandom(n),
});

/** alloc(n) and free of the same block, over and over. */
export const pairsOn = (heap, n) => (operations) => {
  let sum = 0;
  for (let i = 0; i < operations; i++) {
    const base = heap.alloc(n);
    heap.free(base, n);
    sum += base / PAGE;
  }
  return sum;
};

/** alloc(n), then free of the same block: the cost of the lowest free place. */
function allocFreeSame(n) {
  const { free } = fragments(n);
  return {
    name: "alloc + free of the same block",
    input: `${CHUNKS.toLocaleString("en")} chunks, a quarter free, npages ${n}`,
    columns: ALL,
    create: ({ PageAlloc }) => {
      return { run: pairsOn(fragmented(PageAlloc, n, free), n) };
    },
    native: nativeFragmented("same", n),
  };
}

/** What to ask of the C program when no blocks are to be freed. */
function nativeFragmented(name, n) {
  const { free } = fragments(n);
  return { args: [name, 1], input: () => Uint32Array.from([CHUNKS, n, free.length, 0, 0, ...free]) };
}

/** Returns a heap full of n-page blocks, except for those in `free`. */
export function fragmented(PageAlloc, n, free, options) {
  const heap = new PageAlloc(options);
  heap.grow(0, CHUNKS * CHUNK_BYTES);
  heap.allocRange(0, CHUNKS * CHUNK_PAGES);
  for (const block of free) heap.free(block * n * PAGE, n);
  return heap;
}

/** scavenge(1), one page after another from the top. */
const scavengePages = {
  name: "scavenge(1), page after page",
  input: sizeName(CHUNKS),
  columns: ALL,
  create: ({ PageAlloc }) => {
    const heap = new PageAlloc({ physHugePageSize: 0 });
    heap.grow(0, CHUNKS * CHUNK_BYTES);
    return {
      most: CHUNKS * CHUNK_PAGES,
      prepare() {
        heap.allocRange(0, CHUNKS * CHUNK_PAGES);
        heap.free(0, CHUNKS * CHUNK_PAGES);
        heap.resetScavengeAddr();
      },
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) sum += heap.scavenge(1);
        return sum;
      },
    };
  },
  native: { args: ["scavenge", CHUNKS] },
};

/** allocToCache and flush, over and over. */
export const cachesOn = (heap) => (operations) => {
  let sum = 0;
  for (let i = 0; i < operations; i++) {
    const cache = heap.allocToCache();
    sum += cache.base / PAGE;
    cache.flush();
  }
  return sum;
};

const caches = {
  name: "allocToCache + flush",
  input: `${sizeName(CHUNKS)}, a quarter free, npages 1`,
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => {
    const heap = fragmented(PageAlloc, 1, fragments(1).free);
    return { run: cachesOn(heap) };
  },
  native: nativeFragmented("cache", 1),
};

const cacheAlloc = {
  name: "PageCache.alloc, all 64 pages of a cache",
  input: "npages 1",
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => {
    const heap = new PageAlloc();
    heap.grow(0, CHUNK_BYTES);
    return {
      unitsPerOperation: 64,
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) {
          const cache = heap.allocToCache();
          for (let page = 0; page < 64; page++) sum += cache.alloc(1) / PAGE;
          cache.flush();
          heap.free(0, 64);
        }
        return sum;
      },
    };
  },
  native: { args: ["cacheAlloc", 1] },
};

const stats = {
  name: "stats",
  input: `${sizeName(CHUNKS)}, a quarter free, npages 1`,
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => {
    const heap = fragmented(PageAlloc, 1, fragments(1).free);
    return {
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) sum += heap.stats().inUse / PAGE;
        return sum;
      },
    };
  },
};

const snapshots = {
  name: "snapshot + restore",
  input: sizeName(CHUNKS),
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => {
    const heap = fragmented(PageAlloc, 1, fragments(1).free);
    return {
      run(operations) {
        for (let i = 0; i < operations; i++) PageAlloc.restore(heap.snapshot()).dispose();
        return operations;
      },
    };
  },
};

/** Returns the cases on whole heaps. */
export const heapCases = () =>
  [
    ...[1, 2, 16, 64, 512].map(allocFreeRandom),
    ...[1, 512].map(allocFreeBatch),
    ...[1, 512].map(allocFreeSame),
    scavengePages,
    caches,
    cacheAlloc,
    stats,
    snapshots,
  ].map((each) => ({ ...each, group: "heap calls" }));
