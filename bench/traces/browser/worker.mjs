// The worker of page.mjs. It takes a `file` to replay, or `ms` to compute for. Any other message stops a replay.
import { PageAlloc } from "../../../dist/index.js";
import { openTrace, replay } from "../../../dist/trace.js";
import { errorText } from "../../requests.mjs";

/** How often to say how far a computation is, in ms. */
const SAY_MS = 10;

let stopping;

/** Replays a file. Waits after `stopAfter` events, until `gate` says that the page has sent the order to stop. */
async function replayFile({ file, stopAfter, gate }) {
  stopping = new AbortController();
  const { signal } = stopping;
  const start = performance.now();
  let replayed = 0;
  try {
    const blocks = await openTrace(file, {
      signal,
      onProgress: (read, total) => self.postMessage({ part: read / total }),
    });
    const report = await replay(PageAlloc, blocks, {
      signal,
      onProgress(events) {
        replayed = events;
        self.postMessage({ events });
        if (events >= stopAfter) Atomics.wait(gate, 0, 0);
      },
    });
    self.postMessage({
      ended: { report: { ...report, series: lists(report.series) }, ms: performance.now() - start },
    });
  } catch (error) {
    self.postMessage({ failed: { isStop: error === signal.reason, text: errorText(error), replayed } });
  }
}

/** Typed arrays are lost on the way from a page to Node. */
const lists = (columns) =>
  Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, [...column]]));

/** Computes, and says how far it is, about as often as a replay does. */
function compute({ ms }) {
  const start = performance.now();
  let said = 0;
  for (let time = 0; time < ms; time = performance.now() - start) {
    if (time < said + SAY_MS) continue;
    self.postMessage({ part: time / ms, events: Math.round(time) });
    said = time;
  }
  self.postMessage({ ended: {} });
}

self.addEventListener("message", ({ data }) => {
  if (data.file) replayFile(data);
  else if (data.ms) compute(data);
  else stopping.abort();
});
self.postMessage("ready");
