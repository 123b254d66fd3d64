// A column of the arena's benchmark in a worker thread. Requests are `{ what, live, unit, ... }`.
import { parentPort, workerData } from "node:worker_threads";
import { measure } from "../measure.mjs";
import { answerWith } from "../requests.mjs";
import { Churn, memoryFor } from "./churn.mjs";
import { COLUMNS } from "./columns.mjs";

const Allocator = COLUMNS[workerData]();
/** What `time` measures, by the number of live blocks and the unit. */
const tasks = new Map();

async function start({ live, unit }) {
  const allocator = new (await Allocator)({ nbytes: memoryFor(live), live, unit });
  return { allocator, churn: new Churn(allocator, live) };
}

const answers = {
  /** Returns ns per pair, after so many pairs to warm up in the first round. */
  async time({ live, unit, settle, settings }) {
    const key = `${live} ${unit}`;
    if (!tasks.has(key)) {
      const { churn } = await start({ live, unit });
      churn.run(settle);
      tasks.set(key, churn.task());
    }
    return measure(tasks.get(key), settings).median;
  },

  /** Forgets what `time` has measured, and its memory. */
  async forget() {
    tasks.clear();
  },

  /** Returns what there is after so many pairs. Bytes are as shares of what the comment says. */
  async age({ live, unit, pairs }) {
    const { allocator, churn } = await start({ live, unit });
    churn.run(pairs);
    const { bookkeeping, rounding } = allocator.overhead(churn.requested);
    const nbytes = memoryFor(live);
    return {
      bookkeeping: bookkeeping / live,
      rounding: rounding / live,
      // Of the bytes that are not live.
      largest: churn.largest(nbytes) / (nbytes - churn.requested),
      // Of the live bytes, now and when there were most.
      top: churn.top() / churn.requested,
      highest: churn.highest / churn.mostRequested,
    };
  },
};

const post = (message) => parentPort.postMessage(message);
parentPort.on(
  "message",
  answerWith(workerData, (request) => answers[request.what](request), post),
);
