// The same assertions as in assembly/assertions.ts. Each use is behind PALLOC_DEBUG, so the package's builds leave it
// out.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

/** Throws unless `holds`. */
export function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(`assertion failed: ${what}`);
}

/** Asserts that a range of bits is at least one bit long and lies within a bitmap. */
export function assertRange(i: number, n: number): void {
  assert(n >= 1 && i >= 0 && i + n <= layout.CHUNK_PAGES, `[${i}, ${i} + ${n}) is a range of a bitmap`);
}

/** Asserts that the lock is held. In a plain heap, a call that is one call of the engine does not take it. */
export function assertHeld({ i32 }: Memory, heap: number): void {
  const isHeld = i32[(heap + layout.HEADER_LOCK) >>> 2] !== 0;
  assert(isHeld || !i32[(heap + layout.HEADER_SHARED) >>> 2], "the caller holds the lock");
}
