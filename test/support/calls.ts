// Calls of every kind on a shared heap, each with the heap that it needs: for tests that look at a call from within, or
// from another thread.

import * as ts from "palloc/ts/shared";
import * as layout from "../../src/engine/layout.ts";
import { CORE } from "../../src/heap/core.ts";
import { CHUNK, PAGE } from "./heaps.ts";
import { PAGES } from "./naive.ts";
import type { PageAlloc, PageCache } from "./subject.ts";

type Options = NonNullable<ConstructorParameters<typeof ts.PageAlloc>[0]>;
export type Sys = NonNullable<Options["sys"]>;

/**
 * A heap that the worker that makes the call, and another, are attached to. The worker's hooks can be set at any time.
 */
export interface World {
  readonly worker: PageAlloc;
  readonly other: PageAlloc;
  readonly sys: Sys;
}

/** A call. */
export interface Call {
  /** Prepares the heap, and gives the call. */
  begin(world: World): () => unknown;
  /** Makes the heap. */
  heap?(): PageAlloc;
}

/** A kind of call, and how many locked sections it has. */
export interface Kind extends Call {
  readonly sections: number;
}

/** What hooks throw. */
export const WHIM = new Error("a hook's whim");

const sections = (sections: number, begin: Call["begin"]): Kind => ({ sections, begin });

/** Adds chunks to the heap, from the first to the last. */
export function grow(heap: PageAlloc, first: number, last = first): void {
  heap.grow(first * CHUNK, (last - first + 1) * CHUNK);
}

/** Adds chunks that are free and unscavenged, with the scavenger at the top. */
export function touch(heap: PageAlloc, first: number, last = first): void {
  grow(heap, first, last);
  const npages = (last - first + 1) * PAGES;
  heap.allocRange(first * CHUNK, npages);
  heap.free(first * CHUNK, npages);
  heap.resetScavengeAddr();
}

/** Gives the heap counts that fill all their words, and a hook that has declined: what no call on a new heap saves. */
function age(heap: PageAlloc): void {
  const core = heap[CORE];
  core.setF64(layout.HEADER_ALLOCS, 2 ** 52 + 1);
  core.setF64(layout.HEADER_FREES, 2 ** 51 + 1);
  core.setF64(layout.HEADER_SCAVENGES, 2 ** 50 + 1);
  core.setF64(layout.HEADER_SCAVENGED_TOTAL, 2 ** 49 + 1);
  core.set(layout.HEADER_SCAV_STRICT, 1);
}

/** A cache of the worker's whose block has pages of all kinds, the first in use, and no others are free. */
export function mixedCache({ worker, other }: World): PageCache {
  grow(other, 1);
  other.allocRange(CHUNK, PAGES);
  other.free(CHUNK + PAGE, 20);
  other.scavengeRange(CHUNK + PAGE, 9);
  other.free(CHUNK + 21 * PAGE, 30);
  return worker.allocToCache();
}

const allocs: Record<string, Kind> = {
  "alloc of a few pages from searchAddr's chunk": sections(1, ({ worker, other }) => {
    grow(other, 1);
    return () => worker.alloc(40);
  }),
  "alloc of unscavenged pages": sections(1, ({ worker, other }) => {
    touch(other, 1);
    return () => worker.alloc(3);
  }),
  "alloc of a whole chunk": sections(1, ({ worker, other }) => {
    grow(other, 1, 2);
    return () => worker.alloc(PAGES);
  }),
  "alloc over chunks and leaves": sections(1, ({ worker, other }) => {
    grow(other, 5, 9);
    other.alloc(1);
    return () => worker.alloc(3 * PAGES + 100);
  }),
  "alloc by descent": sections(1, ({ worker, other }) => {
    grow(other, 1, 20);
    other.alloc(15 * PAGES - 2);
    return () => worker.alloc(5);
  }),
  "alloc without room": sections(1, ({ worker, other }) => {
    grow(other, 1, 2);
    other.alloc(2 * PAGES - 1);
    return () => worker.alloc(2);
  }),
  "alloc that finds that nothing is free": sections(1, ({ worker, other }) => {
    grow(other, 1);
    other.alloc(PAGES);
    return () => worker.alloc(1);
  }),
  allocRange: sections(1, ({ worker, other }) => {
    grow(other, 1);
    return () => worker.allocRange(CHUNK + 30 * PAGE, 100);
  }),
  "allocRange over chunks": sections(1, ({ worker, other }) => {
    grow(other, 6, 9);
    return () => worker.allocRange(7 * CHUNK + 30 * PAGE, 2 * PAGES);
  }),
  free: sections(1, ({ worker, other }) => {
    grow(other, 1);
    other.alloc(100);
    return () => worker.free(CHUNK + 20 * PAGE, 50);
  }),
  "free over chunks": sections(1, ({ worker, other }) => {
    grow(other, 6, 9);
    other.alloc(4 * PAGES);
    return () => worker.free(6 * CHUNK + 20 * PAGE, 3 * PAGES);
  }),
};

