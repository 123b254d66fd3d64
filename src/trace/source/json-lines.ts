// Lines of JSON in the log of Go's scavenger and collector: an object each, whose key k says of what it is.

import type { Lines } from "./lines.ts";

/** Returns the fields of the current line. Throws PageAllocError ERR_TRACE unless it is an object with the key k. */
export function fieldsOf(lines: Lines): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(lines.text());
  } catch {
    throw lines.error("a JSON object with the key k");
  }
  if (typeof value === "object" && value !== null && "k" in value) return value as Record<string, unknown>;
  throw lines.error("a JSON object with the key k");
}

/** Checks for a number of 0 or more. `what` says it in the error. Throws PageAllocError ERR_TRACE. */
export function numberOf(lines: Lines, value: unknown, what: string): number {
  if (typeof value === "number" && value >= 0 && Number.isFinite(value)) return value;
  throw lines.error(what);
}
