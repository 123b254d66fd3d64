// The lock, as a call takes it that is made of one call of the engine. Everything else about the lock is in
// src/heap/lock.ts.
//
// assembly/ has a text of its own: it has no views, which may be out of date.

import { isIdle } from "../both/journal.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";

/**
 * Takes the lock with the word `held`, if it is free and no interrupted call must be mended. Returns whether it did. In
 * a plain heap no other call can begin before this one returns, so there the lock stays free. Then a call that
 * overflows the stack leaves no lock behind.
 */
export function enter(memory: Memory, heap: number, held: number): boolean {
  const { i32 } = memory;
  const word = (heap + layout.HEADER_LOCK) >>> 2;
  const journal = (heap + layout.JOURNAL_OP) >>> 2;
  if (!PALLOC_SHARED || !i32[(heap + layout.HEADER_SHARED) >>> 2]) return isIdle(memory, heap);
  if (Atomics.compareExchange(i32, word, 0, held)) return false;
  // Another thread may have grown the memory, and the heap beyond the end of this view.
  const isSeen = heap + (i32[(heap + layout.HEADER_USED) >>> 2] >>> 0) <= memory.size;
  if (isSeen && !i32[journal]) return true;
  leave(memory, heap, held);
  return false;
}

/**
 * Releases the lock, unless others may be waiting. Then the facade must release it and wake them.
 */
export function leave({ i32 }: Memory, heap: number, held: number): void {
  if (!PALLOC_SHARED || !i32[(heap + layout.HEADER_SHARED) >>> 2]) return;
  const word = (heap + layout.HEADER_LOCK) >>> 2;
  try {
    Atomics.compareExchange(i32, word, held, 0);
  } catch {
    // The stack is full. The pages are taken, so the call must return. Waiters look again by themselves.
    i32[word] = 0;
  }
}
