// What the WebAssembly engine exports. `src/engine.ts` describes each call; the TypeScript twin has the same.

export { clearRange, popcntRange, setRange } from "./bits";
export { cacheAlloc, flush, refill } from "./cache";
export { findScavengeCandidate, hasScavengeCandidate } from "./candidate";
export { fillAligned } from "./fill-aligned";
export { find } from "./find";
export {
  alloc,
  allocRange,
  claim,
  findFreePage,
  free,
  inspect,
  look,
  map,
  scavengeRange,
  unclaim,
} from "./heap";
export { dropRecord, newRecord, owned } from "./record";
export { run } from "./run";
export { summarize } from "./summary";
export { mappedLeafOf } from "./tree";
export { walk } from "./walk";
