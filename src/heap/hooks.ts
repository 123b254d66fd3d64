// The hook that runs when released pages are about to be used again, and what it takes to undo the allocation.

import * as layout from "../engine/layout.ts";
import { type PageRange, type Place, placeOf } from "../engine/pages.ts";
import type { Core } from "./core.ts";
import type { Rest } from "./lock.ts";

/** An allocation that `sys.used` is told of. Its pages are held while the hook runs, so that nobody can free them. */
export class Reuse implements Rest {
  /** Ref of the record that holds the pages; 0 before, and after. */
  ref = 0;
  /** Undoes the allocation. Caller must hold the lock. */
  work: () => void = () => {};
  next: Rest | undefined;
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Runs `sys.used`, then ends the hold. If the hook throws, undoes the allocation and throws the same. */
  run(base: number, nbytes: number): void {
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
   * Returns the function that frees the pages again, and scavenges those of `runs`, as if they had never been taken. It
   * can be broken off and called again: it goes on where it was.
   */
  givingBack(place: Place, outcome: number, runs: PageRange[]): () => void {
    const core = this.#core;
    let held = true;
    return () => {
      if (held && !core.endHold(this.ref, outcome)) runs.length = 0;
      held = false;
      for (; runs.length; runs.pop()) {
        const [first, count] = runs[runs.length - 1];
        const run = placeOf(place.chunk * layout.CHUNK_PAGES + place.index + first);
        core.engine.rescavenge(core.at, run.chunk, run.index, count);
      }
    };
  }
}
