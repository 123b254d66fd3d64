// Which costs grow, and with what: each row is there for many sizes, over which it should stay flat.
import { randomBelow } from "../random.mjs";
import { cachesOn, pairsOn } from "./heap.mjs";

const PAGE = 8192;
const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE;
const ALL = ["BigInt", "ts", "wasm"];

const ENGINES = ["ts", "wasm"];

/** Heap sizes in chunks, 256 MiB to 1 TiB. */
const SIZES = [64, 256, 1024, 4096, 16384, 65536, 262144];
/** The most chunks that a heap can have, 16 TiB. Their bookkeeping takes 560 MiB, of the 4 GiB that an engine has. */
const MOST_CHUNKS = 2 ** 22 - 1;
const FEWER_SIZES = [64, 1024, 16384, 262144, MOST_CHUNKS];
/** Recovery takes about 0.1 µs per chunk. At the most chunks a run of it would take half a second. */
const RECOVERED_SIZES = FEWER_SIZES.slice(0, -1);
const LIVE_BLOCKS = [10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];
const CACHES = [1, 10, 100, 1000, 10_000, 100_000];
/** A few caches are recovered in less than the clock of a browser can tell apart. */
const RECOVERED_CACHES = CACHES.slice(2);
const HOLES = [0, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const STATE_MIB = [1, 4, 16, 64];

const ALIGNED_WORST = "alloc + free, align 2, free pages odd up to the last chunk";
const GROW = "grow at once";
const DIED_IN_CALL = "recover, of a worker that died in a call";
const DIED_WITH_CACHES = "recover, of a worker that had page caches";

const counted = (n, what) => `${n.toLocaleString("en")} ${n === 1 ? what.replace(/s$/, "") : what}`;
const sizeName = (chunks) => counted(chunks, "chunks");

/** The heap of the latest case. */
let latest;

/** Returns a new heap. Disposes that of the case before: a garbage collector does not know how large it is. */
function newHeap(PageAlloc, options) {
  latest?.dispose?.();
  latest = new PageAlloc(options);
  return latest;
}

/** Returns a new heap that has all of its pages in use. */
function fullHeap(PageAlloc, chunks) {
  const heap = newHeap(PageAlloc);
  heap.grow(0, chunks * CHUNK_BYTES);
  heap.allocRange(0, chunks * CHUNK_PAGES);
  return heap;
}

/**
 * Returns a task that allocates n pages, then frees a random live block, over and over. The blocks are at `count`
 * places, the first at page `first` and each `stride` pages after the one before. All must be in use, and so must be
 * all other room below the last. So each alloc takes the place that the latest free has left. This needs no table of
 * the live blocks, which would miss the processor's caches more often as it grows.
 */
function takeTurns(heap, { npages = 1, first = 0, stride = npages, count }) {
  heap.free(first * PAGE, npages);
  let random = 1;
  return {
    check: 1000,
    run(operations) {
      let sum = 0;
      for (let i = 0; i < operations; i++) {
        sum += heap.alloc(npages) / PAGE;
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        const place = Math.floor((random / 2 ** 32) * count);
        heap.free((first + place * stride) * PAGE, npages);
      }
      return sum;
    },
  };
}

/** One-page blocks at the bottom of a heap of which the rest is free. */
const atBottom = (name, input, chunks, live) => ({
  name,
  input,
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const heap = newHeap(PageAlloc);
    heap.grow(0, chunks * CHUNK_BYTES);
    heap.allocRange(0, live + 1);
    return takeTurns(heap, { count: live + 1 });
  },
});

const overLiveBlocks = (live) =>
  atBottom(
    "alloc + free of a random live block",
    counted(live, "live blocks"),
    Math.ceil(LIVE_BLOCKS.at(-1) / CHUNK_PAGES + 1),
    live,
  );

const liveAtBottom = (chunks) =>
  atBottom("alloc + free, 1,000 live blocks at the bottom", sizeName(chunks), chunks, 1000);

/** Pages of a block of pages, of which a page cache can have those that are free. */
const BLOCK_PAGES = 64;
/** How many blocks of pages have a place for alloc and free. */
const PLACES = 1000;

/** Returns a full heap, but for half of each block of pages from `first` on. So many page caches have those. */
function withCaches(PageAlloc, first, caches) {
  const heap = fullHeap(PageAlloc, ((PLACES + CACHES.at(-1)) * BLOCK_PAGES) / CHUNK_PAGES);
  for (let i = 0; i < caches; i++) freeHalf(heap, first + i);
  return { heap, held: Array.from({ length: caches }, () => heap.allocToCache()) };
}

