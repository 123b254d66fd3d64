// Writes what the command has to say. Every write is waited for, so that none is lost without a word.

import type { Writable } from "node:stream";

/** A write to the output that failed: `code` is the system's. */
export class OutputError extends Error {
  readonly code: string | undefined;

  constructor(cause: NodeJS.ErrnoException) {
    super(cause.message, { cause });
    this.code = cause.code;
  }
}

/** Writes the text, and waits until the system has it. Rejects with OutputError. */
export function print(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error) reject(new OutputError(error));
      else resolve();
    });
  });
}

/** Writes one line about what went wrong. Where it can't be written there is nobody to tell. */
export function complain(stream: Writable, line: string): Promise<void> {
  return print(stream, `palloc: ${line}\n`).catch(() => {});
}
