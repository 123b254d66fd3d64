// All suites that run on one engine.
import type { Subject } from "../support/subject.ts";
import { arenaSuite } from "./arena.ts";
import { badInputSuite } from "./bad-input.ts";
import { cachesSuite } from "./caches.ts";
import { correctionsSuite } from "./corrections.ts";
import { formatsSuite } from "./formats/index.ts";
import { goldenSuite } from "./golden.ts";
import { heapSuite } from "./heap.ts";
import { holesSuite } from "./holes.ts";
import { hooksSuite } from "./hooks.ts";
import { kernelsSuite } from "./kernels.ts";
import { labSimulateSuite } from "./lab-simulate.ts";
import { memorySuite } from "./memory.ts";
import { pictureSuite } from "./picture.ts";
import { replaySuite } from "./replay.ts";
import { replayBlocksSuite } from "./replay-blocks.ts";
import { replayKindsSuite } from "./replay-kinds.ts";
import { runSuite } from "./run.ts";
import { snapshotSuite } from "./snapshot.ts";
import { tablesSuite } from "./tables.ts";
import { traceSuite } from "./trace.ts";
import { traceBlocksSuite } from "./trace-blocks.ts";
import { traceInputSuite } from "./trace-inputs.ts";

export function everySuite(subject: Subject): void {
  goldenSuite(subject);
  tablesSuite(subject);
  kernelsSuite(subject);
  heapSuite(subject);
  holesSuite(subject);
  correctionsSuite(subject);
  cachesSuite(subject);
  hooksSuite(subject);
  runSuite(subject);
  snapshotSuite(subject);
  memorySuite(subject);
  pictureSuite(subject);
  badInputSuite(subject);
  arenaSuite(subject);
  traceSuite(subject);
  traceBlocksSuite(subject);
  traceInputSuite(subject);
  replaySuite(subject);
  replayKindsSuite(subject);
  replayBlocksSuite(subject);
  formatsSuite(subject);
  labSimulateSuite(subject);
}
