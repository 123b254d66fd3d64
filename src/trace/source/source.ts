// The sources of a trace's bytes: an array, or blocks that arrive one after the other.
//
// The caller may change, transfer or reuse an array or block as soon as it gets control back, so nothing here keeps
// one. A subclass may override its getters, so the language's own are called.

import { show } from "../../base/arguments.ts";
import type { ByteBlob, ByteStream } from "../../base/platform.ts";

/** The bytes of a trace, plain, gzip or zstd: a Uint8Array, a Blob, a stream or an async iterable of Uint8Arrays. */
export type TraceSource = Uint8Array | ByteStream | AsyncIterable<Uint8Array> | ByteBlob;

/** Bytes of a Blob to read at a time, and blocks to read ahead. Chromium takes ms for each block of a File. */
const BLOB_BYTES = 2 ** 19;
const BLOB_BLOCKS = 2;

/** Bytes that arrive in blocks. */
export interface Blocks {
  /**
   * Returns the next block, which is valid until the next call; undefined at the end. Rejects with the source's own
   * error, or with TypeError when a block is not a Uint8Array.
   */
  next(): Promise<Uint8Array | undefined>;
  /** Tells the source to stop, if it has not ended. Does not wait for that, as the source may be waiting itself. */
  close(): void;
}

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const getter = (name: string | symbol) =>
  Object.getOwnPropertyDescriptor(typedArray, name)?.get as (this: unknown) => unknown;
const typeOf = getter(Symbol.toStringTag);
const bufferOf = getter("buffer");
const offsetOf = getter("byteOffset");
const lengthOf = getter("length");

/** Reports whether a value is a Uint8Array, of any subclass or realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return typeOf.call(value) === "Uint8Array";
}

/** Returns a plain view of an array's current bytes. Throws TypeError when it has lost them. */
export function bytesNow(name: string, array: Uint8Array): Uint8Array {
  const buffer = bufferOf.call(array) as ArrayBufferLike;
  try {
    // Throws for a detached or shrunk buffer. All else just shows such an array as empty.
    typedArray.values.call(array);
  } catch {
    const lost = isDetached(buffer) ? "is detached (it was transferred)" : "has shrunk below its end";
    throw new TypeError(`${name} must be a Uint8Array with its bytes, got one whose buffer ${lost}`);
  }
  return new Uint8Array(buffer, offsetOf.call(array) as number, lengthOf.call(array) as number);
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer, 0, 0);
    return false;
  } catch {
    return true;
  }
}

/** Returns the blocks of a source. Throws TypeError for anything else, and for a locked stream. */
export function blocksOf(name: string, source: Exclude<TraceSource, Uint8Array>): Blocks {
  // Tests methods rather than classes, because a process may have several classes of the same name.
  const able = Object(source);
  if (typeof able.getReader === "function") return blocksOfStream(name, able);
  if (typeof able.stream === "function") {
    if (typeof able.slice === "function" && typeof able.size === "number") return blocksOfBlob(able);
    return blocksOfStream(name, able.stream());
  }
  if (typeof able[Symbol.asyncIterator] === "function") {
    return blocksOfIterator(name, able[Symbol.asyncIterator]());
  }
  throw new TypeError(
    `${name} must be a Uint8Array, a Blob, or a ReadableStream or async iterable of Uint8Arrays, got ${show(source)}`,
  );
}

function blocksOfIterator(name: string, iterator: AsyncIterator<unknown>): Blocks {
  let ended = false;
  return {
    async next() {
      if (ended) return undefined;
      let result: IteratorResult<unknown> | undefined;
      try {
        result = await iterator.next();
      } finally {
        ended ||= result?.done !== false;
      }
      return blockOf(name, result);
    },
    close() {
      if (!ended) settle(() => iterator.return?.());
      ended = true;
    },
  };
}

function blocksOfStream(name: string, stream: ByteStream): Blocks {
  if (stream.locked)
    throw new TypeError(`${name} must be a ReadableStream without another reader, got a locked one`);
  const reader = stream.getReader();
  return {
    next: async () => blockOf(name, await reader.read()),
    close: () => settle(() => reader.cancel()),
  };
}

/** Reads some blocks ahead, so that a file is read while its bytes are decoded. The stream of a Blob does not. */
function blocksOfBlob(blob: Required<ByteBlob>): Blocks {
  const ahead: Promise<ArrayBuffer>[] = [];
  let at = 0;
  let ended = false;
  return {
    async next() {
      while (!ended && at < blob.size && ahead.length <= BLOB_BLOCKS) {
        const end = Math.min(at + BLOB_BYTES, blob.size);
        const block = blob.slice(at, end).arrayBuffer();
        // The call that takes the block rejects, if there is one.
        block.catch(() => {});
        ahead.push(block);
        at = end;
      }
      const block = await ahead.shift();
      return block && new Uint8Array(block);
    },
    close() {
      ended = true;
      ahead.length = 0;
    },
  };
}

function blockOf(
  name: string,
  { done, value }: IteratorResult<unknown> | { done: boolean; value?: unknown },
) {
  if (done) return undefined;
  if (!isBytes(value)) throw new TypeError(`${name} must yield Uint8Arrays, got ${show(value)}`);
  return bytesNow(`a block of ${name}`, value);
}

/** Returns bytes in blocks of at most `size`. */
export function blocksOfBytes(bytes: Uint8Array, size: number): Blocks {
  let at = 0;
  return {
    async next() {
      if (at >= bytes.length) return undefined;
      const block = bytes.subarray(at, at + size);
      at += block.length;
      return block;
    },
    close() {},
  };
}

/** Calls `call` and ignores its errors, also those of a promise that it returns. */
async function settle(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch {}
}
