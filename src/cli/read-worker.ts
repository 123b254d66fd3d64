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

/** Returns a block, of whose columns no other has a part, and the memory of these. */
function apart(block: PageTrace): [block: PageTrace, memory: ArrayBuffer[]] {
  const { time, proc, kind, base, npages, offset } = block;
  const columns = {
    time: whole(time),
    proc: whole(proc),
    kind: whole(kind),
    base: whole(base),
    npages: whole(npages),
    ...(offset && { offset: whole(offset) }),
  };
  return [{ ...block, ...columns }, Object.values(columns).map(({ buffer }) => buffer as ArrayBuffer)];
}

/** Returns a column that has all of its memory: itself, or a copy. */
function whole<Column extends Float64Array | Int32Array | Uint8Array | Uint32Array>(column: Column): Column {
  return column.byteLength === column.buffer.byteLength ? column : (column.slice() as Column);
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
    const [own, memory] = apart(block);
    send({ block: own }, memory);
  }
  send("end");
} catch (caught) {
  const { name, message, stack, code } = caught as Error & { readonly code?: unknown };
  send({ error: { name, message, stack, code } });
}
port.close();
