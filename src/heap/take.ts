// Takes pages, and calls `sys.used` if some of them are scavenged.

import * as layout from "../engine/layout.ts";
import { type Place, placeOf } from "../engine/pages.ts";
import type { Core } from "./core.ts";
import { Hold } from "./hooks.ts";
import { scavengedRuns } from "./unmap.ts";

/** What `take` has taken. */
export interface Taken {
  /** Address of the pages in bytes; -1 if none were taken. */
  base: number;
  /** How many of the pages had been scavenged. */
  scavenged: number;
}

/** Returns a function that finds the lowest free run of npages pages at a multiple of `align` pages. */
export function lowest(core: Core, npages: number, align: number): () => Place | undefined {
  return () => {
    const page = core.engine.findFree(core.at, npages, align);
    return page < 0 ? undefined : placeOf(page);
  };
}

/**
 * Takes the pages that `choose` returns, if any. Throws PageAllocError if one is not free, or what `sys.used` throws.
 * `change`, if given, is called with the lock held, to make the change that gives the pages to the caller.
 */
export function take(
  core: Core,
  npages: number,
  choose: () => Place | undefined,
  change: (place: Place, make: () => void) => void = (_, make) => make(),
): Taken {
  const hold = new Hold(core);
  const taken: Taken = { base: -1, scavenged: 0 };
  let place: Place | undefined;
  hold.during(
    () => {
      place = choose();
      if (!place) return;
      const { chunk, index } = place;
      if (core.engine.inspect(core.at, chunk, index, npages, false)) core.mustBe(false, place, npages);
      const runs = core.sys.used ? scavengedRuns(core, place, npages) : [];
      const address = core.address(place);
      if (runs.length) {
        taken.scavenged = runs.reduce((sum, [, count]) => sum + count, 0);
        hold.work = hold.undoing(place, layout.HOLD_UNDONE, runs);
        hold.ref = core.hold(layout.KIND_REUSING, place, npages, core.getF64(layout.HEADER_SCAV_END));
      } else {
        const last = (core.at + layout.HEADER_LAST_SCAVENGED) >>> 2;
        change(place, () => void core.engine.allocRange(core.at, chunk, index, npages));
        taken.scavenged = core.engine.memory.i32[last];
      }
      taken.base = address;
    },
    () => {
      core.sys.used?.(taken.base, npages * core.pageSize);
      return () => change(place as Place, () => hold.end(layout.HOLD_USED));
    },
  );
  return taken;
}
