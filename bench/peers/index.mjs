// The peers of the heap in JavaScript. Each has its own copy of the loop. V8 compiles a loop for all classes that it
// has seen there, so with one copy, a peer's time would depend on which ones ran before.

import { pairsOn as pairsOnBins } from "./pairs.mjs?bins";
import { pairsOn as pairsOnPool } from "./pairs.mjs?pool";
import { pairsOn as pairsOnTlsf } from "./pairs.mjs?tlsf";
import { Pool } from "./pool.mjs";
import { Tlsf } from "./tlsf.mjs";
import { TwoLevelBins } from "./two-level-bins.mjs";

/** By peer: `make(size, blocks)`, which returns an allocator of at most so many live blocks, and the loop. */
export const PEERS = {
  bins: { make: (size, blocks) => new TwoLevelBins(size, 2 * blocks + 1), pairsOn: pairsOnBins },
  tlsf: { make: (size) => new Tlsf(size), pairsOn: pairsOnTlsf },
  pool: { make: (size) => new Pool(size), pairsOn: pairsOnPool },
};
