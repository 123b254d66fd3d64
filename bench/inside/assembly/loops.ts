// Loops over the kernels of the WebAssembly engine, compiled together with them. They show what a kernel takes when no
// call crosses from JavaScript. twin.ts has the same for the twin. Each runs a kernel `times` times, on the `count`
// chunks at `chunks` in turn, and returns the sum of the results.

import * as bits from "../../../assembly/bits";
import * as candidate from "../../../assembly/candidate";
import * as summary from "../../../assembly/summary";
import * as layout from "../../../src/engine/layout";

/** A call from JavaScript that does nothing: the crossing itself. */
export function crossing(x: u32): u32 {
  return x;
}

export function hasScavengeCandidate(chunks: usize, count: u32, times: u32, min: u32): u32 {
  const end = chunks + count * layout.DATA_BYTES;
  let sum: u32 = 0;
  for (let data = chunks; times; times--) {
    sum += <u32>candidate.hasScavengeCandidate(data, min);
    data += layout.DATA_BYTES;
    if (data == end) data = chunks;
  }
  return sum;
}

export function findScavengeCandidate(chunks: usize, count: u32, times: u32, min: u32): u32 {
  const end = chunks + count * layout.DATA_BYTES;
  let sum: u32 = 0;
  for (let data = chunks; times; times--) {
    const found = candidate.candidateBelow(data, layout.CHUNK_PAGES, min, layout.CHUNK_PAGES, 0);
    sum += (found & 0xffff) + (found >> 16);
    data += layout.DATA_BYTES;
    if (data == end) data = chunks;
  }
  return sum;
}

export function summarize(chunks: usize, count: u32, times: u32): u32 {
  const end = chunks + count * layout.DATA_BYTES;
  let sum: u32 = 0;
  for (let data = chunks; times; times--) {
    const packed = summary.summarize(data);
    const max = (packed >> layout.SUM_BITS) & layout.SUM_MASK;
    sum += (packed & layout.SUM_MASK) + max + (packed >> (2 * layout.SUM_BITS));
    data += layout.DATA_BYTES;
    if (data == end) data = chunks;
  }
  return sum;
}

export function find(chunks: usize, count: u32, times: u32, npages: u32): i32 {
  const end = chunks + count * layout.DATA_BYTES;
  let sum: i32 = 0;
  for (let data = chunks; times; times--) {
    // As a signed number, 0xffff is -1.
    sum += <i32>(<i16>bits.findRun(data, npages, 0));
    data += layout.DATA_BYTES;
    if (data == end) data = chunks;
  }
  return sum;
}

export function popcntRange(chunks: usize, count: u32, times: u32, n: u32): u32 {
  const end = chunks + count * layout.DATA_BYTES;
  let sum: u32 = 0;
  for (let data = chunks; times; times--) {
    sum += bits.popcntRange(data, 6, n);
    data += layout.DATA_BYTES;
    if (data == end) data = chunks;
  }
  return sum;
}

export function allocFreeRange(chunks: usize, count: u32, times: u32, n: u32): u32 {
  const end = chunks + count * layout.DATA_BYTES;
  const all = times;
  for (let data = chunks; times; times--) {
    bits.setRange(data, 30, n);
    bits.clearRange(data + layout.DATA_SCAVENGED, 30, n);
    bits.clearRange(data, 30, n);
    data += layout.DATA_BYTES;
    if (data == end) data = chunks;
  }
  return all;
}

export function fillAligned(chunks: usize, count: u32, times: u32, m: u32): u32 {
  const end = chunks + count * layout.DATA_BYTES;
  let sum: u64 = 0;
  for (let word = chunks; times; times--) {
    sum ^= candidate.fillAligned(load<u64>(word), m);
    word += 8;
    if (word == end) word = chunks;
  }
  return <u32>sum;
}