const aged: Record<string, Kind> = {
  "alloc in a heap with a long past": sections(1, ({ worker, other }) => {
    touch(other, 1);
    age(other);
    return () => worker.alloc(3);
  }),
  "free in a heap with a long past": sections(1, ({ worker, other }) => {
    touch(other, 1);
    other.alloc(9);
    age(other);
    return () => worker.free(CHUNK + PAGE, 3);
  }),
  "scavengeOne in a heap with a long past": sections(1, ({ worker, other }) => {
    touch(other, 1);
    age(other);
    return () => worker.scavengeOne(PAGE);
  }),
};

const grows: Record<string, Kind> = {
  "first grow": sections(
    1,
    ({ worker }) =>
      () =>
        grow(worker, 9),
  ),
  "grow into a leaf that is there": sections(1, ({ worker, other }) => {
    grow(other, 1);
    other.alloc(3);
    return () => grow(worker, 3, 4);
  }),
  "grow with a new root": sections(1, ({ worker, other }) => {
    touch(other, 1);
    return () => grow(worker, 8);
  }),
  "grow with a new leaf": sections(1, ({ worker, other }) => {
    touch(other, 1);
    grow(other, 8);
    return () => grow(worker, 31, 32);
  }),
  "grow by levels": sections(1, ({ worker, other }) => {
    touch(other, 1);
    return () => grow(worker, 100_000);
  }),
  "grow below the start": sections(1, ({ worker, other }) => {
    touch(other, 100_000);
    return () => grow(worker, 0, 1);
  }),
  "grow to the other end of the address space": sections(1, ({ worker, other }) => {
    touch(other, 0);
    return () => grow(worker, 2 ** 48 / CHUNK - 1);
  }),
  "grow by leaves": sections(1, ({ worker, other }) => {
    touch(other, 2);
    return () => grow(worker, 3, 17);
  }),
};

/** Unmaps the chunks from `first` to `last`. */
function unmap(heap: PageAlloc, first: number, last = first): number {
  return heap.unmap(first * CHUNK, (last - first + 1) * CHUNK);
}

const unmaps: Record<string, Kind> = {
  "unmap of some pages of a chunk": sections(1, ({ worker, other }) => {
    touch(other, 1);
    other.scavengeRange(CHUNK + 50 * PAGE, 30);
    return () => worker.unmap(CHUNK + 40 * PAGE, 100 * PAGE);
  }),
  "unmap of the last pages of a chunk that has holes": sections(1, ({ worker, other }) => {
    touch(other, 1, 2);
    other.unmap(2 * CHUNK + 9 * PAGE, CHUNK - 9 * PAGE);
    return () => worker.unmap(2 * CHUNK - 5 * PAGE, 14 * PAGE);
  }),
  "unmap of leaves, the first and the last in part": sections(1, ({ worker, other }) => {
    touch(other, 5, 34);
    other.alloc(PAGES);
    return () => worker.unmap(6 * CHUNK + 3 * PAGE, 27 * CHUNK);
  }),
  "unmap of a subtree": sections(1, ({ worker, other }) => {
    touch(other, 1);
    touch(other, 100_000, 100_001);
    return () => unmap(worker, 100_000, 100_001);
  }),
  "unmap of all pages": sections(1, ({ worker, other }) => {
    touch(other, 60, 70);
    return () => unmap(worker, 60, 70);
  }),
  "unmap of a leaf with used up page caches": sections(1, ({ worker, other }) => {
    grow(other, 1);
    touch(other, 70);
    const caches = [other.allocToCache(), worker.allocToCache()];
    for (const cache of caches) cache.alloc(64);
    other.free(CHUNK, 128);
    return () => unmap(worker, 1);
  }),
  "unmap in a heap with a long past": sections(1, ({ worker, other }) => {
    touch(other, 1, 20);
    age(other);
    return () => unmap(worker, 7, 16);
  }),
  "grow that uses free nodes": sections(1, ({ worker, other }) => {
    touch(other, 1);
    touch(other, 5000, 5030);
    unmap(other, 5000, 5030);
    return () => grow(worker, 200, 300);
  }),
  "grow after all was unmapped": sections(1, ({ worker, other }) => {
    touch(other, 60, 70);
    unmap(other, 60, 70);
    return () => grow(worker, 3000, 3001);
  }),
};

