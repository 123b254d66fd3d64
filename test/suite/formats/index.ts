// The suites of the trace formats, one a format.
import type { Subject } from "../../support/subject.ts";
import { correctionCountsSuite } from "./corrections.ts";
import { gcLogSuite } from "./gc-log.ts";
import { goExecSuite } from "./go-exec.ts";
import { mallocSuite } from "./malloc.ts";
import { neutralSuite } from "./neutral.ts";
import { perfKmemSuite } from "./perf-kmem.ts";
import { pytorchSuite } from "./pytorch.ts";
import { unknownSuite } from "./unknown.ts";

export function formatsSuite(subject: Subject): void {
  correctionCountsSuite(subject);
  gcLogSuite(subject);
  goExecSuite(subject);
  mallocSuite(subject);
  neutralSuite(subject);
  perfKmemSuite(subject);
  pytorchSuite(subject);
  unknownSuite(subject);
}
