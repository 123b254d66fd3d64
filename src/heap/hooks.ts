// Runs `sys.used`, the hook for released pages that are about to be used again, and undoes the allocation if it throws.

import * as layout from "../engine/layout.ts";
import { type PageRange, type Place, placeOf } from "../engine/pages.ts";
import type { Core } from "./core.ts";
import type { Pending } from "./lock.ts";

/** An allocation that `sys.used` is told of. Its pages are held while the hook runs, so that nobody can free them. */
export class Reuse implements Pending {
  /** Ref of the record that holds the pages; 0 when there is none. */
  ref = 0;
  /** Undoes the allocation. Caller must hold the lock. */
  work: () => void = () => {};
  next: Pending | undefined;
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Calls `sys.used` and ends the hold. If the hook throws, undoes the allocation and throws its error. */
  callHook(base: number, nbytes: number): void {
    const { lock, sys } = this.#core;
    let { work } = this;
    try {
      sys.used?.(base, nbytes);
      work = () => void this.#core.endHold(this.ref, layout.HOLD_USED);
    } finally {
      lock.finish(work);
      this.ref = 0;
    }
  }

  /**
   * Returns a function that frees the pages, with those of `runs` scavenged, as if they had never been taken. If a call
   * of it is interrupted, the next call continues.
   */
  undoing(place: Place, outcome: number, runs: PageRange[]): () => void {
    const core = this.#core;
    let held = true;
    return () => {
      if (held && !core.endHold(this.ref, outcome)) runs.length = 0;
      held = false;
      for (; runs.length; runs.pop()) {
        const [first, count] = runs[runs.length - 1];
        const start = placeOf(place.chunk * layout.CHUNK_PAGES + place.index + first);
        core.engine.rescavenge(core.at, start.chunk, start.index, count);
      }
    };
  }
}
