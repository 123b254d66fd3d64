// The progress bar on a terminal.

import { SingleBar } from "cli-progress";
import { count } from "./format.ts";

/** A bar that is shown until it is stopped, and then leaves no trace. */
export interface Progress {
  update(this: void, done: number): void;
  stop(): void;
}

/** Shows a bar for a replay of so many events. */
export function startProgress(stream: NodeJS.WritableStream, name: string, events: number): Progress {
  const bar = new SingleBar({
    stream,
    // The name last: a line that is longer than the terminal is wide loses its end.
    format: "{bar} {value} of {total} events  {name}",
    formatValue: (value, _, type) => (type === "value" || type === "total" ? count(value) : String(value)),
    clearOnComplete: true,
    // The terminal is left as it is: whatever ends or stops the command while a bar is shown, a signal that can't be
    // caught or one that comes in the middle of a replay, could not set it right again.
    hideCursor: false,
    linewrap: true,
  });
  bar.start(events, 0, { name });
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}
