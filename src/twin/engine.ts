// The twin: the engine in TypeScript, file by file and name by name what assembly/ is, over an ArrayBuffer.

import type { Engine, Kernels } from "../engine.ts";
import { ArrayMemory, type Memory } from "../memory.ts";
import * as bits from "./bits.ts";
import * as cache from "./cache.ts";
import * as candidate from "./candidate.ts";
import { fillAligned } from "./fill-aligned.ts";
import { find } from "./find.ts";
import * as heaps from "./heap.ts";
import * as record from "./record.ts";
import { summarize } from "./summary.ts";
import { mappedLeafOf } from "./tree.ts";
import { walk } from "./walk.ts";

/** The calls of the engine, each with the memory that it works on before its own arguments. */
const calls = {
  setRange: bits.setRange,
  clearRange: bits.clearRange,
  popcntRange: bits.popcntRange,
  find,
  summarize,
  ...candidate,
  alloc: heaps.alloc,
  findFreePage: heaps.findFree,
  allocRange: heaps.allocRange,
  free: heaps.free,
  inspect: heaps.inspect,
  claim: heaps.claim,
  unclaim: heaps.unclaim,
  firstMapped: heaps.firstMapped,
  map: heaps.map,
  mappedLeafOf,
  look: heaps.look,
  scavengeChunk: heaps.scavengeChunk,
  scavengeRange: heaps.scavengeRange,
  walk,
  ...record,
  ...cache,
};

/** Makes an engine with memory of its own, `pages` of 64 KiB at first. */
export function createTwin(pages: number): Engine {
  const memory = new ArrayMemory(pages);
  const bound: Record<string, unknown> = {};
  for (const [name, call] of Object.entries<(memory: Memory, ...args: never[]) => unknown>(calls)) {
    bound[name] = call.bind(null, memory);
  }
  // A copy has a fixed shape, through which calls can be inlined; an object that was filled in a loop has none.
  return { ...(bound as unknown as Kernels), fillAligned, name: "ts", memory };
}
