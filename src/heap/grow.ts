// Maps pages, and makes room for their bookkeeping first.

import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import type { Place } from "../engine/pages.ts";
import type { Core } from "./core.ts";

/** Maps npages pages. Throws PageAllocError ERR_OVERLAP, ERR_METADATA_FULL. Caller must hold the lock. */
export function grow(core: Core, { chunk, index }: Place, npages: number): void {
  const last = chunk + Math.ceil((index + npages) / layout.CHUNK_PAGES) - 1;
  const nmapped = core.get(layout.HEADER_CHUNKS);
  const shared = Number(core.dataOf(chunk) > 0) + Number(last > chunk && core.dataOf(last) > 0);
  if (nmapped + last - chunk + 1 - shared > layout.MAX_CHUNKS) {
    const more = last - chunk + 1 - shared;
    const message = `a heap can have ${layout.MAX_CHUNKS} chunks; it has ${nmapped}, and ${more} more do not fit`;
    throw new PageAllocError("ERR_METADATA_FULL", message);
  }
  const mapped = core.engine.mappedPage(core.at, chunk, index, npages);
  if (mapped >= 0) {
    const message = `the page at ${mapped * core.pageSize} is mapped already; see mappedRanges()`;
    throw new PageAllocError("ERR_OVERLAP", message);
  }
  core.makeRoomToGrow(chunk, last - chunk + 1);
  core.engine.map(core.at, chunk, index, npages);
}
