// What the WebAssembly engine exports. `src/engine.ts` describes each call; the TypeScript twin has the same.

export { apply } from "./apply";
export { clearRange, popcntRange, setRange } from "./bits";
export { cacheAlloc, flush, refill } from "./cache";
export { findScavengeCandidate, hasScavengeCandidate } from "./candidate";
export { fillAligned } from "./fill-aligned";
export { find } from "./find";
export {
  alloc,
  allocRange,
  findFreePage,
  free,
  inspect,
  look,
  map,
  pass,
  release,
  rescavenge,
  reset,
  scavengeRange,
  scavengeTop,
} from "./heap";
export { endHold, hold, newRecord, owned, returnHold } from "./record";
export { run } from "./run";
export { summarize } from "./summary";
export { mappedLeafOf } from "./tree";
export { walk } from "./walk";
