// Unmaps pages: takes free pages out of the heap, and calls `sys.unused` for those that are unscavenged.

import * as layout from "../engine/layout.ts";
import { type PageRange, type Place, placeOf, runsOf } from "../engine/pages.ts";
import { eachPart, mappedRuns, nearestChunk } from "../store/tree.ts";
import { commitUnmap } from "../store/unmapping.ts";
import type { Core } from "./core.ts";
import { Hold } from "./hooks.ts";

/**
 * Unmaps npages pages. Returns how many were unscavenged. Throws PageAllocError, or what `sys.unused` throws; what was
 * released before stays released.
 */
export function unmap(core: Core, place: Place, npages: number): number {
  const { chunk, index } = place;
  const hold = new Hold(core);
  /** The runs that are scavenged if the call is undone. Grows with each call of the hook that returns. */
  let scavenged: PageRange[] = [];
  let unscavenged = 0;
  hold.during(
    () => {
      mustBeFree(core, place, npages);
      if (core.sys.unused) scavenged = scavengedRuns(core, place, npages);
      if (core.sys.unused && gapsIn(scavenged, npages).length) {
        hold.work = hold.undoing(place, layout.HOLD_PASSED, scavenged);
        hold.ref = core.hold(layout.KIND_RELEASING, place, npages, core.getF64(layout.HEADER_SCAV_END));
      } else {
        unscavenged = unmapFree(core, place, npages);
      }
    },
    () => {
      for (const run of gapsIn(scavenged, npages)) {
        const [first, count] = run;
        core.sys.unused?.(core.address({ chunk, index: index + first }), count * core.pageSize);
        scavenged.push(run);
        unscavenged += count;
      }
      return () => {
        hold.end(layout.HOLD_PASSED);
        // If this object was recovered while the hook ran, others may have the pages.
        mustBeFree(core, place, npages);
        unmapFree(core, place, npages);
      };
    },
  );
  return unscavenged;
}

/** Throws PageAllocError unless all pages are mapped and free. Caller must hold the lock. */
function mustBeFree(core: Core, place: Place, npages: number): void {
  const { chunk, index } = place;
  if (core.engine.inspect(core.at, chunk, index, npages, false)) core.mustBe(false, place, npages);
}

/** Unmaps npages free pages. Returns how many were unscavenged. Caller must hold the lock. */
function unmapFree(core: Core, { chunk, index }: Place, npages: number): number {
  const first = chunk * layout.CHUNK_PAGES + index;
  const end = first + npages;
  const last = Math.floor((end - 1) / layout.CHUNK_PAGES);
  let start = core.get(layout.HEADER_START);
  let top = core.getF64(layout.HEADER_TOP);
  // The heap then begins with the lowest chunk that keeps a page: the range's first, its last, or the next one above.
  if (start === chunk) {
    const left = [chunk, last, nearestChunk(core, last + 1, false)];
    start = left.find((each) => pagesLeft(core, each, first, end).length) ?? 0;
  }
  // It ends with the highest page that is kept, in one of the range's two chunks or in the next one below.
  if (top === end) {
    const left = [last, chunk, nearestChunk(core, chunk - 1, true)];
    top = left.flatMap((each) => pagesLeft(core, each, first, end).slice(-1))[0] ?? 0;
  }
  let scavenged = 0;
  eachPart(core, first, end, (data, i, n) => {
    scavenged += core.engine.popcntRange(data + layout.DATA_SCAVENGED, i, n);
  });
  core.set(layout.JOURNAL_SCAVENGED, scavenged);
  core.set(layout.JOURNAL_START, start);
  core.setF64(layout.JOURNAL_TOP, top);
  core.engine.markUnmapped(core.at, chunk, index, npages);
  commitUnmap(core);
  return npages - scavenged;
}

/**
 * Returns where the runs of mapped pages end that a chunk has outside [first, end), as page numbers, ascending. `chunk`
 * is -1 for none.
 */
function pagesLeft(core: Core, chunk: number, first: number, end: number): number[] {
  if (chunk < 0) return [];
  const base = chunk * layout.CHUNK_PAGES;
  return mappedRuns(core, core.dataOf(chunk)).flatMap(([index, count]) => {
    const from = base + index;
    const to = from + count;
    return [...(from < first ? [Math.min(to, first)] : []), ...(to > end ? [to] : [])];
  });
}

/** Returns the gaps between ascending runs of the pages [0, npages), as [first, count]. */
function gapsIn(runs: readonly PageRange[], npages: number): PageRange[] {
  let end = 0;
  return [...runs, [npages, 0] as const].flatMap(([first, count]) => {
    const gap = [end, first - end] as const;
    end = first + count;
    return gap[1] ? [gap] : [];
  });
}

/** Returns the runs of scavenged pages in a range, counted from its first page. Caller must hold the lock. */
export function scavengedRuns(core: Core, { chunk, index }: Place, npages: number): PageRange[] {
  const { engine } = core;
  const runs: PageRange[] = [];
  for (let done = 0; done < npages; ) {
    const at = placeOf(chunk * layout.CHUNK_PAGES + index + done);
    const n = Math.min(npages - done, layout.CHUNK_PAGES - at.index);
    const bits = core.dataOf(at.chunk) + layout.DATA_SCAVENGED;
    const scavenged = engine.popcntRange(bits, at.index, n);
    const last = runs.at(-1);
    if (scavenged === n && last && last[0] + last[1] === done) runs[runs.length - 1] = [last[0], last[1] + n];
    else if (scavenged === n) runs.push([done, n]);
    else if (scavenged) runs.push(...runsOf((i) => engine.popcntRange(bits, at.index + i, 1) > 0, n, done));
    done += n;
  }
  return runs;
}
