// The steady state: programs run on, so each timed run goes on where the one before ended, in all columns alike. After
// a few runs the live blocks lie close together, with a hole here and there that the next alloc takes.
import { randomBelow, shuffled } from "../random.mjs";
import { fragmented } from "./heap.mjs";

const PAGE = 8192;
/** Pages of a chunk, and chunks of the heap. */
export const CHUNK_PAGES = 512;
export const CHUNKS = 1024;
/** The sizes of blocks. */
export const NPAGES = [1, 2, 16, 64, 512];
/** Pairs of a timed run. The BigInt port takes 20 µs a pair, and gets by with fewer. */
export const PAIRS = 400_000;
const PAIRS_BIGINT = 10_000;
/** Pairs whose addresses all columns must agree on. */
export const CHECKED = 40_000;
/** The victims repeat after so many pairs, a power of two. By then their blocks are elsewhere. */
const VICTIMS = 2 ** 19;
/** Pairs of a batch. */
const BATCH = 4096;
/** How many numbers an operation of a batch takes, and how many its result. */
const OP_NUMBERS = 4;
const RESULT_NUMBERS = 2;

/** The kind of an event of a trace that is an alloc. */
const ALLOC = 1;

const about = { group: "steady state" };
/** Returns the input of the cases with blocks of n pages, in words. */
export const inputOf = (n) => `${CHUNKS.toLocaleString("en")} chunks, a quarter free, npages ${n}`;

/** Returns which blocks of n pages are free at the start, which are live, and which are freed, one after another. */
export function blocksOf(n) {
  const blocks = (CHUNKS * CHUNK_PAGES) / n;
  const order = shuffled(blocks, n);
  const below = randomBelow(n + 1);
  const live = order.subarray(blocks / 4);
  const victims = Uint32Array.from({ length: VICTIMS }, () => below(live.length));
  return { free: order.subarray(0, blocks / 4), live, victims };
}

/** What to ask of the C program in each of these cases. */
export const nativeOf = (name, n) => ({
  args: [name, PAIRS, CHECKED],
  input() {
    const { free, live, victims } = blocksOf(n);
    return Uint32Array.from([CHUNKS, n, free.length, live.length, VICTIMS, ...free, ...live, ...victims]);
  },
});

/** Returns a task that allocates, and then frees a random block, over and over. */
function pairsOf(heap, n, { live, victims }, least) {
  const held = Uint32Array.from(live, (block) => block * n);
  let turn = 0;
  return {
    least,
    check: CHECKED,
    run(operations) {
      let sum = 0;
      for (let i = 0; i < operations; i++) {
        const page = heap.alloc(n) / PAGE;
        const victim = victims[turn++ & (VICTIMS - 1)];
        heap.free(held[victim] * PAGE, n);
        held[victim] = page;
        sum += page;
      }
      return sum;
    },
  };
}

/** alloc(n), then free of a random block. */
const sustained = (n) => ({
  ...about,
  name: "alloc + free, sustained",
  input: inputOf(n),
  columns: ["BigInt", "ts", "wasm"],
  create: ({ PageAlloc, isSlow }) => {
    const blocks = blocksOf(n);
    return pairsOf(fragmented(PageAlloc, n, blocks.free), n, blocks, isSlow ? PAIRS_BIGINT : PAIRS);
  },
  native: nativeOf("sustained", n),
});

/** The same on a shared heap that no other worker uses. */
const onShared = (n) => ({
  ...about,
  name: "alloc + free, sustained, on a shared heap",
  input: inputOf(n),
  columns: ["ts", "wasm"],
  create: ({ sharing: { PageAlloc } }) => {
    const blocks = blocksOf(n);
    return pairsOf(fragmented(PageAlloc, n, blocks.free, { shared: true }), n, blocks, PAIRS);
  },
  native: nativeOf("sustained", n),
});

/** The same in batches. Making the operations and reading the results is not timed. */
const inBatches = (n) => ({
  ...about,
  name: "alloc + free, sustained, in batches",
  input: inputOf(n),
  columns: ["ts", "wasm"],
  create: ({ PageAlloc, Op }) => {
    const { free, live, victims } = blocksOf(n);
    const heap = fragmented(PageAlloc, n, free);
    const held = Uint32Array.from(live, (block) => block * n);
    const ops = new Float64Array(2 * BATCH * OP_NUMBERS);
    const results = new Float64Array(2 * BATCH * RESULT_NUMBERS);
    /** The pair that has allocated each block: the last one that freed its victim. */
    const allocatedBy = new Float64Array(live.length).fill(-1);
    let turn = 0;
    let took = 0;
    /** Runs the next `count` pairs. Returns the sum of their pages. */
    const batch = (count) => {
      for (let i = 0, at = 0; i < count; i++, at += 2 * OP_NUMBERS) {
        const victim = victims[(turn + i) & (VICTIMS - 1)];
        const earlier = allocatedBy[victim] - turn;
        ops[at] = Op.alloc;
        ops[at + 1] = n;
        ops[at + 2] = -1;
        ops[at + OP_NUMBERS] = earlier < 0 ? Op.free : Op.freeResult;
        ops[at + OP_NUMBERS + 1] = n;
        ops[at + OP_NUMBERS + 2] = earlier < 0 ? held[victim] * PAGE : 2 * earlier;
        allocatedBy[victim] = turn + i;
      }
      const start = performance.now();
      heap.run(ops.subarray(0, 2 * count * OP_NUMBERS), results);
      took += performance.now() - start;
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const page = results[2 * i * RESULT_NUMBERS] / PAGE;
        held[victims[turn++ & (VICTIMS - 1)]] = page;
        sum += page;
      }
      return sum;
    };
    return {
      least: PAIRS,
      check: CHECKED,
      clock: () => took,
      run(operations) {
        took = 0;
        let sum = 0;
        for (let done = 0; done < operations; done += BATCH) sum += batch(Math.min(BATCH, operations - done));
        return sum;
      },
    };
  },
  native: nativeOf("sustained", n),
});

