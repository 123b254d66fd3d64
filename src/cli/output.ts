// Writes the command's output. Waits for every write, so that no failure goes unnoticed.

import type { Writable } from "node:stream";

/** A failed write to the output. `code` is the system's error code. */
export class OutputError extends Error {
  readonly code: string | undefined;

  constructor(cause: NodeJS.ErrnoException) {
    super(cause.message, { cause });
    this.code = cause.code;
  }
}

/** Writes text or bytes, and waits until the system has accepted them. Rejects with OutputError. */
export function print(stream: Writable, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error) reject(new OutputError(error));
      else resolve();
    });
  });
}

/** Writes one line about an error. Ignores a failed write, as there is nowhere left to report it. */
export function complain(stream: Writable, line: string): Promise<void> {
  return print(stream, `palloc: ${line}\n`).catch(() => {});
}
