// Releases the pages of a range, wherever scavAddr is.

import * as layout from "../engine/layout.ts";
import { nextPage, type PageRange, type Place, placeOf } from "../engine/pages.ts";
import { nearestChunk } from "../store/tree.ts";
import type { Core } from "./core.ts";
import { Hold } from "./hooks.ts";

/** Most pages of one engine call, which counts in 32 bits. A range of more pages is mostly holes. */
const MOST_AT_ONCE = 2 ** 31;

/**
 * Releases the free and unscavenged pages of a range. Returns how many it has released. Throws what `sys.unused`
 * throws; what was released before stays released.
 */
export function releaseRange(core: Core, { chunk, index }: Place, npages: number): number {
  const first = chunk * layout.CHUNK_PAGES + index;
  if (!core.sys.unused) return core.locked(() => releaseAll(core, first, npages));
  let released = 0;
  for (let page = first; page < first + npages; ) {
    const [next, count] = releaseRun(core, page, first + npages);
    released += count;
    page = next;
  }
  return released;
}

/** Does the same for pages [first, first + npages) without a hook. Caller must hold the lock. */
function releaseAll(core: Core, first: number, npages: number): number {
  const end = Math.min(first + npages, core.getF64(layout.HEADER_TOP));
  let released = 0;
  for (let page = first; page < end; page += MOST_AT_ONCE) {
    const { chunk, index } = placeOf(page);
    const n = Math.min(end - page, MOST_AT_ONCE);
    const scavEnd = core.getF64(layout.HEADER_SCAV_END);
    released += core.engine.scavengeRange(core.at, chunk, index, n, scavEnd);
  }
  return released;
}

/**
 * Calls `sys.unused` for the first run to release in [page, end), and releases it unless the hook declines. Returns the
 * page to go on from, and how many pages it has released.
 */
function releaseRun(core: Core, page: number, end: number): PageRange {
  const hold = new Hold(core);
  let first = end;
  let count = 0;
  let released = 0;
  hold.during(
    () => {
      [first, count] = runFrom(core, page, end);
      if (!count) return;
      hold.work = () => hold.end(layout.HOLD_PASSED);
      const scavEnd = core.getF64(layout.HEADER_SCAV_END);
      hold.ref = core.hold(layout.KIND_RELEASING, placeOf(first), count, scavEnd);
    },
    () => {
      if (core.sys.unused?.(first * core.pageSize, count * core.pageSize) !== false) released = count;
      return () => hold.end(released ? layout.HOLD_RELEASED : layout.HOLD_PASSED);
    },
  );
  return [first + count, released];
}

/**
 * Returns the first run of free and unscavenged pages in [page, end), up to the end of its chunk. It is [end, 0] if
 * there is none. Caller must hold the lock.
 */
function runFrom(core: Core, page: number, end: number): PageRange {
  const { i32 } = core.engine.memory;
  while (page < end) {
    const chunk = nearestChunk(core, Math.floor(page / layout.CHUNK_PAGES), false);
    if (chunk < 0) break;
    const base = chunk * layout.CHUNK_PAGES;
    const words = core.dataOf(chunk) >>> 2;
    const kept = (word: number) => i32[words + word] | i32[words + word + layout.DATA_SCAVENGED / 4];
    const index = nextPage((word) => ~kept(word), Math.max(page - base, 0));
    const first = Math.min(base + index, end);
    const limit = Math.min(base + nextPage(kept, index), end);
    if (limit > first) return [first, limit - first];
    page = base + layout.CHUNK_PAGES;
  }
  return [end, 0];
}
