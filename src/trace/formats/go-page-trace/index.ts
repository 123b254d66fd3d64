// Go's page trace, as one of the formats.

import { PAGE_BYTES } from "../../events.ts";
import type { Format } from "../../format.ts";
import { withCycles, withCyclesInBlocks } from "./gc-log.ts";
import { readBlocksOf, readInput } from "./read.ts";

export const goPageTrace: Format = {
  name: "go-page-trace",
  // The first word names the P of the first buffer, by a small number or -1. In text its upper half has letters.
  recognises: (start) => {
    const high = start.subarray(4, 8);
    return (
      start.length >= 8 &&
      (start[0] & 0b111) === 0b100 &&
      (high.every((byte) => byte === 0) || high.every((byte) => byte === 0xff))
    );
  },
  async open(input, { window, gcLog }) {
    const blocks = readBlocksOf(input, window);
    return { pageSize: PAGE_BYTES, blocks: gcLog ? withCyclesInBlocks(blocks, gcLog) : blocks };
  },
  async read(input, { gcLog }) {
    const trace = await readInput(input);
    return gcLog ? withCycles(trace, gcLog) : trace;
  },
  takesGcLog: true,
};
