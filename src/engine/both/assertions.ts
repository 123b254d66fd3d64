// Assertions, for debug builds only: each is called behind PALLOC_DEBUG. `npm run test:long` runs the suite on those.
// One that fails traps in WebAssembly, and throws in the twin.

import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { assert, type u32, type usize } from "../ts/builtins.ts";
import { isWithin } from "../ts/pages.ts";

/** Asserts that a range of bits is at least one bit long and lies within a bitmap. */
export function assertRange(i: u32, n: u32): void {
  const isStart = i >= 0 && i < (layout.CHUNK_PAGES as u32);
  assert(isStart && n >= 1 && isWithin(i, n), "the range lies within a bitmap");
}

/** Asserts that the lock is held. In a plain heap, a call that is one call of the engine does not take it. */
export function assertHeld(memory: Memory, heap: usize): void {
  const { i32 } = memory;
  const isHeld = i32[(heap + layout.HEADER_LOCK) >>> 2] !== 0;
  assert(isHeld || !i32[(heap + layout.HEADER_SHARED) >>> 2], "the caller holds the lock");
}
