// What both engines' entries export besides the classes that are bound to one of them.

export type { Sys } from "./core.ts";
export { PageAllocError, type PageAllocErrorCode } from "./errors.ts";
export { CHUNK_PAGES } from "./layout.ts";
export type { PageAllocOptions, PageAllocStats } from "./page-alloc.ts";
export { PageCache } from "./page-cache.ts";
export type { PageBits, PallocSum } from "./palloc-data.ts";
export type { ChunkRanges, PageRange } from "./ranges.ts";
export { Op, type RunOptions } from "./run.ts";
export type { PageAllocHandle } from "./shared.ts";