/** Frees the upper half of a block of pages. */
function freeHalf(heap, block) {
  heap.free((block + 0.5) * BLOCK_PAGES * PAGE, BLOCK_PAGES / 2);
}

/**
 * One page in each of up to PLACES blocks. From block `first` on, page caches have half of each block. If that is the
 * first block, there are no more places than page caches.
 */
const overCaches = (name, first) => (caches) => ({
  name,
  input: counted(caches, "page caches"),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const { heap, held } = withCaches(PageAlloc, first, caches);
    const count = first ? PLACES : Math.min(PLACES, caches);
    return { held, ...takeTurns(heap, { stride: BLOCK_PAGES, count }) };
  },
});

/** One more page cache, made and flushed. */
const oneMoreCache = (caches) => ({
  name: "allocToCache + flush",
  input: counted(caches, "page caches"),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const { heap, held } = withCaches(PageAlloc, 0, caches);
    freeHalf(heap, caches);
    return { held, run: cachesOn(heap) };
  },
});

/**
 * One-page blocks far from each other in a heap that is full. Their number is small, so that the processor's caches
 * hold them.
 */
const liveAllOver = (chunks) => ({
  name: "alloc + free, 64 live blocks all over a full heap",
  input: sizeName(chunks),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const stride = Math.floor(chunks / 64) * CHUNK_PAGES;
    return takeTurns(fullHeap(PageAlloc, chunks), { stride, count: 64 });
  },
});

/** alloc(2), and free of a random block. All free pages below the blocks are single. */
const overHoles = (holes) => ({
  name: "alloc + free of 2 pages, above single free pages",
  input: counted(holes, "single free pages"),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const heap = newHeap(PageAlloc);
    const [first, count] = [2 * HOLES.at(-1), 1001];
    heap.grow(0, Math.ceil(first / CHUNK_PAGES + 8) * CHUNK_BYTES);
    heap.allocRange(0, first + 2 * count);
    for (let i = 0; i < holes; i++) heap.free(2 * i * PAGE, 1);
    return takeTurns(heap, { npages: 2, first, count });
  },
});

/** scavenge(1), over and over. `touch(heap)` makes some pages unscavenged, `most` in all, before each run. */
const scavenges = (name, most, touch) => (chunks) => ({
  name,
  input: sizeName(chunks),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const heap = newHeap(PageAlloc, { physHugePageSize: 0 });
    heap.grow(0, chunks * CHUNK_BYTES);
    return {
      most,
      check: most,
      prepare() {
        touch(heap, chunks);
        heap.resetScavengeAddr();
      },
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) sum += heap.scavenge(1);
        return sum;
      },
    };
  },
});

/** Makes free pages unscavenged. */
function touchPages(heap, page, npages) {
  heap.allocRange(page * PAGE, npages);
  heap.free(page * PAGE, npages);
}

const TOP_PAGES = 64 * CHUNK_PAGES;
const FAR_PAGES = 64;

const scavengeTop = scavenges("scavenge(1), page after page from the top", TOP_PAGES, (heap, chunks) =>
  touchPages(heap, chunks * CHUNK_PAGES - TOP_PAGES, TOP_PAGES),
);

const scavengeAllOver = scavenges("scavenge(1), 64 pages all over the heap", FAR_PAGES, (heap, chunks) => {
  const stride = Math.floor((chunks * CHUNK_PAGES) / FAR_PAGES);
  for (let i = 0; i < FAR_PAGES; i++) touchPages(heap, i * stride, 1);
});

/**
 * Recovery from a worker that died within `alloc`. What it leaves is written to the heap's memory: no worker could be
 * ended at the right moment. `layout` has the offsets.
 */
