// `palloc/trace`: reads page traces of Go programs and replays them on a heap of either engine.

export { PageAllocError } from "./errors.ts";
export type { PageTrace } from "./trace/format.ts";
export { type ReadPageTraceOptions, readPageTrace } from "./trace/read.ts";
export { type ReplayOptions, type ReplayReport, replay } from "./trace/replay.ts";
export type { TraceSource } from "./trace/source.ts";
