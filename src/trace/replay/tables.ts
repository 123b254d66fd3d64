// Tables of numbers that grow.

import { PageAllocError } from "../../base/errors.ts";

/** Returns a table of twice the length that starts with the given one. Throws PageAllocError ERR_TRACE. */
export function longer<Table extends Int32Array | Float64Array>(table: Table): Table {
  const length = 2 * table.length;
  try {
    const next = table instanceof Int32Array ? new Int32Array(length) : new Float64Array(length);
    next.set(table);
    return next as Table;
  } catch (cause) {
    const reason = `the trace is too long to replay: no memory for a table of ${length} numbers`;
    throw new PageAllocError("ERR_TRACE", reason, { cause });
  }
}
