// Holds. While a hook runs on pages, they are in use and in a record. So nobody can allocate or free them. The hook
// runs without the lock. What it decides is done when it has returned. If it throws, or the call is interrupted, the
// hold is undone.

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
  /** Whether this object has ended the hold. False if it was recovered while the hook ran; undefined before. */
  #ended: boolean | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Runs `take` with the lock held. It takes pages and, if a hook is to run on them, sets `ref` and `work`. Then runs
   * `hook` without the lock, and what it returns with the lock held. If `hook` throws, undoes the hold and throws its
   * error.
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

  /** Ends the hold with one of the HOLD_ outcomes, unless it has ended. Caller must hold the lock. */
  end(outcome: number): void {
    if (this.#ended === undefined) this.#ended = this.#core.endHold(this.ref, outcome);
  }

  /**
   * Returns a function that frees the pages, with those of `runs` scavenged, as if they had never been taken. `runs`
   * counts from the first page. The function takes out the runs that are done, so that after an interrupted call the
   * next one continues. Its caller must hold the lock.
   */
  undoing({ chunk, index }: Place, outcome: number, runs: PageRange[]): () => void {
    const core = this.#core;
    return () => {
      this.end(outcome);
      if (!this.#ended) runs.length = 0;
      for (; runs.length; runs.pop()) {
        const [first, count] = runs[runs.length - 1];
        const start = placeOf(chunk * layout.CHUNK_PAGES + index + first);
        core.engine.scavengeRange(core.at, start.chunk, start.index, count, -1);
      }
    };
  }
}
