// Unpacks blocks as they are requested.

import type { Blocks } from "./source.ts";

/** Most bytes to give a gunzipper at once. Some unpack all of them, up to a thousandfold, before the first read. */
const PIECE_BYTES = 2 ** 15;

/** Packed data is cut short or damaged. */
export class UnpackError extends Error {
  readonly packing: Packing;

  constructor(packing: Packing, reason: string) {
    super(reason);
    this.packing = packing;
  }
}

/** How a source is packed, if it is. */
export type Packing = "gzip";

/** Bytes that identify the packing. */
const MAGIC_BYTES = 2;

/** Returns the source's blocks, unpacked if they are packed. No trace starts as packed data does. */
export async function unpacked(source: Blocks): Promise<{ blocks: Blocks; packing: Packing | undefined }> {
  const start = await firstBytes(source, MAGIC_BYTES);
  const whole = startingWith(start, source);
  return isGzip(start) ? { blocks: gunzip(whole), packing: "gzip" } : { blocks: whole, packing: undefined };
}

/** Reports whether bytes start as gzip does. */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** Returns the first blocks as one, of at least `count` bytes. Shorter only if the source is. */
export async function firstBytes(source: Blocks, count: number): Promise<Uint8Array> {
  let start = (await source.next()) ?? new Uint8Array(0);
  while (start.length < count) {
    const before = start.slice();
    const more = await source.next();
    if (!more) return before;
    start = new Uint8Array(before.length + more.length);
    start.set(before);
    start.set(more, before.length);
  }
  return start;
}

/** Puts a block back in front of the source that it came from. */
export function startingWith(block: Uint8Array, { next, close }: Blocks): Blocks {
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

/** Returns the unpacked blocks. They reject with UnpackError where the data is cut short or damaged. */
function gunzip(packed: Blocks): Blocks {
  let failure: { readonly error: unknown } | undefined;
  let left = new Uint8Array(0);
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        while (left.length === 0) {
          const block = await packed.next();
          if (!block) return controller.close();
          // A copy, because the caller owns the block, and streams refuse shared memory.
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
        throw new UnpackError("gzip", error instanceof Error ? error.message : String(error));
      }
    },
    close() {
      reader.cancel().catch(() => {});
      packed.close();
    },
  };
}
