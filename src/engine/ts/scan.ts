// A scan: one kernel on many chunks in one call.
//
// assembly/ has a text of its own, with a loop for each kernel.

import { endOf, maxOf, startOf } from "../both/sums.ts";
import * as layout from "../layout.ts";
import type { Memory } from "../memory.ts";
import { find } from "./bits.ts";
import { findScavengeCandidate, hasScavengeCandidate } from "./candidate.ts";
import { summarize } from "./summary.ts";

/**
 * Runs a kernel, one of the SCAN_ numbers, on n chunks from address `data` on, and writes the results to `to`. a to d
 * are the kernel's arguments after the chunk.
 */
export function scan(
  memory: Memory,
  kernel: number,
  data: number,
  n: number,
  to: number,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  const results = new Int16Array(memory.i32.buffer, to);
  for (let i = 0; i < n; i++) {
    const chunk = data + i * layout.DATA_BYTES;
    if (kernel === layout.SCAN_HAS_CANDIDATE) {
      results[i] = Number(hasScavengeCandidate(memory, chunk, a));
    } else if (kernel === layout.SCAN_SUMMARIZE) {
      const sum = summarize(memory, chunk);
      results[3 * i] = startOf(sum);
      results[3 * i + 1] = maxOf(sum);
      results[3 * i + 2] = endOf(sum);
    } else {
      const hit =
        kernel === layout.SCAN_FIND
          ? find(memory, chunk, a, b)
          : findScavengeCandidate(memory, chunk, a, b, c, d);
      results[2 * i] = hit;
      results[2 * i + 1] = hit >>> 16;
    }
  }
}
