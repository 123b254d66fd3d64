// The suites of the trace formats, one a format.
import type { Subject } from "../../support/subject.ts";
import { pytorchSuite } from "./pytorch.ts";

export function formatsSuite(subject: Subject): void {
  pytorchSuite(subject);
}
