// The thread in which the command reads a trace. Its data is a ReadTask.

import { parentPort, type TransferListItem, workerData } from "node:worker_threads";
import { openTrace, type PageTrace, type ReadOptions } from "palloc/trace";
import type { FromThread, ReadTask } from "./read-thread.ts";
import { openFile } from "./source.ts";

const port = parentPort as NonNullable<typeof parentPort>;
const { path, gcLog, options } = workerData as ReadTask;
const send = (message: FromThread, transfer: TransferListItem[] = []) => port.postMessage(message, transfer);

/** Blocks that may be sent now, and what waits for there to be one. */
let room = 0;
let wake = () => {};
port.on("message", (more: number) => {
  room += more;
  wake();
});

/** Returns a block whose columns nobody else has, and the memory of these. */
function detached(block: PageTrace): [block: PageTrace, memory: ArrayBuffer[]] {
  const { time, proc, kind, base, npages, offset } = block;
  const columns = {
    time: time.slice(),
    proc: proc.slice(),
    kind: kind.slice(),
    base: base.slice(),
    npages: npages.slice(),
    ...(offset && { offset: offset.slice() }),
  };
  return [{ ...block, ...columns }, Object.values(columns).map(({ buffer }) => buffer)];
}

try {
  const given: ReadOptions = { ...options, onProgress: (done, total) => send({ progress: [done, total] }) };
  if (gcLog) given.gcLog = (await openFile(gcLog)).source;
  const trace = await openTrace((await openFile(path)).source, given);
  const { format, pageSize, origin } = trace;
  send({ about: { format, pageSize, ...(origin && { origin }) } });
  for await (const block of trace) {
    while (room === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    room--;
    const [own, memory] = detached(block);
    send({ block: own }, memory);
  }
  send("end");
} catch (caught) {
  const { name, message, stack, code } = caught as Error & { readonly code?: unknown };
  send({ error: { name, message, stack, code } });
}
port.close();
