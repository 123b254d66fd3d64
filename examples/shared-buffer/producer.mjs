// A producer: writes messages into blocks of the arena, and posts where they are.
import { parentPort, workerData } from "node:worker_threads";
import { Arena } from "palloc/arena";
import { PageAlloc } from "palloc/shared";
import { textOf } from "./message.mjs";

const { handle, port, number, count } = workerData;
const arena = Arena.attach(PageAlloc, handle);
// Before all else: from here on the main thread can recover what this worker may leave behind.
parentPort.postMessage({ owner: arena.heap.owner });

const encoder = new TextEncoder();
const clock = new Int32Array(new SharedArrayBuffer(4));

/** Allocates a block, and waits while there is no room. */
function alloc(nbytes) {
  for (;;) {
    const offset = arena.alloc(nbytes);
    if (offset >= 0) return offset;
    // The consumer will free some. Nobody wakes this worker, so it looks again in a while.
    Atomics.wait(clock, 0, 0, 0.1);
  }
}

for (let i = 0; i < count; i++) {
  const bytes = encoder.encode(textOf(number, i));
  const offset = alloc(bytes.length);
  arena.view(offset, Uint8Array, bytes.length).set(bytes);
  // Posting makes what was written visible. From here on the block is the consumer's.
  port.postMessage({ offset, nbytes: bytes.length });
}
port.postMessage("end");
arena.heap.dispose();
