// `palloc/trace`: reads page traces of Go programs, and replays them on a heap of either engine.

export { PageAllocError } from "./base/errors.ts";
export type { PageTrace } from "./trace/events.ts";
export { type ReadPageTraceOptions, readPageTrace } from "./trace/formats/go-page-trace/read.ts";
export type { TraceSource } from "./trace/formats/source.ts";
export { type ReplayOptions, type ReplayReport, replay } from "./trace/replay/replay.ts";