const scavenges: Record<string, Kind> = {
  resetScavengeAddr: sections(1, ({ worker, other }) => {
    grow(other, 1);
    return () => worker.resetScavengeAddr();
  }),
  "scavengeOne of what lies at scavAddr": sections(1, ({ worker, other }) => {
    touch(other, 1);
    return () => worker.scavengeOne(40 * PAGE);
  }),
  "scavengeOne that walks": sections(2, ({ worker, other }) => {
    touch(other, 1);
    touch(other, 9);
    other.allocRange(9 * CHUNK, PAGES);
    return () => worker.scavengeOne();
  }),
  "scavengeOne that finds candidates gone": sections(4, ({ worker, other }) => {
    touch(other, 1, 11);
    other.allocRange(9 * CHUNK, 3 * PAGES);
    return () => worker.scavengeOne();
  }),
  "scavengeOne that walks to the bottom": sections(2, ({ worker, other }) => {
    grow(other, 1, 9);
    other.resetScavengeAddr();
    return () => worker.scavengeOne();
  }),
  scavenge: sections(3, ({ worker, other }) => {
    touch(other, 7, 8);
    return () => worker.scavenge();
  }),
  "scavengeRange over chunks and a hole": sections(1, ({ worker, other }) => {
    touch(other, 7, 8);
    touch(other, 10);
    return () => worker.scavengeRange(7 * CHUNK + 9 * PAGE, 3 * PAGES);
  }),
  scavengeRange: sections(1, ({ worker, other }) => {
    touch(other, 1);
    other.allocRange(CHUNK + 9 * PAGE, 3);
    return () => worker.scavengeRange(CHUNK, 90);
  }),
};

const caches: Record<string, Kind> = {
  allocToCache: sections(1, ({ worker, other }) => {
    touch(other, 1);
    other.scavengeRange(CHUNK + 20 * PAGE, 30);
    return () => worker.allocToCache();
  }),
  "allocToCache with others' caches there": sections(1, ({ worker, other }) => {
    grow(other, 1);
    const caches = [1, 2, 3].map(() => other.allocToCache());
    caches[1].flush();
    return () => worker.allocToCache();
  }),
  "allocToCache that finds that nothing is free": sections(1, ({ worker, other }) => {
    grow(other, 1);
    other.alloc(PAGES);
    return () => worker.allocToCache();
  }),
  "PageCache.refill": sections(1, ({ worker, other }) => {
    touch(other, 1);
    const cache = worker.allocToCache();
    other.scavengeRange(CHUNK + 80 * PAGE, 30);
    cache.alloc(64);
    return () => cache.refill();
  }),
  "PageCache.alloc in the lower half": sections(0, (world) => {
    const cache = mixedCache(world);
    return () => cache.alloc(12);
  }),
  "PageCache.alloc across the halves": sections(0, (world) => {
    const cache = mixedCache(world);
    return () => cache.alloc(45);
  }),
  "PageCache.alloc in the upper half": sections(0, (world) => {
    const cache = mixedCache(world);
    cache.alloc(40);
    return () => cache.alloc(2);
  }),
  "PageCache.flush": sections(1, (world) => {
    const cache = mixedCache(world);
    cache.alloc(3);
    return () => cache.flush();
  }),
  "PageCache.flush of an empty cache": sections(1, (world) => {
    const cache = mixedCache(world);
    cache.alloc(50);
    return () => cache.flush();
  }),
  "PageCache.flush between others' caches": sections(1, ({ worker, other }) => {
    grow(other, 1);
    other.allocToCache();
    const cache = worker.allocToCache();
    other.allocToCache();
    return () => cache.flush();
  }),
  "new PageCache": sections(1, ({ worker, other }) => {
    grow(other, 1);
    other.alloc(200);
    return () => new ts.PageCache(worker, { base: CHUNK + 64 * PAGE, cache: 0xf0f0_0000_000fn, scav: 3n });
  }),
  "dispose with a cache": sections(1, (world) => {
    mixedCache(world);
    return () => world.worker.dispose();
  }),
};

