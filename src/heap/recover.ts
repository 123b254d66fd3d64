// Recovery: what is left of a worker that died. Its call has happened or not, and nothing is its own any more.

import * as layout from "../engine/layout.ts";
import { mend } from "../store/mend.ts";
import type { Core } from "./core.ts";

/**
 * Finishes or undoes the last call of `owner`. Frees the pages in its page caches, those its hooks held, and its lock.
 */
export function recover(core: Core, owner: number): void {
  core.lock.seize(owner);
  try {
    if (core.get(layout.JOURNAL_OP)) mend(core);
    core.dropRecords(owner);
  } finally {
    core.lock.release();
  }
}
