// The page that ../browsers.mjs drives: a worker replays the file that was chosen. Meanwhile the page shows how far the
// worker is, as a user's would, and notes when each frame begins.
const input = document.querySelector("input");
const bar = document.querySelector("progress");
const output = document.querySelector("output");

const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
const isReady = new Promise((resolve, reject) => {
  worker.addEventListener("message", resolve, { once: true });
  worker.addEventListener("error", ({ message = "the worker did not start" }) => reject(new Error(message)));
});

function showEvents(events) {
  output.value = `${events.toLocaleString("en")} events`;
}

// The first number that a page formats costs it a frame.
showEvents(0);

const nextFrame = () => new Promise(requestAnimationFrame);

/** Calls `run`. Returns what its promise gives, and the times from frame to frame meanwhile, in ms. */
async function withFrames(run) {
  await isReady;
  let last = await nextFrame();
  let isOver = false;
  const result = run().finally(() => {
    isOver = true;
  });
  const frames = [];
  while (!isOver) {
    const time = await nextFrame();
    frames.push(time - last);
    last = time;
  }
  return { ...(await result), frames };
}

/** Sends the worker a message. Shows how far it is. Returns what it gives in the end. */
function inWorker(message, takeProgress = () => {}) {
  return new Promise((resolve, reject) => {
    function take({ data }) {
      const { part, events, ended, failed } = data;
      if (part !== undefined) bar.value = part;
      if (events !== undefined) {
        showEvents(events);
        takeProgress(events);
      }
      if (!ended && !failed) return;
      worker.removeEventListener("message", take);
      if (ended) resolve(ended);
      else reject(Object.assign(new Error(failed.text), failed));
    }
    worker.addEventListener("message", take);
    worker.postMessage(message);
  });
}

const replay = () => inWorker({ file: input.files[0] });

async function stop(stopAfter) {
  const gate = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  let since = 0;
  const running = inWorker({ file: input.files[0], stopAfter, gate }, (events) => {
    if (events < stopAfter || since > 0) return;
    since = performance.now();
    worker.postMessage("stop");
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  });
  try {
    await running;
  } catch (error) {
    if (error.isStop) return { stopMs: performance.now() - since, replayed: error.replayed };
    throw error;
  }
  throw new Error(`the worker has replayed all of the file, and was to stop after ${stopAfter} events`);
}

/** What the page can be told to do. All return `frames` too. */
globalThis.tasks = {
  /** Nothing, for so many ms. */
  idle: (ms) => withFrames(() => new Promise((resolve) => setTimeout(resolve, ms))),
  /** Has the worker compute for so many ms, and say how far it is. */
  compute: (ms) => withFrames(() => inWorker({ ms })),
  /** Returns the `report` of a replay of the file, and the `ms` that it took. */
  replay: () => withFrames(replay),
  /** Stops a replay after so many events. Returns the `stopMs` until it has, and how many were `replayed`. */
  stop: (events) => withFrames(() => stop(events)),
};