const recoverCall = (layout) => (chunks) => ({
  name: DIED_IN_CALL,
  input: sizeName(chunks),
  columns: ENGINES,
  create: ({ sharing: { PageAlloc } }) => {
    const heap = newHeap(PageAlloc, { shared: true });
    heap.grow(0, chunks * CHUNK_BYTES);
    heap.allocRange(PAGE, (chunks * CHUNK_PAGES) / 2);
    const { handle } = heap;
    const { owner } = PageAlloc.attach(handle);
    const words = new Int32Array(handle.memory.buffer ?? handle.memory);
    const set = (field, value) => Atomics.store(words, (handle.at + field) / 4, value);
    return {
      most: 1,
      prepare() {
        set(layout.HEADER_LOCK, (owner << layout.LOCK_OWNER_SHIFT) | layout.LOCK_HELD);
        set(layout.JOURNAL_CHUNK, 0);
        set(layout.JOURNAL_INDEX, 0);
        set(layout.JOURNAL_NPAGES, 1);
        set(layout.JOURNAL_OP, layout.JOURNAL_CLAIM);
      },
      run() {
        heap.recover(owner);
        return heap.searchAddr / PAGE + heap.stats().inUse / PAGE;
      },
    };
  },
});

/** Recovery from a worker that died with page caches. */
const recoverCaches = (caches) => ({
  name: DIED_WITH_CACHES,
  input: counted(caches, "page caches"),
  columns: ENGINES,
  create: ({ sharing: { PageAlloc } }) => {
    const heap = newHeap(PageAlloc, { shared: true });
    heap.grow(0, Math.ceil((CACHES.at(-1) * BLOCK_PAGES) / CHUNK_PAGES) * CHUNK_BYTES);
    let worker;
    return {
      most: 1,
      prepare() {
        worker = PageAlloc.attach(heap.handle);
        for (let i = 0; i < caches; i++) worker.allocToCache();
      },
      run() {
        heap.recover(worker.owner);
        return heap.stats().inUse / PAGE;
      },
    };
  },
});

/** Returns a heap whose state takes about so many MiB, with two free runs in each chunk. */
function heapOfMiB(PageAlloc, MiB) {
  const bytesPerChunk = 139.5;
  const chunks = Math.round((MiB * 2 ** 20) / bytesPerChunk);
  const heap = fullHeap(PageAlloc, chunks);
  const below = randomBelow(MiB);
  for (let half = 0; half < 2 * chunks; half++) {
    const npages = 1 + below(128);
    heap.free((half * (CHUNK_PAGES / 2) + below(128)) * PAGE, npages);
  }
  return heap;
}

const perMiB = (bytes) => ({ most: 1, unitsPerOperation: bytes.length / 2 ** 20 });

const snapshots = (MiB) => ({
  name: "snapshot, per MiB",
  input: counted(MiB, "MiB of state"),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const heap = heapOfMiB(PageAlloc, MiB);
    return { ...perMiB(heap.snapshot()), run: () => heap.snapshot().length };
  },
});

const restores = (MiB) => ({
  name: "restore, per MiB",
  input: counted(MiB, "MiB of state"),
  columns: ENGINES,
  create: ({ PageAlloc }) => {
    const bytes = heapOfMiB(PageAlloc, MiB).snapshot();
    return {
      ...perMiB(bytes),
      prepare: () => latest.dispose(),
      run() {
        latest = PageAlloc.restore(bytes);
        return latest.stats().inUse / PAGE;
      },
    };
  },
});

/** The columns of a case that has a native one. BigInt and C would take too long for the most chunks. */
const columnsOf = (chunks) => (chunks < MOST_CHUNKS ? ALL : ENGINES);
const nativeOf = (name, chunks) => (chunks < MOST_CHUNKS ? { args: [name, chunks] } : undefined);

/** scavengeOne after a reset. It starts at the top, and all candidates are in the lowest chunk. */
const scavengeLowest = (chunks) => ({
  name: "scavengeOne, candidates in the lowest chunk only",
  input: sizeName(chunks),
  columns: columnsOf(chunks),
  create: ({ PageAlloc }) => {
    const heap = newHeap(PageAlloc, { physHugePageSize: 0 });
    heap.grow(0, chunks * CHUNK_BYTES);
    return {
      most: CHUNK_PAGES,
      prepare() {
        heap.allocRange(0, CHUNK_PAGES);
        heap.free(0, CHUNK_PAGES);
      },
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) {
          heap.resetScavengeAddr();
          sum += heap.scavengeOne(1);
        }
        return sum;
      },
    };
  },
  native: nativeOf("scavengeOne", chunks),
});

