// Go's execution traces, of programs that ran with GODEBUG=traceallocfree=1.
//
// The heap of a trace starts at its lowest page, which any event may name. So a trace is read twice, or held whole.

import { PageAllocError } from "../../../base/errors.ts";
import { joinBlocks } from "../../columns/join.ts";
import type { PageTrace } from "../../events.ts";
import type { Format } from "../../format.ts";
import type { Input } from "../../source/input.ts";
import { Assembler } from "./assemble.ts";
import { versionOf } from "./batches.ts";
import { Generations } from "./generations.ts";
import type { Extent, Generation } from "./records.ts";

export const goExec: Format = {
  name: "go-exec",
  recognises: (start) => versionOf(start) !== undefined,
  async open(input, { objects }) {
    if (!input.rereadable) {
      const advice =
        "give a Uint8Array or a Blob (fs.openAsBlob in Node), or write the stream to a file first";
      throw new PageAllocError(
        "ERR_TRACE",
        `byte 0: a Go execution trace in blocks is read twice, and a stream cannot be; ${advice}`,
      );
    }
    input.passes = 2;
    const survey = new Generations(await input.open(), "extent");
    while (await survey.next());
    const { pageSize } = survey.info;
    return { pageSize, blocks: blocksOf(input, pageSize, survey.extent, objects) };
  },
  async read(input, { objects }) {
    const generations = new Generations(await input.open(), objects ? "pages and objects" : "pages");
    const all: Generation[] = [];
    for (let next = await generations.next(); next; next = await generations.next()) all.push(next);
    const {
      extent,
      cutShort,
      info: { pageSize },
    } = generations;
    const assembler = new Assembler(pageSize, extent, objects);
    async function* blocks(): AsyncGenerator<PageTrace> {
      for (let next = all.shift(); next; next = all.shift()) yield* assembler.take(next);
      yield assembler.end(cutShort);
    }
    return joinBlocks("go-exec", pageSize, blocks());
  },
};

/** Reads the blocks of a trace whose extent is known. */
async function* blocksOf(
  input: Input,
  pageSize: number,
  extent: Extent,
  objects: boolean,
): AsyncGenerator<PageTrace> {
  const assembler = new Assembler(pageSize, extent, objects);
  const generations = new Generations(await input.open(), objects ? "pages and objects" : "pages");
  for (let next = await generations.next(); next; next = await generations.next())
    yield* assembler.take(next);
  yield assembler.end(generations.cutShort);
}
