// Holds: pages are in use, and in a record, while a hook runs on them, so that nobody can allocate or free them. The
// hook runs without the lock. What it decides is done when it has returned. If it throws, or the call is interrupted,
// the hold is undone.

import * as layout from "../engine/layout.ts";
import { type PageRange, type Place, placeOf } from "../engine/pages.ts";
import type { Core } from "./core.ts";
import type { Pending } from "./lock.ts";

/** Pages that a hook runs on. */
export class Hold implements Pending {
  /** Ref of the record that holds the pages; 0 when there is none. */
  ref = 0;
  /** Undoes the hold. Caller must hold the lock. */
  work: () => void = () => {};
  next: Pending | undefined;
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Takes pages with `take`, which sets `ref` if a hook is to run on them. Then runs `hook`, which returns what to do
   * with the lock held. If `hook` throws, undoes the hold and throws its error.
   */
  during(take: () => void, hook: () => () => void): void {
    const core = this.#core;
    try {
      core.locked(take);
      if (!this.ref) return;
      let { work } = this;
      try {
        work = hook();
      } finally {
        core.lock.finish(work);
        this.ref = 0;
      }
    } finally {
      // The call was interrupted, so nobody gets the pages. The next call frees them.
      if (this.ref) {
        this.next = core.lock.pending;
        core.lock.pending = this;
      }
    }
  }

  /** Returns a function that ends the hold with one of the HOLD_ outcomes. Its caller must hold the lock. */
  ending(outcome: number): () => void {
    return () => void this.#core.endHold(this.ref, outcome);
  }

  /**
   * Returns a function that frees the pages, with those of `runs` scavenged, as if they had never been taken. If a call
   * of it is interrupted, the next call continues.
   */
  undoing({ chunk, index }: Place, outcome: number, runs: PageRange[]): () => void {
    const core = this.#core;
    let held = true;
    return () => {
      if (held && !core.endHold(this.ref, outcome)) runs.length = 0;
      held = false;
      for (; runs.length; runs.pop()) {
        const [first, count] = runs[runs.length - 1];
        const start = placeOf(chunk * layout.CHUNK_PAGES + index + first);
        core.engine.scavengeRange(core.at, start.chunk, start.index, count, -1);
      }
    };
  }
}
