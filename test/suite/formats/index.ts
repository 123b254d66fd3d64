// The suites of the trace formats, one a format.
import type { Subject } from "../../support/subject.ts";

export function formatsSuite(_subject: Subject): void {}
