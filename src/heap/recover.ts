// Recovery: what is left of a worker that died. Its call has happened or not, and nothing is its own any more.

import * as layout from "../engine/layout.ts";
import { mend } from "../store/mend.ts";
import type { Core } from "./core.ts";

/** Finishes or undoes what `owner` was doing, and frees its page caches, the pages its hooks held, and its lock. */
export function recover(core: Core, owner: number): void {
  core.lock.seize(owner);
  try {
    if (core.get(layout.JOURNAL_OP)) mend(core);
    core.dropRecords(owner);
  } finally {
    core.lock.release();
  }
}
