// `palloc/trace`: reads what programs did with their pages, and replays it on a heap of either engine.

export { PageAllocError } from "./base/errors.ts";
export type { GcEvents, ObjectCounts, PageTrace, TraceCorrections, TraceFormat } from "./trace/events.ts";
export { type ReadPageTraceOptions, readPageTrace } from "./trace/formats/go-page-trace/read.ts";
export { writePageTrace } from "./trace/formats/go-page-trace/write.ts";
export { writeTrace } from "./trace/formats/neutral/write.ts";
export { openTrace, type ReadOptions, readTrace, type TraceStream } from "./trace/read.ts";
export type { ReplayOptions, ReplayStreamOptions } from "./trace/replay/options.ts";
export { replay } from "./trace/replay/replay.ts";
export type { ReplayReport } from "./trace/replay/run.ts";
export type { TraceSource } from "./trace/source/source.ts";
export type { BlockSource } from "./trace/written.ts";
