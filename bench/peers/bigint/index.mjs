// The yardstick: the algorithms that palloc began with (the Go runtime's of 2019, with spec'd corrections), ported to
// JavaScript the plain way, with a BigInt for every 64-bit word. It has the names of palloc that the benchmarks use.
export { PallocData } from "./data.mjs";
export { PageAlloc } from "./heap.mjs";
export { fillAligned } from "./words.mjs";
