// Go's page trace, as one of the formats.

import type { PageTrace } from "../../events.ts";
import { PAGE_BYTES } from "../../events.ts";
import type { Format } from "../../format.ts";
import { readInput } from "./read.ts";

export const goPageTrace: Format = {
  name: "go-page-trace",
  // The first word names the P of the first buffer.
  recognises: (start) => start.length >= 8 && (start[0] & 0b111) === 0b100,
  async open(input) {
    const trace = await readInput(input);
    async function* blocks(): AsyncGenerator<PageTrace> {
      yield trace;
    }
    return { pageSize: PAGE_BYTES, blocks: blocks() };
  },
  read: readInput,
};
