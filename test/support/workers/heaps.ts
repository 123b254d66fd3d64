// Shared heaps to start tests from, and the engines that use them.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { CHUNK } from "../heaps.ts";
import type { PageAlloc, Palloc } from "../subject.ts";
import { ENGINES, type EngineName } from "./crew.ts";

const PALLOCS: Record<EngineName, Palloc> = { wasm, ts };

/** The engine of a test's own heap, that of its workers, and the former's package. */
export const PAIRS = ENGINES.flatMap((ours) =>
  ENGINES.map((theirs): [EngineName, EngineName, Palloc] => [ours, theirs, PALLOCS[ours]]),
);

/** A shared heap of one chunk, of which 3 pages are in use. */
export function sharedHeap({ PageAlloc }: Palloc, options?: { lockTimeoutMs?: number }): PageAlloc {
  const heap = new PageAlloc({ ...options, shared: true });
  heap.grow(0, CHUNK);
  heap.alloc(3);
  return heap;
}
