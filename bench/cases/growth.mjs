// Which costs grow, and with what: each row is there for many sizes, over which it should stay flat.
import { randomBelow } from "../random.mjs";
import { pairsOn } from "./heap.mjs";

const PAGE = 8192;
const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE;
const ALL = ["BigInt", "ts", "wasm"];

/** Heap sizes in chunks, 256 MiB to 1 TiB. */
const SIZES = [64, 256, 1024, 4096, 16384, 65536, 262144];

const sizeName = (chunks) => `${chunks.toLocaleString("en")} chunks`;

/** scavengeOne after a reset. It starts at the top, and all candidates are in the lowest chunk. */
const scavengeLowest = (chunks) => ({
  name: "scavengeOne, candidates in the lowest chunk only",
  input: sizeName(chunks),
  columns: ALL,
  create: ({ PageAlloc }) => {
    const heap = new PageAlloc({ physHugePageSize: 0 });
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
  native: { args: ["scavengeOne", chunks] },
});

/** alloc(2) and free. There is room only in the highest chunk, and one free page in the lowest. */
const allocHighest = (chunks) => ({
  name: "alloc + free, room in the highest chunk only",
  input: sizeName(chunks),
  columns: ALL,
  create: ({ PageAlloc }) => {
    const heap = new PageAlloc();
    heap.grow(0, chunks * CHUNK_BYTES);
    heap.allocRange(0, chunks * CHUNK_PAGES);
    heap.free(5 * PAGE, 1);
    heap.free((chunks - 1) * CHUNK_BYTES, 2);
    return { run: pairsOn(heap, 2) };
  },
  native: { args: ["alloc", chunks] },
});

/** Returns a heap of which every odd page is free. Above these pages is one chunk that is all free. */
function combed(PageAlloc, chunks) {
  const heap = new PageAlloc();
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
  const heap = new PageAlloc();
  heap.grow(0, chunks * CHUNK_BYTES);
  heap.allocRange(0, chunks * CHUNK_PAGES);
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
  name: "alloc + free, align 2, free pages odd up to the last chunk",
  input: sizeName(chunks),
  columns: ["ts", "wasm"],
  create: ({ PageAlloc }) => ({ run: alignedPairsOn(combed(PageAlloc, chunks), 1, { align: 2 }) }),
});

/** A new heap that grows to its size in one call. */
const growAtOnce = (chunks) => ({
  name: "grow at once",
  input: sizeName(chunks),
  columns: ALL,
  create: ({ PageAlloc }) => ({
    run(operations) {
      for (let i = 0; i < operations; i++) {
        const heap = new PageAlloc();
        heap.grow(0, chunks * CHUNK_BYTES);
        heap[Symbol.dispose]();
      }
      return operations;
    },
  }),
  native: { args: ["grow", chunks] },
});

/** Returns the cases whose cost could grow with the size of the heap. */
export const growthCases = () =>
  [
    ...[scavengeLowest, allocHighest, growAtOnce].flatMap((kind) => SIZES.map(kind)),
    ...[1, 4, 64].map(allocAligned).flatMap((kind) => [64, 262144].map(kind)),
    ...[64, 16384].map(allocAlignedWorst),
  ].map((each) => ({ ...each, group: "cost over size" }));
