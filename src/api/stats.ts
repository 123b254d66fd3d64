// The statistics of a heap, as users see them.

import * as layout from "../engine/layout.ts";
import type { Core } from "../heap/core.ts";

/**
 * Statistics of a heap. All are in bytes, except the counts allocs, frees and scavenges. sys = inUse + free;
 * free = released + unscavenged; retained = sys - released.
 */
export interface PageAllocStats {
  /** Mapped. */
  sys: number;
  /** Allocated, in page caches, or held while a hook runs. */
  inUse: number;
  free: number;
  /** Free and scavenged. */
  released: number;
  retained: number;
  peakInUse: number;
  peakRetained: number;
  /** How often pages were taken since the heap was made: by alloc, allocRange and allocToCache. */
  allocs: number;
  /** How often pages were given back since then: by free, and by flush of a cache that was not empty. */
  frees: number;
  /** How many runs were released since then. */
  scavenges: number;
  /** Bytes released since then. */
  scavengedTotal: number;
  /** Linear memory that this heap's bookkeeping takes. */
  metadata: number;
}

/** Reads the counters of the header. Caller must hold the lock. */
export function readStats(core: Core): PageAllocStats {
  const bytes = (field: number) => core.get(field) * core.pageSize;
  const sys = bytes(layout.HEADER_PAGES);
  const inUse = bytes(layout.HEADER_IN_USE);
  const released = bytes(layout.HEADER_RELEASED);
  return {
    sys,
    inUse,
    free: sys - inUse,
    released,
    retained: sys - released,
    peakInUse: bytes(layout.HEADER_PEAK_IN_USE),
    peakRetained: bytes(layout.HEADER_PEAK_RETAINED),
    allocs: core.getF64(layout.HEADER_ALLOCS),
    frees: core.getF64(layout.HEADER_FREES),
    scavenges: core.getF64(layout.HEADER_SCAVENGES),
    scavengedTotal: core.getF64(layout.HEADER_SCAVENGED_TOTAL) * core.pageSize,
    metadata: core.handle ? core.get(layout.HEADER_USED) : core.region.bytes,
  };
}
