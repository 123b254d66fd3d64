// Where the bytes of a trace come from: an array of them, or blocks that arrive one after the other.
//
// Whoever made an array or a block may change it, transfer it or use it again as soon as it is back in control, so
// nothing here holds on to one. A subclass may say what it likes about itself: what counts is what the language knows.

import { show } from "../../base/arguments.ts";

/** The bytes of a trace: an array of them, a Blob or stream, or blocks that an async iterable gives. */
export type TraceSource = Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Blob;

/** Bytes that arrive in blocks. */
export interface Blocks {
  /**
   * The next block, undefined at the end. It is good until the next call. Rejects with the source's own error, or
   * with TypeError when what it gives are no bytes.
   */
  next(): Promise<Uint8Array | undefined>;
  /** Tells the source that nothing more is wanted. Does not wait for it: a source may be waiting itself. */
  close(): void;
}

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const getter = (name: string | symbol) =>
  Object.getOwnPropertyDescriptor(typedArray, name)?.get as (this: unknown) => unknown;
const typeOf = getter(Symbol.toStringTag);
const bufferOf = getter("buffer");
const offsetOf = getter("byteOffset");
const lengthOf = getter("length");

/** Whether a value is a Uint8Array, of whatever subclass and window. */
export function isBytes(value: unknown): value is Uint8Array {
  return typeOf.call(value) === "Uint8Array";
}

/** A plain view of the bytes that an array has now. Throws TypeError when it has lost them. */
export function bytesNow(name: string, array: Uint8Array): Uint8Array {
  const buffer = bufferOf.call(array) as ArrayBufferLike;
  try {
    // The language's own check, of buffers that are detached or have shrunk: both look empty to everything else.
    typedArray.values.call(array);
  } catch {
    const lost = isDetached(buffer) ? "is detached (it was transferred)" : "has shrunk below its end";
    throw new TypeError(`${name} must be a Uint8Array that has its bytes, got one whose buffer ${lost}`);
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

/** The blocks of a source that is no array. Throws TypeError when it is no source, or is read by another. */
export function blocksOf(name: string, source: Exclude<TraceSource, Uint8Array>): Blocks {
  // What a value can do says more than its class: there are several of each in one process.
  const able = Object(source);
  if (typeof able.getReader === "function") return blocksOfStream(name, able);
  if (typeof able.stream === "function") return blocksOfStream(name, able.stream());
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
      let result: IteratorResult<unknown> | undefined;
      try {
        result = await iterator.next();
      } finally {
        ended = result?.done !== false;
      }
      return blockOf(name, result);
    },
    close() {
      if (!ended) settle(() => iterator.return?.());
    },
  };
}

function blocksOfStream(name: string, stream: ReadableStream<unknown>): Blocks {
  if (stream.locked)
    throw new TypeError(`${name} must be a ReadableStream that nobody else reads, got a locked one`);
  const reader = stream.getReader();
  return {
    next: async () => blockOf(name, await reader.read()),
    close: () => settle(() => reader.cancel()),
  };
}

function blockOf(name: string, { done, value }: IteratorResult<unknown> | ReadableStreamReadResult<unknown>) {
  if (done) return undefined;
  if (!isBytes(value))
    throw new TypeError(`${name} must give blocks that are Uint8Arrays, got ${show(value)}`);
  return bytesNow(`a block of ${name}`, value);
}

/** Bytes that are there already, as one block. */
export function blockOfBytes(bytes: Uint8Array): Blocks {
  let left: Uint8Array | undefined = bytes;
  return {
    async next() {
      const block = left;
      left = undefined;
      return block;
    },
    close() {},
  };
}

/** Calls what may fail, now or later, when that no longer matters. */
async function settle(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch {}
}
