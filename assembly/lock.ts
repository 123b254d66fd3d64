// The lock, as a call takes it that is made of one crossing from JavaScript. Everything else about the lock is in
// src/heap/lock.ts.
//
// The twin has a text of its own, as its views may be out of date.

import { isIdle, isShared } from "../build/both/journal";
import * as layout from "../src/engine/layout";

/**
 * Takes the lock with the word `held`, if it is free and no interrupted call must be mended. Returns whether it did. In
 * a plain heap no other call can begin before this one returns, so there the lock stays free. Then a call that
 * overflows the stack leaves no lock behind.
 */
// @ts-ignore: decorator
@inline
export function enter(heap: usize, held: u32): bool {
  if (PALLOC_SHARED) {
    if (isShared(heap)) {
      if (atomic.cmpxchg<u32>(heap, 0, held, layout.HEADER_LOCK)) return false;
      if (!load<u32>(heap, layout.JOURNAL_OP)) return true;
      leave(heap, held);
      return false;
    }
  }
  return isIdle(heap);
}

/**
 * Releases the lock, unless others may be waiting. Then the facade must release it and wake them. That takes calls, and
 * a call could overflow the stack, though the pages are taken.
 */
// @ts-ignore: decorator
@inline
export function leave(heap: usize, held: u32): void {
  if (PALLOC_SHARED) {
    if (isShared(heap)) atomic.cmpxchg<u32>(heap, held, 0, layout.HEADER_LOCK);
  }
}
