// The yardstick: the algorithms of the Go runtime of 2019, with palloc's corrections, ported to JavaScript the plain
// way, with a BigInt for every 64-bit word. It has those names of palloc that the benchmarks use.
export { PallocData } from "./data.mjs";
export { PageAlloc } from "./heap.mjs";
export { fillAligned } from "./words.mjs";
