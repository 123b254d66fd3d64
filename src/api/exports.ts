// What the entries of both engines export, besides the classes that are bound to one engine.

export { PageAllocError, type PageAllocErrorCode } from "../base/errors.ts";
export { CHUNK_PAGES } from "../engine/layout.ts";
export type { PageRange } from "../engine/pages.ts";
export type { FreeRun } from "../heap/free-runs.ts";
export type { ChunkRanges } from "../heap/ranges.ts";
export type { Sys } from "../heap/sys.ts";
export type { PageAllocHandle } from "../store/shared-memories.ts";
export type { PallocSum } from "../store/sums.ts";
export type { RunOptions } from "./batch.ts";
export { Op } from "./operations.ts";
export type { AllocOptions, PageAllocOptions } from "./options.ts";
export { PageCache } from "./page-cache.ts";
export type { ScanKernel } from "./palloc-chunks.ts";
export type { PageBits } from "./palloc-data.ts";
export type { PageAllocStats } from "./stats.ts";
