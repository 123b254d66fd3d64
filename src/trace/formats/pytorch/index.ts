// PyTorch memory snapshots, as one of the formats.

import type { PageTrace } from "../../events.ts";
import type { Format } from "../../format.ts";
import { memoryError } from "../../memory-error.ts";
import { ByteReader } from "../../source/byte-reader.ts";
import { eventsOf } from "./plan.ts";
import { fail, PAGE_BYTES, type Segments, Snapshot, type Traces } from "./snapshot.ts";
import { Unpickler } from "./unpickle.ts";

const HOW_TO_RECORD =
  "call torch.cuda.memory._record_memory_history() before, and torch.cuda.memory._dump_snapshot(path) after what is " +
  "to be recorded";

export const pytorch: Format = {
  name: "pytorch",
  // Protocol 2 or later starts with its number. Other pickles are told apart by reading them.
  recognises: (start) => start.length >= 2 && start[0] === 0x80 && start[1] >= 2 && start[1] <= 5,
  async open(input, { device }) {
    const snapshot = new Snapshot();
    const root = await new Unpickler(new ByteReader(await input.open()), snapshot).read();
    const { traces } = snapshot;
    if (root !== snapshot || !traces) {
      fail(0, `this is a pickle, but no memory snapshot, a dict with device_traces; ${HOW_TO_RECORD}`);
    }
    const chosen = chooseDevice(traces, device);
    return { pageSize: PAGE_BYTES, blocks: blocksOf(traces, chosen, snapshot.segments) };
  },
};

/** Reads the blocks of a device. */
async function* blocksOf(
  { byte, devices }: Traces,
  device: number,
  segments: Segments | undefined,
): AsyncGenerator<PageTrace> {
  try {
    yield* eventsOf(devices[device].take(), device, segments);
  } catch (error) {
    throw memoryError(error, `byte ${byte}`);
  }
}

/** Returns the device that is asked for, or the only one that has events. Throws PageAllocError ERR_TRACE. */
function chooseDevice({ byte, devices }: Traces, asked: number | undefined): number {
  const busy = devices.flatMap((trace, device) => (trace.length > 0 ? [device] : []));
  if (busy.length === 0) fail(byte, `device_traces has no events of any device; ${HOW_TO_RECORD}`);
  const list = busy.map((device) => `${device} (${devices[device].length} events)`).join(", ");
  if (asked !== undefined && !busy.includes(asked)) {
    fail(byte, `device_traces has no events of device ${asked}, only of ${list}`);
  }
  if (asked === undefined && busy.length > 1) {
    fail(byte, `device_traces has events of several devices: ${list}; choose one by the option device`);
  }
  return asked ?? busy[0];
}
