// Heaps with one of Go's scavengers: the lab's, and one that is put together by hand from a plain heap and an index.

import { GoHeap, type GoVersion, type IndexVersion, ScavengeIndex } from "palloc/lab";
import { addressOf, GO_BASE, PAGE } from "./go-heap.ts";
import { PAGES } from "./naive.ts";
import type { PageAlloc, PageCache, Palloc } from "./subject.ts";

/** Pages [first, first + npages) that were released. Counts from chunk 0 of the fixtures. */
export type Run = [first: number, npages: number];

export interface Sizes {
  physPageSize: number;
  physHugePageSize: number;
}

/** A heap, and what its scavenger is told and asked. Pages count from chunk 0 of the fixtures. */
export interface Scavenged {
  readonly heap: PageAlloc;
  /** The index that must be told by hand of each call on the heap. */
  readonly index?: ScavengeIndex;
  /** The same if it is of 1.21 or later. That of 1.19 is told of frees only, and not of those by caches. */
  readonly counting?: ScavengeIndex;
  nextGen(): void;
  /** Returns the bytes that were released, and the runs in order. */
  scavenge(nbytes: number, force: boolean): { released: number; runs: Run[] };
}

/** The number of the page at an address. */
export const pageOf = (address: number): number => address / PAGE - GO_BASE * PAGES;

/** The lab's. */
export function goScavenged({ PageAlloc }: Palloc, version: GoVersion, sizes: Sizes): Scavenged {
  const go = new GoHeap(PageAlloc, { version, ...sizes });
  return {
    heap: go.heap,
    nextGen: () => go.nextGen(),
    scavenge(nbytes, force) {
      const runs: Run[] = [];
      const onRelease = (base: number, bytes: number) => runs.push([pageOf(base), bytes / PAGE]);
      return { released: go.scavenge(nbytes, { force, onRelease }), runs };
    },
  };
}

/** A plain heap of chunks [0, chunks), and Go's loop over an index and the candidates in a chunk. */
export function handScavenged(
  palloc: Palloc,
  version: IndexVersion,
  chunks: number,
  sizes: Sizes,
): Scavenged {
  const heap = new palloc.PageAlloc(sizes);
  const index = new ScavengeIndex(palloc.PageAlloc, version, chunks);
  const minPages = Math.max(1, sizes.physPageSize / PAGE);
  const hugePages = sizes.physHugePageSize > PAGE ? sizes.physHugePageSize / PAGE : 0;
  return {
    heap,
    index,
    counting: version === "1.19" ? undefined : index,
    nextGen: () => index.nextGen(),
    scavenge(nbytes, force) {
      const runs: Run[] = [];
      let released = 0;
      while (released < nbytes) {
        const found = index.find(force);
        if (!found) break;
        const most = Math.min(PAGES, Math.ceil((nbytes - released) / PAGE));
        const from = version === "1.19" ? PAGES - 1 : found.page;
        const { start, npages } = candidateOf(heap, found.chunk, [from, minPages, most, hugePages]);
        if (npages) {
          const first = found.chunk * PAGES + start;
          released += heap.scavengeRange(addressOf(first), npages);
          runs.push([first, npages]);
        } else {
          index.setEmpty(found.chunk);
        }
      }
      return { released, runs };
    },
  };
}

type CandidateArguments = Parameters<ReturnType<PageAlloc["chunk"]>["findScavengeCandidate"]>;

/** The candidate in a chunk, which may be unmapped. */
function candidateOf(heap: PageAlloc, chunk: number, args: CandidateArguments) {
  const base = addressOf(chunk * PAGES);
  const isMapped = heap.mappedRanges().some(([from, to]) => from < base + PAGES * PAGE && base < to);
  return isMapped ? heap.chunk(GO_BASE + chunk).findScavengeCandidate(...args) : { start: 0, npages: 0 };
}

/** Tells an index of 1.21 or later that a cache has just taken its pages. */
export function countCached(index: ScavengeIndex, cache: PageCache): void {
  const pages = [...pagesOf(cache.cache)].length;
  if (pages) index.alloc(pageOf(cache.base), pages);
}

/** Tells an index of 1.21 or later of a cache that is about to be flushed. */
export function countFlushed(index: ScavengeIndex, cache: PageCache): void {
  for (const bit of pagesOf(cache.cache)) index.free(pageOf(cache.base) + bit, 1);
}

/** The places of the 1 bits of a word, ascending. */
function* pagesOf(word: bigint): Generator<number> {
  for (let bit = 0; bit < 64; bit++) if ((word >> BigInt(bit)) & 1n) yield bit;
}
