// The page cache that a P had when the recording began.

import type { PageAlloc } from "../../api/page-alloc.ts";
import type { PageCache } from "../../api/page-cache.ts";
import * as layout from "../../engine/layout.ts";

/**
 * Makes the cache of a P whose first request got the page at `base`. It has what is free in that page's block from
 * there upward: a cache gives its lowest page first. The page must be mapped. Returns undefined if it is not free, so
 * that it cannot have come from a cache.
 */
export function makeFirstCache(heap: PageAlloc, base: number): PageCache | undefined {
  const { pageSize } = heap;
  const page = base / pageSize;
  const index = page % layout.CHUNK_PAGES;
  const bit = index % layout.CACHE_PAGES;
  const word = Math.floor(index / layout.CACHE_PAGES);
  const { alloc, scavenged } = heap.chunk((page - index) / layout.CHUNK_PAGES);
  const cache = BigInt.asUintN(64, (~alloc.words[word] >> BigInt(bit)) << BigInt(bit));
  const scav = scavenged.words[word] & cache;
  if (!((cache >> BigInt(bit)) & 1n)) return undefined;
  const block = base - bit * pageSize;
  for (let i = bit; i < layout.CACHE_PAGES; i++) {
    if ((cache >> BigInt(i)) & 1n) heap.allocRange(block + i * pageSize, 1);
  }
  // The class of this very heap's entry: another one may be loaded beside it.
  const caches: Array<PageCache | undefined> = [undefined];
  heap.run(new Float64Array(0), new Float64Array(0), { caches });
  const any = caches[0] as PageCache;
  any.flush();
  return new (any.constructor as typeof PageCache)(heap, { base: block, cache, scav });
}