/** Every so many pairs of a mixed case, a page is scavenged. A power of two. */
const SCAVENGE_EVERY = 16;
/** Part of the pages of a mixed case that is in use. */
const IN_USE = 0.6;

/** Returns sizes of a mixed case, and the blocks that it frees. `traced` has the sizes of the allocs of a trace. */
function mixOf(traced, chunks) {
  const below = randomBelow(chunks);
  const sizes = Uint32Array.from({ length: VICTIMS }, () => traced[below(traced.length)]);
  let live = 0;
  for (let pages = 0; pages < chunks * CHUNK_PAGES * IN_USE; ) pages += sizes[live++ % VICTIMS];
  const victims = Uint32Array.from({ length: VICTIMS }, () => below(live));
  return { sizes, live, victims };
}

/** Go serves requests of fewer pages from a page cache. */
const CACHED_PAGES_LIMIT = 16;

/** Allocates from a page cache, which is refilled if it is empty. Returns -1 when it has no such run. */
function allocCached(cache, npages) {
  const base = cache.alloc(npages);
  return base < 0 && cache.empty && cache.refill() ? cache.alloc(npages) : base;
}

/**
 * Blocks of the sizes of a trace: frees a random one and allocates another, over and over. If `cached`, small ones come
 * from a page cache. A page is scavenged now and then, again from the top when nothing is left.
 */
const mixed = (traced, cached) => (chunks) => ({
  ...about,
  name:
    `free + alloc, sizes as in a Go compile, ${cached ? "small ones from a page cache, " : ""}` +
    "scavenging a page every 16 pairs",
  input: `${chunks.toLocaleString("en")} chunks, 60 % in use`,
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => {
    const { sizes, live, victims } = mixOf(traced, chunks);
    const heap = new PageAlloc({ physHugePageSize: 0 });
    heap.grow(0, chunks * CHUNK_PAGES * PAGE);
    heap.resetScavengeAddr();
    const held = new Float64Array(live);
    const lengths = Uint32Array.from({ length: live }, (_, i) => sizes[i % VICTIMS]);
    for (let i = 0; i < live; i++) held[i] = heap.alloc(lengths[i]);
    const cache = cached ? heap.allocToCache() : undefined;
    let turn = 0;
    return {
      least: PAIRS,
      check: CHECKED,
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) {
          const victim = victims[turn & (VICTIMS - 1)];
          heap.free(held[victim], lengths[victim]);
          const npages = sizes[turn++ & (VICTIMS - 1)];
          let base = cache && npages < CACHED_PAGES_LIMIT ? allocCached(cache, npages) : -1;
          if (base < 0) base = heap.alloc(npages);
          held[victim] = base;
          lengths[victim] = npages;
          sum += base / PAGE;
          if (turn & (SCAVENGE_EVERY - 1)) continue;
          const released = heap.scavengeOne(1);
          if (!released) heap.resetScavengeAddr();
          sum += released / PAGE;
        }
        return sum;
      },
    };
  },
  native: {
    args: [cached ? "cached" : "mixed", PAIRS, CHECKED],
    input: () => {
      const { sizes, live, victims } = mixOf(traced, chunks);
      return Uint32Array.from([chunks, live, VICTIMS, SCAVENGE_EVERY, ...sizes, ...victims]);
    },
  },
});

/** What the loop of the cases above takes by itself: it looks up the victim and its block. */
const loopAlone = (n) => ({
  ...about,
  name: "the loop of these alone: victim and table look-ups",
  input: inputOf(n),
  columns: ["ts", "wasm"],
  create: () => {
    const { live, victims } = blocksOf(n);
    const held = Uint32Array.from(live, (block) => block * n);
    let turn = 0;
    return {
      least: PAIRS,
      check: CHECKED,
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) {
          const victim = victims[turn++ & (VICTIMS - 1)];
          const page = held[victim];
          held[victim] = page ^ 1;
          sum += page;
        }
        return sum;
      },
    };
  },
  native: nativeOf("loop", n),
});

/** Returns the cases on the steady state. The mixed ones have sizes of `trace`. */
export const steadyCases = (trace) => [
  ...NPAGES.map(sustained),
  ...NPAGES.map(inBatches),
  ...NPAGES.map(onShared),
  ...[false, true].flatMap((cached) =>
    [64, 1024, 65536].map(
      mixed(
        trace.npages.filter((_, i) => trace.kind[i] === ALLOC),
        cached,
      ),
    ),
  ),
  ...[1, 512].map(loopAlone),
];
