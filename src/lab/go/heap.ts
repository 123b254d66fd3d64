// A heap with one of Go's scavengers beside it.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { countOrInfinity, readOptions, refuse } from "../../base/arguments.ts";
import { CORE } from "../../heap/core.ts";
import { checkEngine } from "../../trace/replay/options.ts";
import { type Watcher, watched } from "../watch.ts";
import { Downward } from "./downward.ts";
import { Generations } from "./generations.ts";
import { ByBits, ByDensity } from "./indexed.ts";
import type { OnRelease, Scavenger } from "./scavenger.ts";
import { GO_VERSIONS, type GoVersion, readVersion } from "./versions.ts";

/** Options of a heap with a scavenger of Go. */
export interface GoHeapOptions {
  /** Whose scavenger it is. 1.21 and 1.22 differ in `pace` only. */
  version: GoVersion;
  /** Those of `PageAlloc`, in bytes. */
  physPageSize?: number;
  physHugePageSize?: number;
}

/** Options of `GoHeap.scavenge`. */
export interface GoScavengeOptions {
  /** 1.21 and later: release also what the background scavenger leaves alone. Default false. */
  force?: boolean;
  /** Called after each release, in order, with its address and bytes. It must not throw. */
  onRelease?: OnRelease;
}

/**
 * A heap with pages of 8 KiB and one of Go's scavengers beside it, which sees every call on the heap and its page
 * caches. Such calls take a few ns more than without.
 */
export class GoHeap {
  /** The heap. Its own `scavenge` goes its own way. */
  readonly heap: PageAlloc;
  readonly #scavenger: Scavenger;

  /** `engine` is the class of the heap. Throws TypeError or RangeError, and what `new PageAlloc` throws. */
  constructor(engine: typeof PageAlloc, options: GoHeapOptions) {
    checkEngine(engine);
    const known = ["version", "physPageSize", "physHugePageSize"] as const;
    const { version, ...sizes } = readOptions("options", options, known);
    readVersion("options.version", version as GoVersion, GO_VERSIONS);
    let scavenger: Scavenger | undefined;
    const Heap = watched(
      engine,
      watcherOf(() => scavenger),
    );
    this.heap = new Heap(sizes);
    scavenger = scavengerOf(this.heap, version as GoVersion);
    this.#scavenger = scavenger;
  }

  /**
   * 1.21 and later: marking has ended, the index moves on. 1.15: sweeping has ended, a generation begins. 1.14: marking
   * has ended with a goal set, the scavenger begins again at the top. 1.19 does not care. Throws PageAllocError
   * ERR_DISPOSED.
   */
  nextGen(): void {
    this.heap[CORE].mustBeThere();
    this.#scavenger.nextGen();
  }

  /**
   * Releases free pages as Go's scavenger chooses them, until there are nbytes (0 or more, or Infinity), or none are
   * left for it. May release more, to keep a huge page whole. Returns the bytes. Throws TypeError or RangeError;
   * PageAllocError ERR_DISPOSED.
   */
  scavenge(nbytes: number, options?: GoScavengeOptions): number {
    countOrInfinity("nbytes", nbytes);
    const { force = false, onRelease } = readOptions("options", options, ["force", "onRelease"]);
    if (typeof force !== "boolean") refuse("options.force", force, "a boolean");
    if (onRelease !== undefined && typeof onRelease !== "function") {
      refuse("options.onRelease", onRelease, "a function or undefined");
    }
    this.heap[CORE].mustBeThere();
    return this.#scavenger.scavenge(nbytes, force, onRelease);
  }
}

/** Returns the scavenger of a version, for a heap whose changes it is told of from now on. */
export function scavengerOf(heap: PageAlloc, version: GoVersion): Scavenger {
  const core = heap[CORE];
  if (version === "1.14") return new Downward(core);
  if (version === "1.15") return new Generations(core);
  const instance = (heap.constructor as typeof PageAlloc).instance();
  return version === "1.19" ? new ByBits(core, instance) : new ByDensity(core, instance);
}

/** Passes changes on to a scavenger, which is made after its heap. */
export function watcherOf(scavenger: () => Scavenger | undefined): Watcher {
  return {
    grown: (page, npages) => scavenger()?.grown?.(page, npages),
    unmapped: (page, npages) => scavenger()?.unmapped?.(page, npages),
    taken: (page, npages) => scavenger()?.taken?.(page, npages),
    freed: (page, npages) => scavenger()?.freed?.(page, npages),
    cached: (page, low, high) => scavenger()?.cached?.(page, onesIn(low) + onesIn(high)),
    flushed: (page, low, high) => scavenger()?.flushed?.(page, low, high),
  };
}

/** Returns how many bits of a 32-bit word are 1. */
function onesIn(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
