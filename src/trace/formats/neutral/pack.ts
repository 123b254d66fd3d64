// Packs and unpacks the content of a frame, by deflate without a header.

import { openInflater } from "../../source/inflate.ts";

/** Packs bytes. They must not change until the promise has settled. */
export async function pack(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/**
 * Unpacks bytes to `length` of them. They must not change until the promise has settled. Undefined if they are damaged
 * or have another length.
 */
export async function unpack(
  bytes: Uint8Array<ArrayBuffer>,
  length: number,
): Promise<Uint8Array | undefined> {
  const unpacked = new Uint8Array(length);
  const inflater = openInflater("deflate-raw");
  // What is wrong with the bytes is learnt from reading.
  inflater.write(bytes).then(inflater.end, () => {});
  let at = 0;
  try {
    for (let piece = await inflater.read(); piece; piece = await inflater.read()) {
      if (piece.length > length - at) return undefined;
      unpacked.set(piece, at);
      at += piece.length;
    }
  } catch {
    return undefined;
  } finally {
    inflater.close();
  }
  return at === length ? unpacked : undefined;
}
