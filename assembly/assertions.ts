// Assertions, for the debug build only. `npm run test:long` runs the suite on it. An assertion that fails traps. `if
// (!ASC_NO_ASSERT)` keeps the loads of an assertion out of the release build.

import * as layout from "../src/engine/layout";

/** Asserts that a range of bits is at least one bit long and lies within a bitmap. */
// @ts-ignore: decorator
@inline
export function assertRange(i: u32, n: u32): void {
  if (!ASC_NO_ASSERT) assert(n >= 1 && n <= <u32>layout.CHUNK_PAGES && i <= <u32>layout.CHUNK_PAGES - n);
}

/** Asserts that the lock is held. In a plain heap, a call that is one call of the engine does not take it. */
// @ts-ignore: decorator
@inline
export function assertHeld(heap: usize): void {
  if (!ASC_NO_ASSERT) assert(load<u32>(heap, layout.HEADER_LOCK) != 0 || !load<u32>(heap, layout.HEADER_SHARED));
}
