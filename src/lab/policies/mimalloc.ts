// The policy of mimalloc: what is freed is purged by a later free, when its deadline is past.

import { integer, readOptions, refuse } from "../../base/arguments.ts";
import type { Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";

/** What is purged is whole granules of so many bytes (MI_COMMIT_SIZE, MI_ARENA_SLICE_SIZE). */
const GRANULE = 2 ** 16;
const MS = 1e6;
/** Pages of a block of `PageSet`. */
const BLOCK = 512;

/** Versions of mimalloc. */
export type MimallocVersion = "2" | "3";

/** How versions differ. */
const VERSIONS = {
  /** A deadline for each 4 MiB: segment.c. */
  "2": { delayMs: 10, extendMs: 1, spanBytes: 2 ** 22, reuseRestarts: true },
  /** One for all: arena.c. */
  "3": { delayMs: 1000, extendMs: 0, spanBytes: Infinity, reuseRestarts: false },
} as const;

/** Options of `mimalloc`. */
export interface MimallocOptions {
  /** mi_option_purge_delay: ms; 0: at each free; -1: never. Default: 10 in version 2, 1,000 in version 3. */
  purgeDelayMs?: number;
  /** Default: "3". */
  version?: MimallocVersion;
}

/**
 * The policy of mimalloc (v2 at a3ca0e5: segment.c; v3: arena.c). A free notes the granules of 64 KiB that are now
 * wholly free, and an allocation crosses out those that it touches. All that is noted has one deadline, from the first
 * free on. There is no timer: a free that notes something after the deadline purges all.
 *
 * In version 2, each 4 MiB have a deadline of their own, as segments have. A free before it moves it by 1 ms; one that
 * is less than 1 ms late sets it 1 ms ahead. An allocation of what is noted starts the delay anew. In version 3, the
 * whole heap is one arena, and nothing moves the deadline.
 *
 * Left out: the arenas of version 2, with 10 times the delay for segments that are wholly free; granules of 2 MiB,
 * where huge pages are always used. Pages in use from before the trace are known only when they are freed; until then
 * a granule may count as free despite one.
 *
 * Throws TypeError or RangeError.
 */
export function mimalloc(options: MimallocOptions = {}): Policy {
  const { version = "3", ...given } = readOptions("options", options, ["purgeDelayMs", "version"]);
  if (version !== "2" && version !== "3") refuse("options.version", version, '"2" or "3"', "string");
  const { purgeDelayMs = VERSIONS[version].delayMs } = given;
  integer("options.purgeDelayMs", purgeDelayMs, -1, 2 ** 31 - 1);
  return {
    name: policyName("mimalloc", { version, purgeDelayMs }),
    start(heap) {
      if (purgeDelayMs >= 0) purgeOn(heap, version, purgeDelayMs * MS);
    },
  };
}

/** What is noted in a part of the heap: numbers of granules. */
interface Span {
  readonly deadline: PurgeDeadline;
  readonly noted: Set<number>;
}

/** Purges what a heap has freed. */
function purgeOn(heap: PolicyHeap, version: MimallocVersion, delayNs: number): void {
  const { pageSize } = heap;
  const { extendMs, reuseRestarts, spanBytes } = VERSIONS[version];
  const granule = Math.max(GRANULE, pageSize, heap.physPageSize);
  const granulePages = granule / pageSize;
  const spanGranules = Math.max(1, spanBytes / granule);
  const inUse = new PageSet();
  const spans = new Map<number, Span>();

  const spanOf = (index: number): Span => {
    let span = spans.get(index);
    if (!span) {
      span = { deadline: new PurgeDeadline(delayNs, extendMs * MS), noted: new Set() };
      spans.set(index, span);
    }
    return span;
  };
  /** Calls `visit` for the part of the granules [first, end) in each span, lowest first. */
  const eachSpan = (first: number, end: number, visit: (span: Span, from: number, to: number) => void) => {
    for (let from = first; from < end; ) {
      const index = Math.floor(from / spanGranules);
      const to = Math.min(end, (index + 1) * spanGranules);
      visit(spanOf(index), from, to);
      from = to;
    }
  };
  const purge = (span: Span) => {
    const granules = [...span.noted].sort((a, b) => a - b);
    span.noted.clear();
    for (let i = 0; i < granules.length; ) {
      const first = granules[i];
      let count = 1;
      while (granules[i + count] === first + count) count++;
      heap.release(first * granule, count * granule);
      i += count;
    }
  };

  heap.onAlloc((base, nbytes) => {
    inUse.add(base / pageSize, (base + nbytes) / pageSize);
    eachSpan(Math.floor(base / granule), Math.ceil((base + nbytes) / granule), (span, from, to) => {
      if (span.noted.size === 0) return;
      let isReused = false;
      for (let g = from; g < to; g++) if (span.noted.delete(g)) isReused = true;
      if (isReused && reuseRestarts) span.deadline.restart(heap.now);
    });
  });
  heap.onFree((base, nbytes) => {
    inUse.delete(base / pageSize, (base + nbytes) / pageSize);
    eachSpan(Math.floor(base / granule), Math.ceil((base + nbytes) / granule), (span, from, to) => {
      let isNoted = false;
      for (let g = from; g < to; g++) {
        if (!inUse.hasNone(g * granulePages, (g + 1) * granulePages)) continue;
        span.noted.add(g);
        isNoted = true;
      }
      if (isNoted && span.deadline.free(heap.now)) purge(span);
    });
  });
}

/** When what is noted is to be purged. Times in ns. */
export class PurgeDeadline {
  readonly #delay: number;
  readonly #extend: number;
  /** NaN if nothing was noted since the last purge. */
  #time = NaN;

  /**
   * @param delay from the first free to the deadline; 0 for none
   * @param extend by how much later frees move it
   */
  constructor(delay: number, extend: number) {
    this.#delay = delay;
    this.#extend = extend;
  }

  /** Notes a free. Returns whether to purge, with which the deadline is off. */
  free(now: number): boolean {
    if (this.#delay === 0) return true;
    if (Number.isNaN(this.#time)) {
      this.#time = now + this.#delay;
    } else if (now < this.#time) {
      this.#time += this.#extend;
    } else if (now < this.#time + this.#extend) {
      this.#time = now + this.#extend;
    } else {
      this.#time = NaN;
      return true;
    }
    return false;
  }

  /** Sets the deadline as if this were the first free. */
  restart(now: number): void {
    this.#time = now + this.#delay;
  }
}

/** A set of pages, made for runs. */
class PageSet {
  readonly #blocks = new Map<number, Uint8Array>();

  /** Adds the pages [first, end). */
  add(first: number, end: number): void {
    this.#eachBlock(first, end, (index, from, to) => {
      let block = this.#blocks.get(index);
      if (!block) {
        block = new Uint8Array(BLOCK);
        this.#blocks.set(index, block);
      }
      block.fill(1, from, to);
    });
  }

  /** Takes the pages [first, end) out. */
  delete(first: number, end: number): void {
    this.#eachBlock(first, end, (index, from, to) => {
      this.#blocks.get(index)?.fill(0, from, to);
    });
  }

  /** Reports whether none of the pages [first, end) is in it. */
  hasNone(first: number, end: number): boolean {
    let isNone = true;
    this.#eachBlock(first, end, (index, from, to) => {
      const block = this.#blocks.get(index);
      for (let i = from; block && isNone && i < to; i++) isNone = block[i] === 0;
    });
    return isNone;
  }

  #eachBlock(first: number, end: number, visit: (index: number, from: number, to: number) => void): void {
    for (let page = first; page < end; ) {
      const index = Math.floor(page / BLOCK);
      const to = Math.min(end, (index + 1) * BLOCK);
      visit(index, page - index * BLOCK, to - index * BLOCK);
      page = to;
    }
  }
}
