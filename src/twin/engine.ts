// The twin: the engine in TypeScript, file by file and name by name what assembly/ is, over an ArrayBuffer.

import type { Engine } from "../engine.ts";
import { ArrayMemory } from "../memory.ts";
import * as bits from "./bits.ts";
import * as cache from "./cache.ts";
import * as candidate from "./candidate.ts";
import { fillAligned } from "./fill-aligned.ts";
import { find } from "./find.ts";
import * as heaps from "./heap.ts";
import * as record from "./record.ts";
import { summarize } from "./summary.ts";
import { mappedLeafOf } from "./tree.ts";
import { walk } from "./walk.ts";

/** Makes an engine with memory of its own, `pages` of 64 KiB at first. */
export function createTwin(pages: number): Engine {
  const memory = new ArrayMemory(pages);
  return {
    name: "ts",
    memory,
    setRange: (at, i, n) => bits.setRange(memory, at, i, n),
    clearRange: (at, i, n) => bits.clearRange(memory, at, i, n),
    popcntRange: (at, i, n) => bits.popcntRange(memory, at, i, n),
    find: (at, npages, searchIdx) => find(memory, at, npages, searchIdx),
    summarize: (at) => summarize(memory, at),
    fillAligned,
    hasScavengeCandidate: (data, min) => candidate.hasScavengeCandidate(memory, data, min),
    findScavengeCandidate: (data, ceiling, min, max, hugePages) =>
      candidate.findScavengeCandidate(memory, data, ceiling, min, max, hugePages),
    alloc: (heap, npages) => heaps.alloc(memory, heap, npages),
    findFreePage: (heap, npages) => heaps.findFree(memory, heap, npages),
    allocRange: (heap, chunk, index, npages) => heaps.allocRange(memory, heap, chunk, index, npages),
    free: (heap, chunk, index, npages) => heaps.free(memory, heap, chunk, index, npages),
    inspect: (heap, chunk, index, npages, inUse) => heaps.inspect(memory, heap, chunk, index, npages, inUse),
    claim: (heap, chunk, index, npages) => heaps.claim(memory, heap, chunk, index, npages),
    unclaim: (heap, chunk, index, npages) => heaps.unclaim(memory, heap, chunk, index, npages),
    firstMapped: (heap, chunk, nchunks) => heaps.firstMapped(memory, heap, chunk, nchunks),
    map: (heap, chunk, nchunks) => heaps.map(memory, heap, chunk, nchunks),
    mappedLeafOf: (heap, chunk) => mappedLeafOf(memory, heap, chunk),
    look: (heap, chunk, ceiling, maxPages) => heaps.look(memory, heap, chunk, ceiling, maxPages),
    scavengeChunk: (heap, chunk, ceiling, maxPages) =>
      heaps.scavengeChunk(memory, heap, chunk, ceiling, maxPages),
    scavengeRange: (heap, chunk, index, npages) => heaps.scavengeRange(memory, heap, chunk, index, npages),
    walk: (heap, chunk) => walk(memory, heap, chunk),
    newRecord: (heap, kind, owner, chunk, index, npages) =>
      record.newRecord(memory, heap, kind, owner, chunk, index, npages),
    dropRecord: (heap, ref) => record.dropRecord(memory, heap, ref),
    owned: (heap, chunk, index, npages) => record.owned(memory, heap, chunk, index, npages),
    allocToCache: (heap, owner) => cache.allocToCache(memory, heap, owner),
    cacheAlloc: (heap, ref, npages) => cache.cacheAlloc(memory, heap, ref, npages),
    flush: (heap, ref) => cache.flush(memory, heap, ref),
  };
}
