// Makes heaps of both entries in this page, and says what came of it.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { grownHeap } from "../support/heaps.ts";
import type { Palloc } from "../support/subject.ts";

/** What came of the heaps of one entry. */
export interface Made {
  shared: ReturnType<typeof attempt>;
  plain: ReturnType<typeof attempt>;
}

/** What the page says in the end. */
export interface Seen {
  isolated: boolean;
  wasm: Made;
  ts: Made;
}

/** Makes a heap and allocates from it. Returns its engine and two addresses, or how it was refused. */
function attempt(palloc: Palloc, shared: boolean) {
  try {
    const heap = grownHeap(palloc, [0], { shared });
    return [heap.engine, heap.alloc(3), heap.alloc(1)];
  } catch (error) {
    if (!(error instanceof palloc.PageAllocError)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** The shared heap comes first: a refusal must leave the engine fit for plain ones. */
function make(palloc: Palloc): Made {
  const shared = attempt(palloc, true);
  return { shared, plain: attempt(palloc, false) };
}

const { dataset } = document.querySelector<HTMLElement>("#status") as HTMLElement;
try {
  const seen: Seen = { isolated: crossOriginIsolated, wasm: make(wasm), ts: make(ts) };
  dataset.done = JSON.stringify(seen);
} catch (error) {
  dataset.failed = (error as Error).stack;
}
