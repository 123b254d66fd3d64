// Go's page trace, as one of the formats.

import { PAGE_BYTES } from "../../events.ts";
import type { Format } from "../../format.ts";
import { readBlocksOf, readInput } from "./read.ts";

export const goPageTrace: Format = {
  name: "go-page-trace",
  // The first word names the P of the first buffer.
  recognises: (start) => start.length >= 8 && (start[0] & 0b111) === 0b100,
  open: async (input, { window }) => ({ pageSize: PAGE_BYTES, blocks: readBlocksOf(input, window) }),
  read: readInput,
};
