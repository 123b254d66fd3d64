// Heaps to start tests from, and the sizes that tests count in.
import { PAGES } from "./naive.ts";
import type { PageAlloc, Palloc } from "./subject.ts";

/** Bytes of a page, and of a chunk of them, unless a test says otherwise. */
export const PAGE = 8192;
export const CHUNK = PAGES * PAGE;
/** Bytes of the address space. */
export const SPACE = 2 ** 48;

type Options = ConstructorParameters<Palloc["PageAlloc"]>[0];

/** A heap that has grown over these chunks. */
export function grownHeap({ PageAlloc }: Palloc, chunks: readonly number[], options?: Options): PageAlloc {
  const heap = new PageAlloc(options);
  for (const chunk of chunks) heap.grow(chunk * heap.chunkBytes, heap.chunkBytes);
  return heap;
}

/** A heap of these chunks with every page free and none scavenged, and the scavenger at the top. */
export function touchedHeap({ PageAlloc }: Palloc, chunks: readonly number[], options?: Options): PageAlloc {
  return PageAlloc.from({ alloc: Object.fromEntries(chunks.map((chunk) => [chunk, []])) }, options);
}

/** The bitmaps of a heap as ranges by chunk. */
export function bitsOf(heap: PageAlloc): Pick<ReturnType<PageAlloc["ranges"]>, "alloc" | "scavenged"> {
  const { alloc, scavenged } = heap.ranges();
  return { alloc, scavenged };
}

/** Bitmaps and counters: what a call that is undone must leave as they were. */
export function visible(heap: PageAlloc) {
  const { metadata: _, peakInUse: __, peakRetained: ___, ...stats } = heap.stats();
  return { ranges: heap.ranges(), stats };
}
