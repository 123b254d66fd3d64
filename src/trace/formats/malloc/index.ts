// Logs of malloc and free: of Android, of heaptrack, and CSV and NDJSON that anything can be converted to. The first
// line tells which.

import { eventsOfLines } from "../../columns/line-events.ts";
import type { Format } from "../../format.ts";
import { Lines } from "../../source/lines.ts";
import { android } from "./android.ts";
import { csv } from "./csv.ts";
import { heaptrack } from "./heaptrack.ts";
import { Ledger, UNIT_BYTES } from "./ledger.ts";
import { ndjson } from "./ndjson.ts";
import type { Text } from "./text.ts";

const TEXTS: readonly Text[] = [android, heaptrack, ndjson, csv];

const FIRST_LINE =
  'the first line of a malloc log, such as "202: malloc 0xb4827400 1024" of Android, "v 10400 3" of heaptrack, ' +
  "the columns of CSV, time,op,address,bytes, or a JSON object with these keys";

export const malloc: Format = {
  name: "malloc",
  recognises: (start) => textOf(firstLine(start)) !== undefined,
  async open(input) {
    const lines = new Lines(await input.open());
    const ledger = new Ledger();
    let parse = () => {
      const text = textOf(lines.text());
      if (!text) throw lines.error(FIRST_LINE);
      parse = text.parser(lines, ledger);
      parse();
    };
    return { pageSize: UNIT_BYTES, blocks: eventsOfLines(lines, ledger.events, () => parse()) };
  },
};

/** Returns the text that a log is written in, by its first line. */
function textOf(line: string): Text | undefined {
  return TEXTS.find((text) => text.recognises(line));
}

/** Returns the first line that is not blank. */
function firstLine(start: Uint8Array): string {
  const text = String.fromCharCode(...start);
  return /[^\r\n]+/.exec(text.replace(/^\xef\xbb\xbf/, "").trimStart())?.[0] ?? "";
}