/** alloc(2) and free. There is room only in the highest chunk, and one free page in the lowest. */
const allocHighest = (chunks) => ({
  name: "alloc + free, room in the highest chunk only",
  input: sizeName(chunks),
  columns: columnsOf(chunks),
  create: ({ PageAlloc }) => {
    const heap = fullHeap(PageAlloc, chunks);
    heap.free(5 * PAGE, 1);
    heap.free((chunks - 1) * CHUNK_BYTES, 2);
    return { run: pairsOn(heap, 2) };
  },
  native: nativeOf("alloc", chunks),
});

/** Returns a heap of which every odd page is free. Above these pages is one chunk that is all free. */
function combed(PageAlloc, chunks) {
  const heap = newHeap(PageAlloc);
  heap.grow(0, (chunks + 1) * CHUNK_BYTES);
  heap.allocRange(0, chunks * CHUNK_PAGES);
  for (let page = 1; page < chunks * CHUNK_PAGES; page += 2) heap.free(page * PAGE, 1);
  return heap;
}

/** alloc(n) and free of the same block, over and over, at a multiple of align pages. */
const alignedPairsOn = (heap, n, options) => (operations) => {
  let sum = 0;
  for (let i = 0; i < operations; i++) {
    const base = heap.alloc(n, options);
    heap.free(base, n);
    sum += base / PAGE;
  }
  return sum;
};

/** Returns a heap of 8-page blocks, a random quarter of which is free in its lowest 4096 chunks. */
function blocks(PageAlloc, chunks) {
  const heap = fullHeap(PageAlloc, chunks);
  const below = randomBelow(8);
  const count = Math.min(chunks, 4096) * (CHUNK_PAGES / 8);
  for (let block = 0; block < count; block++) if (below(4) === 0) heap.free(block * 8 * PAGE, 8);
  return heap;
}

/** alloc(4) and free in that heap, aligned or not. */
const allocAligned = (align) => (chunks) => ({
  name: `alloc + free, align ${align}`,
  input: `${sizeName(chunks)}, a quarter free, npages 4`,
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => {
    const heap = blocks(PageAlloc, chunks);
    // Takes the lowest free page, so that the first free run does not start at an aligned page.
    heap.alloc(1);
    return { run: align > 1 ? alignedPairsOn(heap, 4, { align }) : pairsOn(heap, 4) };
  },
});

/** alloc(1) at an even page. The free pages are odd, except for those of the highest chunk: the worst case. */
const allocAlignedWorst = (chunks) => ({
  name: ALIGNED_WORST,
  input: sizeName(chunks),
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => ({ run: alignedPairsOn(combed(PageAlloc, chunks), 1, { align: 2 }) }),
});

/** A new heap that grows to its size in one call. */
const growAtOnce = (chunks) => ({
  name: GROW,
  input: sizeName(chunks),
  columns: ALL,
  create: ({ PageAlloc }) => ({
    run(operations) {
      for (let i = 0; i < operations; i++) {
        const heap = new PageAlloc();
        heap.grow(0, chunks * CHUNK_BYTES);
        heap.dispose?.();
      }
      return operations;
    },
  }),
  native: { args: ["grow", chunks] },
});

/** The names of the rows whose cost is in proportion to the size. */
export const PROPORTIONAL = [ALIGNED_WORST, GROW, DIED_IN_CALL, DIED_WITH_CACHES];

/** Returns the cases. `layout` has the offsets in a heap's state. */
export const growthCases = (layout) =>
  [
    ...LIVE_BLOCKS.map(overLiveBlocks),
    ...CACHES.map(overCaches("alloc + free, where page caches have pages", 0)),
    ...CACHES.map(overCaches("alloc + free, away from page caches", PLACES)),
    ...CACHES.map(oneMoreCache),
    ...HOLES.map(overHoles),
    ...[liveAtBottom, liveAllOver].flatMap((kind) => FEWER_SIZES.map(kind)),
    ...[allocHighest, scavengeLowest].flatMap((kind) => [...SIZES, MOST_CHUNKS].map(kind)),
    ...[scavengeTop, scavengeAllOver].flatMap((kind) => FEWER_SIZES.map(kind)),
    ...[1, 4, 64].map(allocAligned).flatMap((kind) => [64, 262144].map(kind)),
    ...[64, 16384].map(allocAlignedWorst),
    ...SIZES.map(growAtOnce),
    ...RECOVERED_SIZES.map(recoverCall(layout)),
    ...RECOVERED_CACHES.map(recoverCaches),
    ...[snapshots, restores].flatMap((kind) => STATE_MIB.map(kind)),
  ].map((each) => ({ ...each, group: "cost over size" }));
