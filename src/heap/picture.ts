// Draws heaps and chunks as text. A character stands for one or more pages: `#` all in use, `+` some in use, `.` free,
// `~` free and all released, a space for not mapped.

import * as layout from "../engine/layout.ts";
import type { Memory } from "../engine/memory.ts";
import { eachPart } from "../store/tree.ts";
import type { Core } from "./core.ts";
import { mappedRanges } from "./ranges.ts";

/** The method that Node, Deno and Bun call to inspect an object. */
export const INSPECT = Symbol.for("nodejs.util.inspect.custom");
/** Characters per line. */
const WIDTH = 64;
/** Most mapped ranges that a heap's picture shows, to keep it at ten lines. */
const RANGES = 4;

/** What some pages are. A number is not 0 if any page is in use, free, or free and unscavenged. */
interface Seen {
  used: number;
  free: number;
  kept: number;
}

/** Adds pages [index, index + npages) of a chunk to `seen`. `data` is the address of its bitmaps. */
function addPages({ i32 }: Memory, seen: Seen, data: number, index: number, npages: number): void {
  for (let i = index; i < index + npages; ) {
    const n = Math.min(32 - (i & 31), index + npages - i);
    const range = (-1 >>> (32 - n)) << i;
    const word = (data >>> 2) + (i >>> 5);
    const alloc = i32[word];
    const scavenged = i32[word + layout.DATA_SCAVENGED / 4];
    seen.used |= alloc & ~scavenged & range;
    seen.free |= ~alloc & range;
    seen.kept |= ~(alloc | scavenged) & range;
    i += n;
  }
}

/** Returns the character for some pages. */
function show({ used, free, kept }: Seen): string {
  if (used) return free ? "+" : "#";
  return kept ? "." : free ? "~" : " ";
}

/** Draws a chunk in 8 lines, a character per page. `data` is the address of its bitmaps in linear memory. */
export function pictureOfChunk(memory: Memory, data: number): string {
  const lines = Array.from({ length: layout.CHUNK_PAGES / WIDTH }, () => "");
  for (let i = 0; i < layout.CHUNK_PAGES; i++) {
    const seen = { used: 0, free: 0, kept: 0 };
    addPages(memory, seen, data, i, 1);
    lines[Math.floor(i / WIDTH)] += show(seen);
  }
  return lines.join("\n");
}

/** Draws a heap: its numbers in bytes, then a line for each of its first mapped ranges. Caller must hold the lock. */
export function pictureOf(core: Core): string {
  const { engine, pageSize } = core;
  const bytes = (field: number) => core.get(field) * pageSize;
  const sys = bytes(layout.HEADER_PAGES);
  const inUse = bytes(layout.HEADER_IN_USE);
  const ranges = mappedRanges(core);
  const lines = [
    `PageAlloc on ${engine.name}, pages of ${pageSize} bytes${core.handle ? `, shared, owner ${core.owner}` : ""}`,
    `sys ${sys} = in use ${inUse} + free ${sys - inUse}, of which released ${bytes(layout.HEADER_RELEASED)}`,
    `peaks: in use ${bytes(layout.HEADER_PEAK_IN_USE)}, retained ${bytes(layout.HEADER_PEAK_RETAINED)}`,
    `scavAddr ${core.getF64(layout.HEADER_SCAV_END) * pageSize - 1}`,
  ];
  for (const [base, limit] of ranges.slice(0, RANGES)) {
    const first = base / pageSize;
    const end = limit / pageSize;
    const step = Math.ceil((end - first) / WIDTH);
    let line = "";
    for (let page = first; page < end; page += step) {
      const seen = { used: 0, free: 0, kept: 0 };
      eachPart(core, page, Math.min(page + step, end), (data, index, npages) =>
        addPages(engine.memory, seen, data, index, npages),
      );
      line += show(seen);
    }
    lines.push(`${base} to ${limit} [${line}] ${step * pageSize} bytes each`);
  }
  if (ranges.length > RANGES) lines.push(`and ${ranges.length - RANGES} more mapped ranges`);
  lines.push("# in use, + in part, . free, ~ free and released");
  return lines.join("\n");
}
