// The kernel's page events as `perf script` prints them: physical pages of 4 KiB, in blocks of 2^order.
//
// Such a log is never complete. It starts on a machine that runs, and a process frees pages that another has allocated.
// So a table of the pages in use says what an event does. Pages that are freed without an alloc are from before, and
// are passed over. An alloc frees what is in use there. The kernel may split a block, so a free may be for a part.

import { EventQueue } from "../../columns/event-queue.ts";
import { eventsOfLines } from "../../columns/line-events.ts";
import { ALLOC, FREE } from "../../events.ts";
import type { Format } from "../../format.ts";
import { LiveRanges } from "../../live-ranges.ts";
import { Lines } from "../../source/lines.ts";
import { type PageEvent, parseLine } from "./parse.ts";

const PAGE_BYTES = 4096;

export const perfKmem: Format = {
  name: "perf-kmem",
  recognises: (start) => String.fromCharCode(...start).includes("kmem:mm_page_"),
  async open(input) {
    const lines = new Lines(await input.open());
    const events = new EventQueue("perf-kmem", PAGE_BYTES);
    const { corrections } = events;
    const live = new LiveRanges();
    const event: PageEvent = { time: 0, thread: -1, isAlloc: false, pfn: 0, order: 0 };
    const parse = () => {
      // An allocation that fails has no page.
      if (!parseLine(lines, event) || event.pfn === 0) return;
      const offset = lines.lineOffset;
      const { time, thread, isAlloc, pfn, order } = event;
      const npages = 2 ** order;
      let freed = 0;
      release(live, pfn, npages, (page, count) => {
        events.add(time, thread, FREE, page * PAGE_BYTES, count, offset);
        freed += count;
        if (isAlloc) corrections.impliedFrees++;
      });
      if (!isAlloc) {
        if (freed < npages) corrections.skippedFrees++;
        return;
      }
      live.seek(pfn);
      live.insert(pfn, npages);
      events.add(time, thread, ALLOC, pfn * PAGE_BYTES, npages, offset);
    };
    return { pageSize: PAGE_BYTES, blocks: eventsOfLines(lines, events, parse) };
  },
};

/** Frees what is in use of a range. Calls `freed` for each part. */
function release(
  live: LiveRanges,
  page: number,
  npages: number,
  freed: (page: number, npages: number) => void,
): void {
  const end = page + npages;
  live.seek(page);
  while (live.start < end) {
    const first = live.start;
    const last = first + live.length;
    live.remove();
    const from = Math.max(first, page);
    const to = Math.min(last, end);
    keep(live, first, from);
    keep(live, to, last);
    freed(from, to - from);
    live.seek(page);
  }
}

/** Adds the pages of a range that stay in use, if any. */
function keep(live: LiveRanges, start: number, end: number): void {
  if (start === end) return;
  live.seek(start);
  live.insert(start, end - start);
}
