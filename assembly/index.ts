// The exports of the WebAssembly engine. `src/engine/contract.ts` describes each call. The TypeScript twin has the same
// calls, except `run`.

export { clearRange, find, popcntRange, setRange } from "./bits";
export { adopt, cacheAlloc, flush, refill } from "./cache";
export { fillAligned, findScavengeCandidate, hasScavengeCandidate } from "./candidate";
export {
  alloc,
  allocNow,
  allocRange,
  findFreePage,
  free,
  freeNow,
  inspect,
  findCandidate,
  map,
  mappedPage,
  markUnmapped,
  passOver,
  release,
  releaseNow,
  reset,
  scavengeRange,
  scavengeTop,
} from "./heap";
export { dropRecord, endHold, hold, newRecord, returnHold } from "./record";
export { redo } from "./redo";
export { run } from "./run";
export { scan } from "./scan";
export { summarize } from "./summary";
export { mappedLeafOf, walk } from "./tree";
