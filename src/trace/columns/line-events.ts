// The loop of the formats that are lines.

import { PageAllocError } from "../../base/errors.ts";
import type { PageTrace } from "../events.ts";
import { memoryError } from "../memory-error.ts";
import { skipBlanks } from "../source/fields.ts";
import type { Lines } from "../source/lines.ts";
import type { EventQueue } from "./event-queue.ts";

/**
 * Returns the events of a text in blocks. `parse` is called for each line that is not blank, with the line's first byte
 * that is not blank as the next, and adds events to the queue. If it refuses a last line without a line end, the text
 * has been cut short, and the events before are the trace.
 */
export async function* eventsOfLines(
  lines: Lines,
  events: EventQueue,
  parse: () => void,
): AsyncGenerator<PageTrace> {
  let cutShort: string | undefined;
  while (await lines.more()) {
    while (lines.next()) {
      skipBlanks(lines);
      if (lines.position === lines.end) continue;
      try {
        parse();
      } catch (error) {
        if (!(error instanceof PageAllocError) || !lines.unfinished) {
          throw memoryError(error, `byte ${lines.lineOffset}`);
        }
        cutShort = `its last line is not whole: ${error.message}`;
      }
      for (let block = events.take(); block; block = events.take()) yield block;
    }
  }
  yield events.rest(cutShort);
}
