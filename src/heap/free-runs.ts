// Free runs: all of them, lowest first, and the longest. Summaries tell which parts of the tree are all in use or all
// free, so a step costs as much in a heap of 1 TiB as in a small one. Only counting scavenged pages takes time for each
// chunk of a run, unless the run has nothing to scavenge.

import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import { nextPage } from "../engine/pages.ts";
import type { State } from "../store/state.ts";
import { type PallocSum, unpack } from "../store/sums.ts";
import type { Core } from "./core.ts";

/** A run of free pages, as long as it can be. It may span chunks. */
export interface FreeRun {
  /** Address of its first page. */
  base: number;
  /** Its length in bytes. */
  nbytes: number;
  /** How many of the bytes are scavenged. */
  scavenged: number;
}

/** The totals of changes. While these and HEADER_CHANGES stay the same, so do the pages. */
const TOTALS = [layout.HEADER_ALLOCS, layout.HEADER_FREES, layout.HEADER_SCAVENGES];

/**
 * Lists the free runs, lowest first. Takes the lock for each run. Throws PageAllocError ERR_CHANGED when pages of the
 * heap have changed since the first run.
 */
export function* freeRuns(core: Core): IterableIterator<FreeRun> {
  const countChanges = () => [...TOTALS.map((total) => core.getF64(total)), core.get(layout.HEADER_CHANGES)];
  let before: number[] | undefined;
  for (let page = 0; ; ) {
    const run = core.locked(() => {
      const now = countChanges();
      before ??= now;
      if (now.some((count, i) => count !== before?.[i])) {
        const message = "the heap has changed since freeRuns() began; begin again";
        throw new PageAllocError("ERR_CHANGED", message);
      }
      return freeRunFrom(core, page);
    });
    if (!run) return;
    const { first, npages, scavenged } = run;
    page = first + npages;
    const { pageSize } = core;
    yield { base: first * pageSize, nbytes: npages * pageSize, scavenged: scavenged * pageSize };
  }
}

/** Returns the length of the longest free run, in pages; 0 if nothing is free. Caller must hold the lock. */
export function longestFree(state: State): number {
  const root = state.get(layout.HEADER_ROOT);
  if (!root) return 0;
  const level = state.get(root + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT;
  let longest = 0;
  // Free pages just before the part.
  let run = 0;
  for (let slot = 0; slot < layout.FANOUT; slot++) {
    const { start, max, end } = sumOf(state, root, level, slot);
    longest = Math.max(longest, max, run + start);
    run = start === spanOf(level) ? run + start : end;
  }
  return longest;
}

/**
 * Returns the first free run that starts at page `from` or above; undefined if there is none. No free run may reach
 * across `from`. Caller must hold the lock.
 */
function freeRunFrom(
  core: Core,
  from: number,
): { first: number; npages: number; scavenged: number } | undefined {
  const { engine } = core;
  const top = core.getF64(layout.HEADER_TOP);
  // If a page can be released by itself, a part without a candidate bit has no unscavenged free page.
  const exact = core.get(layout.HEADER_MIN_PAGES) === 1;
  // The run so far. It ends before `page`.
  let npages = 0;
  let scavenged = 0;
  let page = Math.max(from, core.get(layout.HEADER_START) * layout.CHUNK_PAGES);
  while (page < top) {
    let ref = core.get(layout.HEADER_ROOT);
    for (let level = core.get(ref + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT; ; level--) {
      const span = spanOf(level);
      const part = Math.floor(page / span);
      const slot = part % layout.FANOUT;
      const end = (part + 1) * span;
      const { start, max } = sumOf(core, ref, level, slot);
      const isScavenged = exact && !((core.get(ref + layout.NODE_CANDIDATES) >>> slot) & 1);
      if (!max) {
        if (npages) return { first: page - npages, npages, scavenged };
        page = end;
        break;
      }
      // All of the part is free and scavenged, however large it is.
      if (start === span && isScavenged) {
        npages += end - page;
        scavenged += end - page;
        page = end;
        break;
      }
      if (level) {
        ref = core.get(ref + layout.NODE_CHILDREN + 4 * slot);
        continue;
      }
      const { i32 } = engine.memory;
      const data = core.at + ref + layout.LEAF_DATA + slot * layout.DATA_BYTES;
      const words = data >>> 2;
      let index = page % layout.CHUNK_PAGES;
      // A run that has begun below reaches up to this page. Else the next one begins at the next free page.
      if (!npages) index = nextPage((word) => ~i32[words + word], index);
      const limit = nextPage((word) => i32[words + word], index);
      if (limit > index) {
        npages += limit - index;
        scavenged += engine.popcntRange(data + layout.DATA_SCAVENGED, index, limit - index);
      }
      page = end - layout.CHUNK_PAGES + limit;
      if (npages && limit < layout.CHUNK_PAGES) return { first: page - npages, npages, scavenged };
      break;
    }
  }
  return npages ? { first: page - npages, npages, scavenged } : undefined;
}

/** Returns how many pages a part of a node of this level covers. */
function spanOf(level: number): number {
  return layout.CHUNK_PAGES * layout.FANOUT ** level;
}

/** Returns the summary of a part of a node. */
function sumOf(state: State, ref: number, level: number, slot: number): PallocSum {
  const at = ref + 4 * slot;
  if (!level) return unpack(state.get(at + layout.LEAF_SUMS));
  return {
    start: state.get(at + layout.NODE_START),
    max: state.get(at + layout.NODE_MAX),
    end: state.get(at + layout.NODE_END),
  };
}
