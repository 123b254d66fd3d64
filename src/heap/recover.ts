// Cleans up after a worker that died. Its last call is finished or undone, and it owns nothing afterwards.

import * as layout from "../engine/layout.ts";
import { mend } from "../store/mend.ts";
import { settle } from "../store/sizes.ts";
import type { Core } from "./core.ts";

/** Finishes or undoes the last call of `owner`. Frees its page caches, the pages that its hooks held, and its lock. */
export function recover(core: Core, owner: number): void {
  core.lock.seize(owner);
  try {
    if (core.get(layout.JOURNAL_OP)) mend(core);
    core.dropRecords(owner);
    settle(core);
  } finally {
    core.lock.release();
  }
}
