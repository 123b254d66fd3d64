// Loops over the kernels of the twin, without the checks of the public calls. assembly/loops.ts has the same for the
// WebAssembly engine.

import * as layout from "../../src/engine/layout.ts";
import { Memory } from "../../src/engine/memory.ts";
import * as bits from "../../src/engine/ts/bits.ts";
import * as candidate from "../../src/engine/ts/candidate.ts";
import * as summary from "../../src/engine/ts/summary.ts";

export { layout };

/** Returns memory of `nbytes` that cannot grow. */
export const fixedMemory = (nbytes: number) => new Memory({ buffer: new ArrayBuffer(nbytes), grow() {} });

/** A call that does nothing, for comparison. */
export function crossing(x: number): number {
  return x;
}

export function hasScavengeCandidate(
  memory: Memory,
  chunks: number,
  count: number,
  times: number,
  min: number,
): number {
  const end = chunks + count * layout.DATA_BYTES;
  let sum = 0;
  for (let data = chunks; times; times--) {
    sum += candidate.hasScavengeCandidate(memory, data, min) ? 1 : 0;
    data += layout.DATA_BYTES;
    if (data === end) data = chunks;
  }
  return sum;
}

export function findScavengeCandidate(
  memory: Memory,
  chunks: number,
  count: number,
  times: number,
  min: number,
): number {
  const end = chunks + count * layout.DATA_BYTES;
  let sum = 0;
  for (let data = chunks; times; times--) {
    const found = candidate.findScavengeCandidate(
      memory,
      data,
      layout.CHUNK_PAGES,
      min,
      layout.CHUNK_PAGES,
      0,
    );
    sum += (found & 0xffff) + (found >>> 16);
    data += layout.DATA_BYTES;
    if (data === end) data = chunks;
  }
  return sum;
}

export function summarize(memory: Memory, chunks: number, count: number, times: number): number {
  const end = chunks + count * layout.DATA_BYTES;
  let sum = 0;
  for (let data = chunks; times; times--) {
    const packed = summary.summarize(memory, data);
    sum +=
      (packed & layout.SUM_MASK) +
      ((packed >>> layout.SUM_BITS) & layout.SUM_MASK) +
      (packed >>> (2 * layout.SUM_BITS));
    data += layout.DATA_BYTES;
    if (data === end) data = chunks;
  }
  return sum;
}

export function find(memory: Memory, chunks: number, count: number, times: number, npages: number): number {
  const end = chunks + count * layout.DATA_BYTES;
  let sum = 0;
  for (let data = chunks; times; times--) {
    const index = bits.find(memory, data, npages, 0) & 0xffff;
    sum += index === 0xffff ? -1 : index;
    data += layout.DATA_BYTES;
    if (data === end) data = chunks;
  }
  return sum;
}

export function popcntRange(memory: Memory, chunks: number, count: number, times: number, n: number): number {
  const end = chunks + count * layout.DATA_BYTES;
  let sum = 0;
  for (let data = chunks; times; times--) {
    sum += bits.popcntRange(memory, data, 6, n);
    data += layout.DATA_BYTES;
    if (data === end) data = chunks;
  }
  return sum;
}

export function allocFreeRange(
  memory: Memory,
  chunks: number,
  count: number,
  times: number,
  n: number,
): number {
  const end = chunks + count * layout.DATA_BYTES;
  const all = times;
  for (let data = chunks; times; times--) {
    bits.setRange(memory, data, 30, n);
    bits.clearRange(memory, data + layout.DATA_SCAVENGED, 30, n);
    bits.clearRange(memory, data, 30, n);
    data += layout.DATA_BYTES;
    if (data === end) data = chunks;
  }
  return all;
}

export function fillAligned({ u8 }: Memory, chunks: number, count: number, times: number, m: number): number {
  const words = new BigUint64Array(u8.buffer, chunks, (count * layout.DATA_BYTES) / 8);
  let sum = 0n;
  for (let k = 0; times; times--) {
    sum ^= candidate.fillAligned(words[k], m);
    k = k + 1 === words.length ? 0 : k + 1;
  }
  return Number(sum & 0xffffffffn);
}