/** Pages for `sys.used` to be told of: some scavenged, over a border of chunks. */
export function reused({ worker, other }: World): () => number {
  touch(other, 1, 2);
  other.scavengeRange(2 * CHUNK - 9 * PAGE, 40);
  return () => worker.allocRange(2 * CHUNK - 20 * PAGE, 60);
}

/** A candidate in the second of two chunks for `sys.unused` to be told of. */
function unused({ worker, other }: World): () => number {
  touch(other, 1);
  return () => worker.scavengeOne(30 * PAGE);
}

const hooks: Record<string, Kind> = {
  "allocRange with sys.used": sections(2, (world) => {
    world.sys.used = () => {};
    return reused(world);
  }),
  "alloc with sys.used that has nothing to say": sections(1, ({ worker, other, sys }) => {
    sys.used = () => {};
    touch(other, 1);
    return () => worker.alloc(9);
  }),
  "alloc with sys.used that calls back": sections(4, ({ worker, other, sys }) => {
    grow(other, 1, 2);
    sys.used = () => {
      sys.used = () => {};
      worker.alloc(5);
    };
    return () => worker.alloc(9);
  }),
  "scavengeOne with sys.unused": sections(2, (world) => {
    world.sys.unused = () => true;
    return unused(world);
  }),
  "scavengeOne with sys.unused that declines once": sections(4, (world) => {
    let calls = 0;
    world.sys.unused = () => calls++ > 0;
    return unused(world);
  }),
  "scavengeOne with sys.unused that throws": sections(2, (world) => {
    world.sys.unused = () => {
      throw WHIM;
    };
    return unused(world);
  }),
  "scavengeOne with sys.unused that calls back": sections(4, (world) => {
    world.sys.unused = () => {
      world.worker.alloc(5);
      world.worker.resetScavengeAddr();
    };
    return unused(world);
  }),
  "scavengeRange with sys.unused that declines once": sections(4, ({ worker, other, sys }) => {
    let calls = 0;
    sys.unused = () => calls++ > 0;
    touch(other, 7, 8);
    return () => worker.scavengeRange(7 * CHUNK + 9 * PAGE, PAGES);
  }),
  "scavengeRange with sys.unused that throws": sections(2, ({ worker, other, sys }) => {
    sys.unused = () => {
      throw WHIM;
    };
    touch(other, 7);
    return () => worker.scavengeRange(7 * CHUNK + 9 * PAGE, 5);
  }),
  "unmap with sys.unused": sections(2, ({ worker, other, sys }) => {
    sys.unused = () => false;
    touch(other, 7, 8);
    other.scavengeRange(8 * CHUNK - 9 * PAGE, 30);
    return () => worker.unmap(7 * CHUNK + 9 * PAGE, PAGES * PAGE);
  }),
  "PageCache.flush from within sys.unused": sections(3, (world) => {
    const cache = mixedCache(world);
    touch(world.other, 2);
    world.sys.unused = () => cache.flush();
    return () => world.worker.scavengeOne();
  }),
};

/** All of them by name. */
export const kindsOfCalls: [name: string, kind: Kind][] = Object.entries({
  ...allocs,
  ...aged,
  ...grows,
  ...unmaps,
  ...scavenges,
  ...caches,
  ...hooks,
});
