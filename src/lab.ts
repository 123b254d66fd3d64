// `palloc/lab`: what a scavenger of Go, or of another allocator, would do with a program's memory.

export { PageAllocError } from "./base/errors.ts";
export { BackgroundLoop, type BackgroundLoopOptions, type Run } from "./lab/go/background-loop.ts";
export { GoHeap, type GoHeapOptions, type GoScavengeOptions } from "./lab/go/heap.ts";
export { type Goals, type PaceInput, pace } from "./lab/go/pace.ts";
export { PiController, type PiControllerOptions } from "./lab/go/pi-controller.ts";
export { type IndexVersion, ScavengeIndex, type ScavengeIndexState } from "./lab/go/scavenge-index.ts";
export type { OnRelease } from "./lab/go/scavenger.ts";
export type { GoVersion } from "./lab/go/versions.ts";
