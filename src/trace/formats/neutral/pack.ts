// Packs and unpacks the content of a frame, by deflate without a header.

/** Most bytes to give an unpacker at once. Some unpack all of them, up to a thousandfold, before the first read. */
const PIECE_BYTES = 2 ** 15;

/** Packs bytes. They must not change until the promise has settled. */
export async function pack(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = streamOf(bytes).pipeThrough(new CompressionStream("deflate-raw"));
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
  const reader = streamOf(bytes).pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  let at = 0;
  try {
    for (;;) {
      const { value } = await reader.read();
      if (!value) return at === length ? unpacked : undefined;
      if (value.length > length - at) break;
      unpacked.set(value, at);
      at += value.length;
    }
  } catch {
    return undefined;
  }
  reader.cancel().catch(() => {});
  return undefined;
}

/** Returns a stream of the bytes, in pieces. */
function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(at, at + PIECE_BYTES));
      at += PIECE_BYTES;
      if (at >= bytes.length) controller.close();
    },
  });
}
