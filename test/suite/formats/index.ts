// The suites of the trace formats, one a format.
import type { Subject } from "../../support/subject.ts";
import { unknownSuite } from "./unknown.ts";

export function formatsSuite(subject: Subject): void {
  unknownSuite(subject);
}
