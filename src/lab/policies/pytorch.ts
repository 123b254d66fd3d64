// The policy of PyTorch's caching allocator for CUDA: it keeps all, until a share of the device's memory is in its
// hands, or the device has no more.

import { readOptions, refuse } from "../../base/arguments.ts";
import type { FreeRun, Policy, PolicyHeap } from "../policy.ts";
import { policyName } from "../policy-name.ts";

/** What the device gives and takes: multiples of so many bytes (kSmallBuffer). */
const SEGMENT_UNIT = 2 ** 21;
/** What is mapped and unmapped of an expandable segment of the large pool (kLargeBuffer). */
const EXPANDABLE_UNIT = 20 * 2 ** 20;

/** Options of `pytorch`. */
export interface PytorchOptions {
  /** garbage_collection_threshold: a share of the memory limit, from 0 to less than 1. Default: 0, which is off. */
  gcThreshold?: number;
  /** expandable_segments. Default: false. */
  expandable?: boolean;
}

/**
 * The policy of PyTorch (CUDACachingAllocator.cpp; rounds: pytorch#74261). The device's memory is the heap's
 * `memoryLimit`; without one, nothing is released. An allocation that takes memory that was released, or never touched,
 * asks the device.
 *
 * If more than `gcThreshold` of the limit had been taken before that, free blocks are released in rounds: all whose age
 * is the mean or more, until what is above the threshold has come back. The age counts allocations since the last
 * free. A round is not cut short. If more than the limit is taken then, the rest is released, the oldest first, until
 * it is not.
 *
 * A block is what a free run has of whole units of 2 MiB, since PyTorch gives back whole segments only. With
 * `expandable`, units are 20 MiB, and there are no rounds: PyTorch's do not touch such segments. Units count from
 * address 0. Left out: the small pool, streams and private pools; that PyTorch asks before it allocates, not after, and
 * releases all when the device has no more.
 *
 * Throws TypeError or RangeError.
 */
export function pytorch(options: PytorchOptions = {}): Policy {
  const { gcThreshold = 0, expandable = false } = readOptions("options", options, [
    "gcThreshold",
    "expandable",
  ]);
  if (!(typeof gcThreshold === "number" && gcThreshold >= 0 && gcThreshold < 1)) {
    refuse("options.gcThreshold", gcThreshold, "a number from 0 to less than 1", "number");
  }
  if (typeof expandable !== "boolean") refuse("options.expandable", expandable, "a boolean");
  return {
    name: policyName("pytorch", { gcThreshold, expandable: expandable || undefined }),
    start(heap) {
      if (heap.memoryLimit < Infinity) cacheBlocks(heap, expandable ? 0 : gcThreshold, expandable);
    },
  };
}

/** Releases when a heap takes too much. */
function cacheBlocks(heap: PolicyHeap, gcThreshold: number, expandable: boolean): void {
  const unit = expandable ? EXPANDABLE_UNIT : SEGMENT_UNIT;
  const mostBytes = Math.floor(gcThreshold * heap.memoryLimit);
  const searches = new SearchLog();
  const retained = () => heap.inUseBytes + heap.freeBytes;
  heap.onAlloc((_base, _nbytes, faultedBytes) => {
    if (gcThreshold > 0) searches.add(heap.now);
    if (faultedBytes === 0) return;
    const excess = retained() - faultedBytes - mostBytes;
    if (gcThreshold > 0 && excess > 0) {
      const blocks = blocksOf(heap, unit).map(({ base, nbytes, freedAt }) => {
        return { base, nbytes, age: searches.after(freedAt) };
      });
      for (const { base, nbytes } of meanAgeRounds(blocks, excess)) heap.release(base, nbytes);
    }
    if (retained() > heap.memoryLimit) releaseOldest(heap, unit, retained() - heap.memoryLimit);
  });
}

/** Releases units, the oldest first, until there are `nbytes`. */
function releaseOldest(heap: PolicyHeap, unit: number, nbytes: number): void {
  let left = nbytes;
  for (const block of blocksOf(heap, unit).sort((a, b) => a.freedAt - b.freedAt)) {
    if (left <= 0) return;
    left -= heap.release(block.base, Math.min(block.nbytes, Math.ceil(left / unit) * unit));
  }
}

/** Returns what the free runs have of whole units, lowest first. */
function blocksOf(heap: PolicyHeap, unit: number): FreeRun[] {
  const blocks: FreeRun[] = [];
  for (const { base, nbytes, freedAt } of heap.freeRuns()) {
    const start = Math.ceil(base / unit) * unit;
    const end = Math.floor((base + nbytes) / unit) * unit;
    if (start < end) blocks.push({ base: start, nbytes: end - start, freedAt });
  }
  return blocks;
}

/** A block as its collector sees it: the age is the searches since it was freed. */
export interface AgedBlock {
  readonly nbytes: number;
  readonly age: number;
}

/**
 * Returns the blocks that the collector takes to have `nbytes` or more, in order (garbage_collect_cached_blocks). Each
 * round takes all of the rest whose age is the mean of the rest, or more.
 */
export function meanAgeRounds<T extends AgedBlock>(blocks: readonly T[], nbytes: number): T[] {
  const taken: T[] = [];
  let rest = blocks;
  let left = nbytes;
  while (left > 0 && rest.length > 0) {
    const mean = rest.reduce((sum, block) => sum + block.age, 0) / rest.length;
    const kept: T[] = [];
    for (const block of rest) {
      if (block.age < mean) {
        kept.push(block);
        continue;
      }
      taken.push(block);
      left -= block.nbytes;
    }
    rest = kept;
  }
  return taken;
}

/** When each search for a block was. */
export class SearchLog {
  readonly #times: number[] = [];

  /** Notes a search. Times do not decrease. */
  add(time: number): void {
    this.#times.push(time);
  }

  /** Returns the number of searches after a time. */
  after(time: number): number {
    const times = this.#times;
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[middle] > time) high = middle;
      else low = middle + 1;
    }
    return times.length - low;
  }
}
