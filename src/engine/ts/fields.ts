// The header's fields as calls change them that can be undone. Commits spell out theirs.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Adds to a u32 of the header; what is negative takes away. */
export function count({ i32 }: Memory, heap: number, amount: number, counter: number): void {
  i32[(heap + counter) >>> 2] += amount;
}

/** Lowers searchAddr to a page that becomes free. */
export function lowerSearch(memory: Memory, heap: number, chunk: number, index: number): void {
  const { i32 } = memory;
  const searchChunk = i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2];
  if (
    chunk > searchChunk ||
    (chunk === searchChunk && index >= i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2])
  )
    return;
  i32[(heap + layout.HEADER_SEARCH_CHUNK) >>> 2] = chunk;
  i32[(heap + layout.HEADER_SEARCH_INDEX) >>> 2] = index;
}
