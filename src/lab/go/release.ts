// Releases pages of a chunk.

import { CACHE_PAGES, HEADER_SCAV_END } from "../../engine/layout.ts";
import { firstOf, secondOf } from "../../engine/packed.ts";
import type { Core } from "../../heap/core.ts";

/**
 * Releases the highest candidate of a chunk: of at most maxPages pages (1 to 512), or more to keep a huge page whole.
 * Looks from the 64-bit word of a page downward, as Go does. Returns the first page in bits 0-15, and the pages in bits
 * 16-31; 0 if there is none.
 */
export function releaseIn(core: Core, chunk: number, index: number, maxPages: number): number {
  const ceiling = index - (index % CACHE_PAGES) + CACHE_PAGES;
  return core.locked(({ at, engine }) => {
    const hit = engine.findCandidate(at, chunk, ceiling, maxPages);
    // scavAddr stays where it is: it is for the heap's own scavenger.
    if (hit) engine.scavengeRange(at, chunk, firstOf(hit), secondOf(hit), core.getF64(HEADER_SCAV_END));
    return hit;
  });
}
