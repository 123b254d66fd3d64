// The twin: the engine in TypeScript, file by file and name by name what assembly/ is, over an ArrayBuffer.

import type { Engine, Kernels } from "../engine.ts";
import { MEMORY_PAGE, Memory } from "../memory.ts";
import { clearRange, popcntRange, setRange } from "./bits.ts";
import { cacheAlloc, flush, refill } from "./cache.ts";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate.ts";
import { fillAligned } from "./fill-aligned.ts";
import { find } from "./find.ts";
import {
  alloc,
  allocRange,
  claim,
  findFree,
  free,
  inspect,
  look,
  map,
  scavengeRange,
  unclaim,
} from "./heap.ts";
import { dropRecord, newRecord, owned } from "./record.ts";
import { summarize } from "./summary.ts";
import { mappedLeafOf } from "./tree.ts";
import { walk } from "./walk.ts";

/** The calls of the engine, each with the memory that it works on before its own arguments. */
const calls = {
  setRange,
  clearRange,
  popcntRange,
  find,
  summarize,
  hasScavengeCandidate,
  findScavengeCandidate,
  alloc,
  findFreePage: findFree,
  allocRange,
  free,
  inspect,
  claim,
  unclaim,
  map,
  mappedLeafOf,
  look,
  scavengeRange,
  walk,
  newRecord,
  dropRecord,
  owned,
  cacheAlloc,
  flush,
  refill,
};

/** Makes an engine with memory of its own, `pages` of 64 KiB at first. */
export function createTwin(pages: number): Engine {
  const memory = new Memory({
    buffer: new ArrayBuffer(pages * MEMORY_PAGE),
    grow(more) {
      const larger = new ArrayBuffer(memory.size + more * MEMORY_PAGE);
      new Uint8Array(larger).set(memory.u8);
      this.buffer = larger;
    },
  } as { buffer: ArrayBuffer; grow(pages: number): void });
  const bound: Record<string, unknown> = {};
  for (const [name, call] of Object.entries<(memory: Memory, ...args: never[]) => unknown>(calls)) {
    bound[name] = call.bind(null, memory);
  }
  // A copy has a fixed shape, through which calls can be inlined; an object that was filled in a loop has none.
  return { ...(bound as unknown as Kernels), fillAligned, name: "ts", memory };
}
