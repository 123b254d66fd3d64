// Tells people what a file is that is not a trace, and how to record one.

/** Returns a message about a file of no known format, by its first bytes. */
export function describeUnknown(start: Uint8Array): string {
  return `byte 0: this is no trace that can be read; it has ${start.length} bytes or more`;
}
