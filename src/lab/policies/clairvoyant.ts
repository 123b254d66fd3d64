// The policy that knows the future. It shows how much any policy could gain.

import { readOptions, refuse } from "../../base/arguments.ts";
import type { Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";

/** Options of the policy `clairvoyant`. */
export interface ClairvoyantOptions {
  /** For how long a released page is not touched again, at least: ms of the trace, 0 or more. Default 1,000. */
  idleMs?: number;
}

/** A policy that sees the trace run once before it is simulated. */
export interface ForeseeingPolicy extends Policy {
  /** Watches that first run. Nothing is released in it. */
  foresee(heap: PolicyHeap): void;
}

/** Reports whether a policy must see the trace before. */
export function foresees(policy: Policy): policy is ForeseeingPolicy {
  return "foresee" in policy && typeof policy.foresee === "function";
}

/** When the pages of each free will be touched again, in the order of the frees. */
class Future {
  /** For each page that a free gives back: when it will be taken again, in ns; Infinity if never. */
  readonly #times: number[] = [];
  /** By page: its place in the list, since it was freed. */
  readonly #places = new Map<number, number>();
  #next = 0;

  noteFree(page: number, npages: number): void {
    for (let i = 0; i < npages; i++) {
      this.#places.set(page + i, this.#times.length);
      this.#times.push(Infinity);
    }
  }

  noteAlloc(page: number, npages: number, time: number): void {
    for (let i = 0; i < npages; i++) {
      const place = this.#places.get(page + i);
      if (place === undefined) continue;
      this.#times[place] = time;
      this.#places.delete(page + i);
    }
  }

  /** Returns the time of the next page that a free gives back. */
  take(): number {
    return this.#times[this.#next++];
  }
}

/**
 * Releases, as soon as it is free, just what will not be touched again for `idleMs`. The trace runs twice: it must be
 * whole, and takes 16 bytes for each page that it frees. A page of the system is released when its last page is freed,
 * if none of them will be touched too soon. Throws TypeError or RangeError.
 */
export function clairvoyant(options?: ClairvoyantOptions): ForeseeingPolicy {
  const { idleMs = 1000 } = readOptions("options", options, ["idleMs"]);
  if (!(typeof idleMs === "number" && idleMs >= 0)) {
    refuse("options.idleMs", idleMs, "a number of ms, 0 or more", "number");
  }
  let future = new Future();
  return {
    name: policyName("clairvoyant", { idleMs }),
    foresee(heap) {
      future = new Future();
      const { pageSize } = heap;
      heap.onFree((base, nbytes) => future.noteFree(base / pageSize, nbytes / pageSize));
      heap.onAlloc((base, nbytes) => future.noteAlloc(base / pageSize, nbytes / pageSize, heap.now));
    },
    start(heap) {
      releaseIdle(heap, future, idleMs * 1e6);
    },
  };
}

function releaseIdle(heap: PolicyHeap, future: Future, idleNs: number): void {
  const { pageSize } = heap;
  /** Pages of the heap in a page of the system. */
  const unit = Math.max(1, heap.physPageSize / pageSize);
  /** When free pages will be touched. */
  const touchedAt = new Map<number, number>();
  const isIdle = (first: number) => {
    for (let page = first; page < first + unit; page++) {
      if ((touchedAt.get(page) ?? -Infinity) < heap.now + idleNs) return false;
    }
    return true;
  };
  heap.onFree((base, nbytes) => {
    const first = base / pageSize;
    const end = first + nbytes / pageSize;
    for (let page = first; page < end; page++) touchedAt.set(page, future.take());
    // Neighbours are released together: each call of the system costs.
    let from = -1;
    for (let page = first - (first % unit); ; page += unit) {
      const isRun = page < end && isIdle(page);
      if (isRun && from < 0) from = page;
      if (!isRun && from >= 0) {
        heap.release(from * pageSize, (page - from) * pageSize);
        from = -1;
      }
      if (page >= end) return;
    }
  });
  heap.onAlloc((base, nbytes) => {
    for (let page = base / pageSize; page < (base + nbytes) / pageSize; page++) touchedAt.delete(page);
  });
}
