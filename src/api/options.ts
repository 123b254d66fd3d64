// The options of a heap, and their checks.

import { countOrInfinity, integer, powerOfTwo, readOptions, refuse } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { MEMORY_PAGE } from "../engine/memory.ts";
import { capHugePages, leastAddrBits, mostAddrBits } from "../engine/pages.ts";
import { NO_HOOKS, type Sys } from "../heap/sys.ts";
import type { Geometry } from "../store/header.ts";

/** Options of a new heap. */
export interface PageAllocOptions {
  /**
   * Bytes per page; a power of two, 1 to 2**39. Default 8192. Addresses end at 2**48, or after 2**39 pages if that is
   * less: at 2**43 for pages of 16 bytes.
   */
  pageSize?: number;
  /**
   * Bytes per page of the system below, which takes memory back in such units; a power of two, at most 512 pages (one
   * chunk). Default 4096, or 512 pages if that is less. For larger units see `scavengeRange`.
   */
  physPageSize?: number;
  /** Bytes per huge page of that system, a power of two, or 0 for none. Default 2 MiB. */
  physHugePageSize?: number;
  /**
   * Addresses are below 2**heapAddrBits: 32 to 48, with room for 1 to 2**30 chunks. Default and most: 48, or 39 +
   * log2(pageSize) if that is less.
   */
  heapAddrBits?: number;
  /**
   * Keeps the state in shared memory, so that other workers can `attach`. Default false. Needs SharedArrayBuffer, and
   * so cross-origin isolation in a page.
   */
  shared?: boolean;
  /**
   * Shared heaps: the most bytes that bookkeeping may take, 64 KiB to 1 GiB. Reserves address space; only what is used
   * takes memory. Default 64 MiB, enough for 480,000 chunks: 1.8 TiB in pages of 8 KiB.
   */
  metadataLimit?: number;
  /** Shared heaps: how long a call of this object waits for the lock, in ms, or Infinity. Default 10,000. */
  lockTimeoutMs?: number;
  /** What the heap tells the system that backs its pages. */
  sys?: Sys;
}

/** Options of an alloc. */
export interface AllocOptions {
  /** The base is a multiple of this many pages; a power of two, 1 to 2**20. Default 1. */
  align?: number;
}

/** Returns the alignment of an alloc, in pages. Throws TypeError or RangeError. */
export function readAlign(options: AllocOptions | undefined): number {
  const { align = 1 } = readOptions("options", options, ["align"]);
  return powerOfTwo("options.align", align, 1, layout.MAX_ALIGN);
}

/** Names of the options that stay with a heap, and of those that belong to a heap object. */
export const GEOMETRY = ["pageSize", "physPageSize", "physHugePageSize", "heapAddrBits"] as const;
export const SHARING = ["shared", "metadataLimit", "lockTimeoutMs", "sys"] as const;

/** Checks the options that stay with a heap. Throws TypeError or RangeError. */
export function readGeometry(options: PageAllocOptions): Geometry {
  const { pageSize = 8192, physHugePageSize = 2 ** 21 } = options;
  powerOfTwo("options.pageSize", pageSize, 1, 2 ** 39);
  const pageShift = Math.log2(pageSize);
  const most = mostAddrBits(pageShift);
  const { heapAddrBits = most, physPageSize = Math.min(4096, layout.CHUNK_PAGES * pageSize) } = options;
  const name = `options.heapAddrBits for pages of ${pageSize} bytes`;
  integer(name, heapAddrBits, leastAddrBits(pageShift), most);
  powerOfTwo("options.physPageSize", physPageSize, 1, layout.CHUNK_PAGES * pageSize);
  if (physHugePageSize !== 0) powerOfTwo("options.physHugePageSize", physHugePageSize, 1, 2 ** 48);
  const whole = physHugePageSize > pageSize && physHugePageSize > physPageSize;
  return {
    pageShift,
    addrBits: heapAddrBits,
    minPages: Math.max(1, physPageSize / pageSize),
    hugePages: whole ? capHugePages(physHugePageSize / pageSize) : 0,
  };
}

/** Checks the options for sharing a heap between threads. Throws TypeError or RangeError. */
export function readSharing({
  shared = false,
  metadataLimit = 2 ** 26,
  lockTimeoutMs = 10_000,
}: PageAllocOptions) {
  if (typeof shared !== "boolean") refuse("options.shared", shared, "a boolean");
  integer("options.metadataLimit", metadataLimit, MEMORY_PAGE, 2 ** 30);
  countOrInfinity("options.lockTimeoutMs", lockTimeoutMs);
  return { shared, metadataLimit: Math.ceil(metadataLimit / MEMORY_PAGE) * MEMORY_PAGE, lockTimeoutMs };
}

/** Checks the hooks. The object may have other properties, but no misspelt hook. Throws TypeError. */
export function readSys(sys: Sys | undefined): Sys {
  if (sys === undefined) return NO_HOOKS;
  for (const [name, hook] of Object.entries(readOptions("options.sys", sys, ["unused", "used"], true))) {
    if (hook !== undefined && typeof hook !== "function")
      refuse(`options.sys.${name}`, hook, "a function or undefined");
  }
  return sys;
}
