// What the engine relies on, checked in the debug build alone: `npm run test:long` runs the suite over it. An assertion
// that does not hold traps. `if (!ASC_NO_ASSERT)` keeps what an assertion reads out of the release build.

import * as layout from "../src/engine/layout";

/** A range of bits is at least one bit long, and lies within a bitmap. */
// @ts-ignore: decorator
@inline
export function assertRange(i: u32, n: u32): void {
  if (!ASC_NO_ASSERT) assert(n >= 1 && n <= <u32>layout.CHUNK_PAGES && i <= <u32>layout.CHUNK_PAGES - n);
}

/** The caller holds the lock. */
// @ts-ignore: decorator
@inline
export function assertHeld(heap: usize): void {
  if (!ASC_NO_ASSERT) assert(load<u32>(heap, layout.HEADER_LOCK) != 0);
}
