// The consumer: reads the messages of all producers, checks them, and frees their blocks.
import { parentPort, workerData } from "node:worker_threads";
import { Arena } from "palloc/arena";
import { PageAlloc } from "palloc/shared";
import { textOf } from "./message.mjs";

const { handle, ports, ends } = workerData;
const arena = Arena.attach(PageAlloc, handle);
parentPort.postMessage({ owner: arena.heap.owner });

const decoder = new TextDecoder();
/** How many messages each producer has sent so far. They arrive in order. */
const received = ports.map(() => 0);
let ended = 0;

/** Reads a message out of its block, and frees the block. */
function receive(number, { offset, nbytes }) {
  // A copy: another message may be in the block as soon as it is free, and decoders refuse shared memory in browsers.
  const bytes = arena.view(offset, Uint8Array, nbytes).slice();
  arena.free(offset);
  const text = decoder.decode(bytes);
  const expected = textOf(number, received[number]++);
  if (text !== expected) throw new Error(`the message at ${offset} is ${text}, instead of ${expected}`);
}

/** Reports and ends, once all producers that end have done so. */
function end() {
  if (++ended < ends) return;
  arena.heap.dispose();
  for (const port of ports) port.close();
  parentPort.postMessage({ received });
}

for (const [number, port] of ports.entries()) {
  port.on("message", (message) => (message === "end" ? end() : receive(number, message)));
}
