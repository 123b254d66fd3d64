// The twin: the engine in TypeScript, on a buffer. It is ../both/ and the files here, which have the names of those in
// assembly/.

import {
  alloc,
  allocNow,
  allocRange,
  findFree,
  free,
  freeNow,
  inspect,
  mappedPage,
  markUnmapped,
} from "../both/heap.ts";
import { map } from "../both/map.ts";
import { dropRecord, endHold, hold, newRecord, returnHold } from "../both/record.ts";
import { redo } from "../both/redo.ts";
import {
  findCandidate,
  passOver,
  release,
  releaseNow,
  scavengeRange,
  scavengeTop,
} from "../both/scavenge.ts";
import { mappedLeafOf, walk } from "../both/tree.ts";
import type { Engine, Kernels } from "../contract.ts";
import { type Backing, MEMORY_PAGE, Memory, type SharedMemory } from "../memory.ts";
import { clearRange, find, popcntRange, setRange } from "./bits.ts";
import { adopt, cacheAlloc, flush, refill } from "./cache.ts";
import { fillAligned, findScavengeCandidate, hasScavengeCandidate } from "./candidate.ts";
import { reset } from "./commit.ts";
import { scan } from "./scan.ts";
import { summarize } from "./summary.ts";

/** The calls of the engine. Each takes the memory that it works on before its own arguments. */
const calls = {
  setRange,
  clearRange,
  popcntRange,
  find,
  summarize,
  hasScavengeCandidate,
  findScavengeCandidate,
  alloc,
  allocNow,
  findFree,
  allocRange,
  free,
  freeNow,
  inspect,
  map,
  mappedPage,
  markUnmapped,
  mappedLeafOf,
  scavengeTop,
  findCandidate,
  passOver,
  release,
  releaseNow,
  scavengeRange,
  reset,
  walk,
  newRecord,
  dropRecord,
  hold,
  endHold,
  returnHold,
  cacheAlloc,
  flush,
  refill,
  adopt,
  redo,
  scan,
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
  return twinOver(memory);
}

/** Makes an engine on shared memory. */
export function twinOn(memory: SharedMemory): Engine {
  return twinOver(new Memory("buffer" in memory ? memory : growing(memory)));
}

/** Makes the backing of linear memory from a SharedArrayBuffer. */
function growing(buffer: SharedArrayBuffer): Backing {
  return { buffer, grow: (pages) => buffer.grow(buffer.byteLength + pages * MEMORY_PAGE) };
}

/** Makes an engine on any memory. */
export function twinOver(memory: Memory): Engine {
  const bound: Record<string, unknown> = {};
  for (const [name, call] of Object.entries<(memory: Memory, ...args: never[]) => unknown>(calls)) {
    bound[name] = call.bind(null, memory);
  }
  // The copy has a fixed shape, so calls through it can be inlined. The object that the loop fills has none.
  return { ...(bound as unknown as Kernels), fillAligned, name: "ts", memory };
}
