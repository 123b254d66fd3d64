// The progress bar on a terminal.

import { SingleBar } from "cli-progress";
import { count } from "./format.ts";

/** A progress bar. `stop` erases it. */
export interface Progress {
  update(this: void, done: number): void;
  stop(): void;
}

/** Shows a bar for `total` things, or just their number if `total` is undefined; `unit` is their plural. */
export function startProgress(
  stream: NodeJS.WritableStream,
  name: string,
  total: number | undefined,
  unit: string,
): Progress {
  const bar = new SingleBar({
    stream,
    // The name comes last, because a line that is too long for the terminal loses its end.
    format: total === undefined ? `{value} ${unit}  {name}` : `{bar} {value} of {total} ${unit}  {name}`,
    formatValue: (value, _, type) => (type === "value" || type === "total" ? count(value) : String(value)),
    clearOnComplete: true,
    // The terminal's settings stay as they are. A signal that cannot be caught, or that comes in the middle of a
    // replay, would leave them changed.
    hideCursor: false,
    linewrap: true,
  });
  bar.start(total ?? 0, 0, { name });
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}
