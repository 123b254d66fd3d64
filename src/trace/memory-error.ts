// What a reader throws when memory is full.

import { PageAllocError } from "../base/errors.ts";

/**
 * Returns the error to throw for one from code that allocates: a RangeError there means that memory is full.
 *
 * @param where what has been read, such as "byte 12"
 */
export function memoryError(error: unknown, where: string): unknown {
  if (!(error instanceof RangeError)) return error;
  const reason = `the trace is too long for the memory that is left (${error.message})`;
  return new PageAllocError("ERR_TRACE", `${where}: ${reason}`, { cause: error });
}
