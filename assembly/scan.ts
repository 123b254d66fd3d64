// A scan: one kernel on many chunks in one crossing, which takes longer than most kernels.
//
// The twin has a text of its own, as it need not cross for a loop.

import { endOf, maxOf, startOf } from "../build/both/sums";
import * as layout from "../src/engine/layout";
import { findRun } from "./bits";
import { candidateBelow, hasScavengeCandidate } from "./candidate";
import { summarize } from "./summary";

/**
 * Runs a kernel, one of the SCAN_ numbers, on n chunks from address `data` on, and writes the results to `to`. a to d
 * are the kernel's arguments after the chunk. Each kernel has a loop of its own, so that its call is direct.
 */
export function scan(kernel: u32, data: usize, n: u32, to: usize, a: u32, b: u32, c: u32, d: u32): void {
  const end = data + n * layout.DATA_BYTES;
  if (kernel == layout.SCAN_HAS_CANDIDATE) {
    for (; data < end; data += layout.DATA_BYTES, to += 2) store<u16>(to, hasScavengeCandidate(data, a) ? 1 : 0);
  } else if (kernel == layout.SCAN_FIND_CANDIDATE) {
    // A packed result is its two halves, one after the other.
    for (; data < end; data += layout.DATA_BYTES, to += 4) {
      store<u32>(to, candidateBelow(data, a, b, c, d));
    }
  } else if (kernel == layout.SCAN_FIND) {
    for (; data < end; data += layout.DATA_BYTES, to += 4) store<u32>(to, findRun(data, a, b));
  } else {
    for (; data < end; data += layout.DATA_BYTES, to += 6) {
      const sum = summarize(data);
      store<u16>(to, startOf(sum));
      store<u16>(to, maxOf(sum), 2);
      store<u16>(to, endOf(sum), 4);
    }
  }
}
