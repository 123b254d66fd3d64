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
    format: "{name} {bar} {value} of {total} events",
    formatValue: (value, _, type) => (type === "value" || type === "total" ? count(value) : String(value)),
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(events, 0, { name });
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}
