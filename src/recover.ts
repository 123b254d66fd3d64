// Recovery: what is left of a worker that died. Its call has happened or not, and nothing is its own any more.

import type { Core } from "./core.ts";
import { JOURNAL_OP } from "./layout.ts";
import { mend } from "./mend.ts";

/** Finishes or undoes what `owner` was doing, and frees its page caches, the pages its hooks held, and its lock. */
export function recover(core: Core, owner: number): void {
  core.lock.seize(owner);
  try {
    if (core.get(JOURNAL_OP)) mend(core);
    core.dropRecords(owner);
  } finally {
    core.lock.release();
  }
}
