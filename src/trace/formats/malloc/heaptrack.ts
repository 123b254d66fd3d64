// What `heaptrack --record-only` writes, unpacked. All numbers are hex, without 0x:
//
//     v HEAPTRACK_VERSION FILE_VERSION
//     + SIZE TRACE POINTER
//     - POINTER
//     c MILLISECONDS
//
// A realloc is a - and a +. A c says how long the program has run, every 10 ms or so. Other lines tell of modules,
// stacks, resident pages and the command.
//
// heaptrack then interprets such a file and writes one that starts in the same way. There, a + and a - name a kind of
// allocation, and the addresses are lost.

import { hex, pointer, skipByte } from "../../source/fields.ts";
import type { Lines } from "../../source/lines.ts";
import type { Text } from "./text.ts";

const SPACE = 0x20;
const VERSION = 0x76;
const ALLOC = 0x2b;
const FREE = 0x2d;
const CLOCK = 0x63;
const ALLOCATION_KIND = 0x61;
/** First letters of the other lines. */
const SKIPPED = new Set(Array.from("xXImtRASsi#", (letter) => letter.charCodeAt(0)));

/** Latest version of the file that is known. */
const FILE_VERSION = 3;
/** Before it numbered its files, heaptrack wrote its own version twice. */
const UNNUMBERED_VERSION = 0x10200;

const INTERPRETED =
  "the line of a raw file; this one has been interpreted, which drops the addresses: record with heaptrack -r, and " +
  "read the .raw.zst file";

export const heaptrack: Text = {
  recognises: (line) => /^v [0-9a-f]+( [0-9a-f]+)?$/.test(line),
  parser(lines, ledger) {
    return () => {
      const offset = lines.lineOffset;
      const kind = lines.bytes[lines.position];
      if (kind !== ALLOC && kind !== FREE && kind !== CLOCK && kind !== VERSION) {
        if (kind === ALLOCATION_KIND) throw lines.error(INTERPRETED);
        if (!SKIPPED.has(kind)) throw lines.error("a line of heaptrack, such as + SIZE TRACE POINTER");
        return;
      }
      lines.position++;
      if (kind === ALLOC) {
        const bytes = field(lines, hex, "a size in hex");
        field(lines, hex, "the number of a stack");
        ledger.alloc(field(lines, pointer, "an address in hex"), bytes, offset);
      } else if (kind === FREE) {
        ledger.free(field(lines, pointer, "an address in hex"), offset);
      } else if (kind === CLOCK) {
        ledger.time = field(lines, hex, "a time in ms") * 1e6;
      } else checkVersion(lines);
      if (lines.position < lines.end) throw lines.error("the end of the line");
    };
  },
};

/** Parses a number, after a space. */
function field(lines: Lines, parse: (lines: Lines) => number, what: string): number {
  if (!skipByte(lines, SPACE)) throw lines.error(`a space and ${what}`);
  const value = parse(lines);
  if (value < 0) throw lines.error(what);
  return value;
}

function checkVersion(lines: Lines): void {
  field(lines, hex, "a version");
  if (lines.position === lines.end) return;
  const { position } = lines;
  const version = field(lines, hex, "a version");
  if (version <= FILE_VERSION || version === UNNUMBERED_VERSION) return;
  lines.position = position + 1;
  throw lines.error(`a version of the file up to ${FILE_VERSION}; later ones are not known yet`);
}
