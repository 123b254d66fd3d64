// The same assertions as in assembly/assertions.ts. PALLOC_DEBUG is true only in the tests' debug run. Builds define it
// as false, and so leave the assertions out.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

declare global {
  /** Whether the engine checks its assertions. */
  const PALLOC_DEBUG: boolean;
}

/** Throws unless `holds`. */
export function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(`assertion failed: ${what}`);
}

/** Asserts that a range of bits is at least one bit long and lies within a bitmap. */
export function assertRange(i: number, n: number): void {
  assert(n >= 1 && i >= 0 && i + n <= layout.CHUNK_PAGES, `[${i}, ${i} + ${n}) is a range of a bitmap`);
}

/** Asserts that the lock is held. */
export function assertHeld({ i32 }: Memory, heap: number): void {
  assert(i32[(heap + layout.HEADER_LOCK) >>> 2] !== 0, "the caller holds the lock");
}
