// Starts workers that pass messages through one SharedArrayBuffer, terminates one of them at its work, and sees in the
// end that no byte is missing.
//
//   node examples/shared-buffer/main.mjs
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel, Worker } from "node:worker_threads";
import { Arena } from "palloc/arena";
import { PageAlloc } from "palloc/shared";

/** So few that the producers often have to wait for room. */
const BYTES = 2 ** 16;
const PRODUCERS = 3;
/** What each producer sends, but for the one that is terminated, which does not end by itself. */
const MESSAGES = 5000;
/** How long that one works, in ms. */
const WORK_MS = 200;

const arena = new Arena(PageAlloc, new SharedArrayBuffer(BYTES), { shared: true });

/** Starts a worker. Resolves once it has attached, to the worker and its owner number. */
async function start(script, data, ports) {
  const workerData = { ...data, handle: arena.handle };
  const worker = new Worker(new URL(script, import.meta.url), { workerData, transferList: ports });
  const [{ owner }] = await once(worker, "message");
  return { worker, owner };
}

const channels = Array.from({ length: PRODUCERS }, () => new MessageChannel());
const inPorts = channels.map(({ port2 }) => port2);
const consumer = await start("consumer.mjs", { ports: inPorts, ends: PRODUCERS - 1 }, inPorts);
const report = once(consumer.worker, "message");

const [lost] = await Promise.all(
  channels.map(({ port1 }, i) => {
    const count = i === 0 ? Infinity : MESSAGES;
    return start("producer.mjs", { port: port1, number: i, count }, [port1]);
  }),
);

await sleep(WORK_MS);
await lost.worker.terminate();
// Only now that it is gone. If it had the lock, the others have waited for this.
arena.heap.recover(lost.owner);

const [{ received }] = await report;
for (const count of received.slice(1)) {
  if (count !== MESSAGES) throw new Error(`the consumer has had ${count} messages instead of ${MESSAGES}`);
}

// All others have freed what they had, so what is left is of the worker that was terminated: messages that it had not
// sent yet, or that nobody has read. While others are at work, only a ledger could tell: see ../workers.
let left = 0;
for (const { offset } of arena.blocks()) {
  arena.free(offset);
  left++;
}
const { blocks, inUse } = arena.stats();
if (blocks || inUse) throw new Error(`${blocks} blocks and ${inUse} bytes are still in use`);
arena.heap.check();
const free = arena.heap.longestFree() * arena.heap.pageSize;

console.log(
  `2 producers have sent ${received[1] + received[2]} messages. All have been read, checked and freed.`,
);
console.log(`1 was terminated at its work: ${received[0]} messages read, ${left} blocks freed for it.`);
console.log(`In the end, ${free} of ${BYTES} bytes are free in one piece, and the heap is sound.`);
