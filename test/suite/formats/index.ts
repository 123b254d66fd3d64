// The suites of the trace formats, one a format.
import type { Subject } from "../../support/subject.ts";
import { mallocSuite } from "./malloc.ts";
import { perfKmemSuite } from "./perf-kmem.ts";

export function formatsSuite(subject: Subject): void {
  mallocSuite(subject);
  perfKmemSuite(subject);
}
