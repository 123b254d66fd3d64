// Changes of the header's fields.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import type { u32, usize } from "../ts/builtins.ts";

/** Adds to a u32 of the header. A negative amount subtracts. */
// @inline
export function count(memory: Memory, heap: usize, amount: u32, counter: usize): void {
  const { i32 } = memory;
  i32[(heap + counter) >>> 2] = i32[(heap + counter) >>> 2] + amount;
}

/** Lowers searchAddr to a page that becomes free, unless it is lower already. */
// @inline
export function lowerSearch(memory: Memory, heap: usize, chunk: u32, index: u32): void {
  const { i32 } = memory;
  const searched = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  if (chunk < searched || (chunk === searched && index < i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2])) {
    i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2] = chunk;
    i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = index;
  }
}

/** Moves scavAddr to the top of the heap. */
// @inline
export function toTop(memory: Memory, heap: usize): void {
  const { i32, f64 } = memory;
  f64[(heap + layout.HEADER_SCAV_END) >>> 3] = f64[(heap + layout.HEADER_TOP) >>> 3];
  i32[(heap + layout.HEADER_SCAV_STRICT) >>> 2] = 0;
  count(memory, heap, 1, layout.HEADER_SCAV_GENERATION);
}
