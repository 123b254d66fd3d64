// Errors about an execution trace. All name the byte.

import { PageAllocError } from "../../../base/errors.ts";

/** Throws PageAllocError ERR_TRACE that names a byte of the file, after unpacking. */
export function fail(byte: number, reason: string): never {
  throw new PageAllocError("ERR_TRACE", `byte ${byte}: ${reason}`);
}

/** Throws the error for a trace without the events of the experiment. */
export function failWithoutPages(): never {
  const advice = "record one by GODEBUG=traceallocfree=1 go test -trace=FILE, with Go 1.23 or later";
  fail(0, `this is a Go execution trace without page events; ${advice}`);
}
