// Inflates packed bytes as they are written: by Node's zlib where there is one, else by a DecompressionStream.

/** Most bytes to write to a DecompressionStream at once. Some unpack all of them, up to a thousandfold, unasked. */
const PIECE_BYTES = 2 ** 15;
/** Bytes that zlib gives at a time. A DecompressionStream gives 16 KiB in Node, which takes twice as long. */
const UNPACKED_BYTES = 2 ** 18;

/** What is written to it can be read unpacked. */
export interface Inflater {
  /** Resolves once there is room for more. The bytes must not change until the end. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Says that there is no more to write. */
  end(): Promise<void>;
  /** Returns unpacked bytes; undefined at the end. Rejects if the data is cut short or damaged. */
  read(): Promise<Uint8Array | undefined>;
  /** Lets go of it. A write or read that waits then ends, in any way. */
  close(): void;
}

/** Opens an inflater. */
export function openInflater(format: "gzip" | "deflate-raw"): Inflater {
  // What is imported by its name would have to be there in a browser.
  const zlib = globalThis.process?.getBuiltinModule?.("node:zlib");
  if (!zlib) return webInflater(format);
  const open = format === "gzip" ? zlib.createGunzip : zlib.createInflateRaw;
  return nodeInflater(open({ chunkSize: UNPACKED_BYTES }));
}

function webInflater(format: CompressionFormat): Inflater {
  const { readable, writable } = new DecompressionStream(format);
  const reader = readable.getReader();
  const writer = writable.getWriter();
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        await writer.write(bytes.subarray(at, at + PIECE_BYTES));
      }
    },
    end: () => writer.close(),
    read: async () => (await reader.read()).value,
    close() {
      reader.cancel().catch(() => {});
      writer.abort().catch(() => {});
    },
  };
}

/** What is used of a stream of Node's zlib. */
type NodeInflate = ReturnType<typeof import("node:zlib").createGunzip>;

function nodeInflater(stream: NodeInflate): Inflater {
  const blocks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]();
  // The calls reject. An error that nobody listens to would end the process.
  stream.on("error", () => {});
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    async end() {
      stream.end();
    },
    read: async () => (await blocks.next()).value,
    close: () => void stream.destroy(),
  };
}
