// The exports of the WebAssembly engine. `src/engine/contract.ts` describes each call. The TypeScript twin has the same
// calls, except `run`.

export {
  alloc,
  allocNow,
  allocRange,
  findFree,
  free,
  freeNow,
  inspect,
  mappedPage,
  markUnmapped,
} from "../build/both/heap";
export { map } from "../build/both/map";
export { dropRecord, endHold, hold, newRecord, returnHold } from "../build/both/record";
export { redo } from "../build/both/redo";
export {
  findCandidate,
  passOver,
  release,
  releaseNow,
  scavengeRange,
  scavengeTop,
} from "../build/both/scavenge";
export { mappedLeafOf, walk } from "../build/both/tree";
export { clearRange, find, popcntRange, setRange } from "./bits";
export { adopt, cacheAlloc, flush, refill } from "./cache";
export { fillAligned, findScavengeCandidate, hasScavengeCandidate } from "./candidate";
export { reset } from "./commit";
export { run } from "./run";
export { scan } from "./scan";
export { summarize } from "./summary";
