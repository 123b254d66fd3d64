// Unpacks blocks as they are requested.

import { PageAllocError } from "../../base/errors.ts";
import { type Inflater, openInflater } from "./inflate.ts";
import type { Blocks } from "./source.ts";
import type { ZstdDecoder } from "./zstd.ts";

/** How a source is packed, if it is. */
type Packing = "gzip" | "zstd";

/** Packed data is cut short or damaged. */
export class UnpackError extends Error {
  constructor(packing: Packing, reason: string) {
    super(`the ${packing} data is cut short or damaged (${reason})`);
  }
}

/** Bytes that tell the packing. */
const MAGIC_BYTES = 4;

/** Returns the source's blocks, unpacked if they are packed. No trace starts as packed data does. */
export async function unpacked(source: Blocks): Promise<Blocks> {
  const start = await firstBytes(source, MAGIC_BYTES);
  const packing = packingOf(start);
  const whole = startingWith(start, source);
  return packing === "gzip" ? gunzip(whole) : packing === "zstd" ? unzstd(whole) : whole;
}

/** Returns how bytes are packed that start so. */
export function packingOf(start: Uint8Array): Packing | undefined {
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  const [first, second, third, fourth] = start;
  if (first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd) return "zstd";
  // A frame that decoders pass over.
  if (first >>> 4 === 5 && second === 0x2a && third === 0x4d && fourth === 0x18) return "zstd";
  return undefined;
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
  const inflater = openInflater("gzip");
  let failure: { readonly error: unknown } | undefined;
  const nextPacked = async () => {
    try {
      return await packed.next();
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  let isFed = false;
  return {
    async next() {
      if (!isFed) feed(inflater, nextPacked);
      isFed = true;
      let block: Uint8Array | undefined;
      try {
        block = await inflater.read();
      } catch (error) {
        if (!failure) throw new UnpackError("gzip", error instanceof Error ? error.message : String(error));
      }
      if (!block && failure) throw failure.error;
      return block;
    },
    close() {
      inflater.close();
      packed.close();
    },
  };
}

/**
 * Writes blocks to an inflater, each once it has room: a pipe to Node's would read 512 MiB ahead. Whoever reads from
 * the inflater learns what goes wrong here.
 */
async function feed(inflater: Inflater, next: Blocks["next"]): Promise<void> {
  try {
    for (let block = await next(); block; block = await next()) {
      // A copy, because the caller owns the block, and streams refuse shared memory.
      await inflater.write(new Uint8Array(block));
    }
    await inflater.end();
  } catch {
    inflater.close();
  }
}

/** Returns the unpacked blocks, as gunzip does. Loads the decoder first. */
function unzstd(packed: Blocks): Blocks {
  let decoder: ZstdDecoder | undefined;
  return {
    async next() {
      decoder ??= await openZstd();
      for (;;) {
        const piece = readZstd(decoder);
        if (piece) return piece;
        const block = await packed.next();
        if (block) decoder.give(block);
        else if (decoder.mayEnd) return undefined;
        else throw new UnpackError("zstd", "it ends in mid-frame");
      }
    },
    close: packed.close,
  };
}

function readZstd(decoder: ZstdDecoder): Uint8Array | undefined {
  try {
    return decoder.read();
  } catch (error) {
    throw new UnpackError("zstd", error instanceof Error ? error.message : String(error));
  }
}

async function openZstd(): Promise<ZstdDecoder> {
  try {
    return await (await import("./zstd.ts")).openZstd();
  } catch (cause) {
    const message =
      `the trace is packed by zstd, and its decoder cannot be loaded: ${cause}. The decoder needs WebAssembly, which ` +
      "a page's Content-Security-Policy allows by 'wasm-unsafe-eval'. Or unpack the trace first, by zstd -d.";
    throw new PageAllocError("ERR_WASM_UNAVAILABLE", message, { cause });
  }
}
