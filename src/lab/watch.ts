// Heaps whose every change of pages is seen, by whichever call it comes: those of page caches and batches too. What is
// watched is the engine of such a heap, so that other heaps pay nothing.

import type { PageAlloc } from "../api/page-alloc.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import type { Instance } from "../store/regions.ts";

/** What is told of a heap's changes, after each but for two. Pages are page numbers. It must not call the heap. */
export interface Watcher {
  /** Pages are about to be mapped, free and scavenged. If it throws, they stay holes. */
  grown(page: number, npages: number): void;
  /** Free pages are about to be unmapped. */
  unmapped(page: number, npages: number): void;
  /** Free pages were taken, `scavenged` of which had been scavenged. */
  taken(page: number, npages: number, scavenged: number): void;
  /** Pages in use were freed. */
  freed(page: number, npages: number): void;
  /** A page cache was filled with pages of the block at `page`: those with a 1 in two 32-bit words. */
  cached(page: number, low: number, high: number): void;
  /** A page cache gave back the pages that it still had. */
  flushed(page: number, low: number, high: number): void;
}

/** Returns a class of heaps on the same engine, that `watcher` watches. Make one heap of it. */
export function watched(entry: typeof PageAlloc, watcher: Watcher): typeof PageAlloc {
  const { engine, regions } = entry.instance();
  const instance: Instance = { engine: watchedEngine(engine, watcher), regions };
  return class extends entry {
    static override readonly instance = () => instance;
  };
}

/** Returns an engine that works as another does, and tells a watcher. It carries out no batches by itself. */
function watchedEngine(engine: Engine, watcher: Watcher): Engine {
  const { memory } = engine;
  const scavengedLast = (heap: number) => memory.i32[(heap + layout.HEADER_LAST_SCAVENGED) >>> 2];
  /** Passes on the pages of a cache. */
  const tell = (call: Watcher["cached"], heap: number, ref: number) => {
    const { i32 } = memory;
    const record = (heap + ref) >>> 2;
    const word = record + layout.RECORD_CACHE / 4;
    const index = i32[record + layout.RECORD_INDEX / 4];
    call(pageAt(i32[record + layout.RECORD_CHUNK / 4], index), i32[word], i32[word + 1]);
  };
  const cached: Watcher["cached"] = (page, low, high) => watcher.cached(page, low, high);
  const flushed: Watcher["flushed"] = (page, low, high) => watcher.flushed(page, low, high);
  return {
    ...engine,
    Batch: undefined,
    map(heap, chunk, index, npages) {
      watcher.grown(pageAt(chunk, index), npages);
      engine.map(heap, chunk, index, npages);
    },
    markUnmapped(heap, chunk, index, npages) {
      watcher.unmapped(pageAt(chunk, index), npages);
      engine.markUnmapped(heap, chunk, index, npages);
    },
    alloc(heap, npages, align) {
      const page = engine.alloc(heap, npages, align);
      if (page >= 0) watcher.taken(page, npages, scavengedLast(heap));
      return page;
    },
    allocNow(heap, npages, held) {
      const packed = engine.allocNow(heap, npages, held);
      if (packed >= 0) {
        const page = Math.floor(packed);
        watcher.taken(page, npages, (packed - page) * layout.LAST_SCALE);
      }
      return packed;
    },
    allocRange(heap, chunk, index, npages) {
      const answer = engine.allocRange(heap, chunk, index, npages);
      if (answer === layout.RANGE_DONE) watcher.taken(pageAt(chunk, index), npages, scavengedLast(heap));
      return answer;
    },
    free(heap, chunk, index, npages) {
      const answer = engine.free(heap, chunk, index, npages);
      if (answer === layout.RANGE_DONE) watcher.freed(pageAt(chunk, index), npages);
      return answer;
    },
    freeNow(heap, chunk, index, npages, held) {
      const answer = engine.freeNow(heap, chunk, index, npages, held);
      if (answer === layout.RANGE_DONE) watcher.freed(pageAt(chunk, index), npages);
      return answer;
    },
    refill(heap, ref, owner) {
      const filled = engine.refill(heap, ref, owner);
      if (filled) tell(cached, heap, filled);
      return filled;
    },
    flush(heap, ref) {
      const { i32 } = memory;
      const record = (heap + ref) >>> 2;
      const word = record + layout.RECORD_CACHE / 4;
      const page = pageAt(i32[record + layout.RECORD_CHUNK / 4], i32[record + layout.RECORD_INDEX / 4]);
      const low = i32[word];
      const high = i32[word + 1];
      const answer = engine.flush(heap, ref);
      if (answer === layout.RANGE_DONE) flushed(page, low, high);
      return answer;
    },
  };
}

function pageAt(chunk: number, index: number): number {
  return chunk * layout.CHUNK_PAGES + index;
}
