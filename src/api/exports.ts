// What both engines' entries export besides the classes that are bound to one of them.

export { PageAllocError, type PageAllocErrorCode } from "../base/errors.ts";
export { CHUNK_PAGES } from "../engine/layout.ts";
export type { Sys } from "../heap/core.ts";
export type { ChunkRanges, PageRange } from "../heap/ranges.ts";
export type { PageAllocHandle } from "../store/shared-memories.ts";
export { Op, type RunOptions } from "./batch.ts";
export type { PageAllocOptions, PageAllocStats } from "./page-alloc.ts";
export { PageCache } from "./page-cache.ts";
export type { PageBits, PallocSum } from "./palloc-data.ts";
