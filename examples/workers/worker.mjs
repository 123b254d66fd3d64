// A worker, in Node as in a page: attaches to the heap, does its task, and reports.
import { PageAlloc } from "palloc/shared";
import { scavenge } from "./scavenge.mjs";
import { Ledger, Signals, zeroing } from "./shared.mjs";
import { usePages } from "./use-pages.mjs";

const tasks = { usePages, scavenge };

/**
 * Does the task that the main thread has posted. Posts back the owner number, then the report, or what went wrong.
 * @param task { role, handle, memory, signals, ledger }, see run.mjs
 */
export function work({ role, handle, memory, signals, ledger }, post) {
  try {
    const heap = PageAlloc.attach(handle, { sys: zeroing(memory) });
    // Before all else: from here on the main thread can recover what this worker may leave behind.
    post({ kind: "owner", value: heap.owner });
    const shared = { heap, memory, signals: new Signals(signals), ledger: new Ledger(ledger) };
    const value = tasks[role](shared);
    heap.dispose();
    post({ kind: "report", value });
  } catch (error) {
    post({ kind: "error", value: error });
  }
}
