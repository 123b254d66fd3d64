// Gunzips what arrives in blocks, as far as it is asked for.

import type { Blocks } from "./source.ts";

/** Most bytes to give a gunzipper at once: some unpack all of it, to a thousand times as much, before they are read. */
const PIECE_BYTES = 2 ** 15;

/** Why gzip data could not be unpacked any further. */
export class GunzipError extends Error {}

/** The source's blocks, gunzipped if they are gzip. A plain trace starts with a sync word, so never like gzip. */
export async function unpacked(source: Blocks): Promise<Blocks> {
  const start = await firstBlock(source);
  const whole = startingWith(start, source);
  return isGzip(start) ? gunzip(whole) : whole;
}

export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** The first block, which is made long enough to tell what it is. Empty if there is nothing. */
async function firstBlock(source: Blocks): Promise<Uint8Array> {
  let start = (await source.next()) ?? new Uint8Array(0);
  while (start.length < 2) {
    const before = start.slice();
    const more = await source.next();
    if (!more) return before;
    start = new Uint8Array(before.length + more.length);
    start.set(before);
    start.set(more, before.length);
  }
  return start;
}

/** A block that was taken from a source, and those that follow it. */
function startingWith(block: Uint8Array, { next, close }: Blocks): Blocks {
  let first: Uint8Array | undefined = block;
  return {
    next: async () => {
      if (!first) return next();
      const taken = first;
      first = undefined;
      return taken;
    },
    close,
  };
}

/** The unpacked blocks. They end with GunzipError where the data turns out to be cut short or damaged. */
function gunzip(packed: Blocks): Blocks {
  let failure: { readonly error: unknown } | undefined;
  let left = new Uint8Array(0);
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        while (left.length === 0) {
          const block = await packed.next();
          if (!block) return controller.close();
          // A copy: the block is not ours, and may lie in shared memory, which streams refuse.
          left = new Uint8Array(block);
        }
        controller.enqueue(left.subarray(0, PIECE_BYTES));
        left = left.subarray(PIECE_BYTES);
      } catch (error) {
        failure = { error };
        throw error;
      }
    },
  });
  const reader = stream.pipeThrough(new DecompressionStream("gzip")).getReader();
  return {
    async next() {
      try {
        return (await reader.read()).value;
      } catch (error) {
        if (failure) throw failure.error;
        throw new GunzipError(error instanceof Error ? error.message : String(error));
      }
    },
    close() {
      reader.cancel().catch(() => {});
      packed.close();
    },
  };
}
