// `palloc/lab`: what a scavenger of Go, or of another allocator, would do with a program's memory.

export { PageAllocError } from "./base/errors.ts";
export { COSTS, type Costs } from "./lab/costs.ts";
export { BackgroundLoop, type BackgroundLoopOptions, type Run } from "./lab/go/background-loop.ts";
export { GoHeap, type GoHeapOptions, type GoScavengeOptions } from "./lab/go/heap.ts";
export { type Goals, type PaceInput, pace } from "./lab/go/pace.ts";
export { PiController, type PiControllerOptions } from "./lab/go/pi-controller.ts";
export { type GoOptions, type GoPolicy, go } from "./lab/go/policy.ts";
export { type IndexVersion, ScavengeIndex, type ScavengeIndexState } from "./lab/go/scavenge-index.ts";
export type { OnRelease } from "./lab/go/scavenger.ts";
export type { GoVersion } from "./lab/go/versions.ts";
export { POLICIES, type PolicyKind, type PolicyOption, parsePolicy } from "./lab/kinds.ts";
export { type LogStep, readScavengeLog, type ScavengeLog } from "./lab/log.ts";
export { type ClairvoyantOptions, clairvoyant, type ForeseeingPolicy } from "./lab/policies/clairvoyant.ts";
export { type JemallocOptions, jemalloc } from "./lab/policies/jemalloc.ts";
export { type MimallocOptions, type MimallocVersion, mimalloc } from "./lab/policies/mimalloc.ts";
export { type PytorchOptions, pytorch } from "./lab/policies/pytorch.ts";
export { all, type GoalOptions, goal, none, recorded } from "./lab/policies/simple.ts";
export { type TcmallocOptions, tcmalloc } from "./lab/policies/tcmalloc.ts";
export type { FreeRun, GcCycle, HugePage, Policy, PolicyHeap } from "./lab/policy.ts";
export {
  type SimulateMode,
  type SimulateOptions,
  type SimulateReport,
  type SimulateStreamOptions,
  simulate,
} from "./lab/simulate.ts";
