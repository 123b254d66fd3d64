// The input of a reader: the unpacked bytes of a source, with a limit, progress and a way to stop.

import { PageAllocError } from "../../base/errors.ts";
import type { Abort, ByteBlob } from "../../base/platform.ts";
import { type Blocks, blocksOf, blocksOfBytes, bytesNow, isBytes, type TraceSource } from "./source.ts";
import { firstBytes, startingWith, UnpackError, unpacked } from "./unpack.ts";

/** Bytes by which a format is recognised. */
const START_BYTES = 4096;
/** Bytes of the source after which progress is reported again, unless a hundredth of it is less. */
const PROGRESS_BYTES = 2 ** 20;

/** Bytes of an array to give at a time, so that its reader need not hold what comes of all. */
const BLOCK_BYTES = 2 ** 18;

/** Options of an input. They have been checked. */
export interface InputOptions {
  /** Most bytes to read in a pass, counted after unpacking. */
  readonly limit: number;
  readonly signal?: Abort;
  onProgress?(bytesRead: number, bytesTotal: number | undefined): void;
}

/** The bytes of a trace, for its reader. They are unpacked. Those of an array or a Blob can be read more than once. */
export class Input {
  /** Whether `open` can be called more than once. */
  readonly rereadable: boolean;
  /** Passes over the source. A reader that needs two says so before the first, so that progress is right. */
  passes = 1;
  readonly #open: () => Blocks;
  readonly #slice: ((start: number, end: number) => Promise<Uint8Array>) | undefined;
  readonly #options: InputOptions;
  /** Bytes of the source, before unpacking; undefined for a stream. */
  readonly #size: number | undefined;
  #bytesRead = 0;
  #bytesReported = 0;
  #isPacked = false;
  /** The current blocks, from the beginning if `start` has opened them. */
  #blocks: Blocks | undefined;
  #isAtStart = false;

  /**
   * @param name of the source, for messages
   * @param source an array is copied, since its owner may change it
   *
   * Throws TypeError for what is not a source.
   */
  constructor(name: string, source: TraceSource, options: InputOptions) {
    this.#options = options;
    if (isBytes(source)) {
      const bytes = bytesNow(name, source).slice();
      this.rereadable = true;
      this.#size = bytes.length;
      this.#open = () => blocksOfBytes(bytes, BLOCK_BYTES);
      this.#slice = async (start, end) => bytes.subarray(start, end);
      return;
    }
    const { size, stream, slice } = Object(source) as Partial<ByteBlob>;
    this.rereadable = typeof stream === "function" && typeof size === "number";
    this.#size = this.rereadable ? size : undefined;
    if (this.rereadable && typeof slice === "function") {
      this.#slice = async (start, end) => new Uint8Array(await slice.call(source, start, end).arrayBuffer());
    }
    // Opened now, so that a wrong source or a locked stream is refused now.
    const first = blocksOf(name, source);
    let isFirst = true;
    this.#open = () => {
      if (!isFirst) return blocksOf(name, source);
      isFirst = false;
      return first;
    };
  }

  /** Returns the first 4,096 unpacked bytes, or all if there are fewer. `open` gives them again. */
  async start(): Promise<Uint8Array> {
    const blocks = await this.#unpack();
    const start = await firstBytes(blocks, START_BYTES);
    // A copy: the block is valid only until the next is requested.
    this.#blocks = startingWith(start, blocks);
    this.#isAtStart = true;
    return start.slice(0, START_BYTES);
  }

  /**
   * Returns the unpacked bytes from the beginning. Only if the input is rereadable it can be called again, which closes
   * the blocks before. The blocks reject with PageAllocError ERR_TRACE that names the byte where packed data is damaged
   * or the limit is exceeded, and with the signal's reason once it is aborted.
   */
  async open(): Promise<Blocks> {
    const blocks = this.#isAtStart ? (this.#blocks as Blocks) : await this.#unpack();
    this.#isAtStart = false;
    return this.#limited(blocks);
  }

  /**
   * Reads the bytes at [start, end), or those up to the end of the source. Undefined if they cannot be had without all
   * before them. Known after `start`.
   */
  get readAt(): ((start: number, end: number) => Promise<Uint8Array>) | undefined {
    const slice = this.#slice;
    if (!slice || this.#isPacked) return undefined;
    return async (start, end) => {
      this.#mustGoOn();
      const bytes = await slice(start, end);
      this.#report(bytes.length);
      return bytes;
    };
  }

  /** Tells the source to stop. */
  close(): void {
    this.#blocks?.close();
  }

  /** Opens the source from the beginning. */
  async #unpack(): Promise<Blocks> {
    this.#mustGoOn();
    this.close();
    const source = this.#watched(this.#open());
    this.#blocks = source;
    const { blocks, packing } = await unpacked(source);
    this.#isPacked = packing !== undefined;
    this.#blocks = blocks;
    return blocks;
  }

  /** Blocks of the source that report progress, and end when the signal is aborted. */
  #watched(source: Blocks): Blocks {
    return {
      next: async () => {
        this.#mustGoOn();
        const block = await this.#unlessAborted(source.next());
        if (block) this.#report(block.length);
        return block;
      },
      close: source.close,
    };
  }

  /** Unpacked blocks whose errors name the byte. */
  #limited(source: Blocks): Blocks {
    const { limit } = this.#options;
    let at = 0;
    return {
      next: async () => {
        let block: Uint8Array | undefined;
        try {
          block = await source.next();
        } catch (error) {
          if (!(error instanceof UnpackError)) throw error;
          const reason = `byte ${at}: the ${error.packing} data is cut short or damaged (${error.message})`;
          throw new PageAllocError("ERR_TRACE", reason, { cause: error });
        }
        if (!block) return undefined;
        const room = limit - at;
        if (block.length > 0 && room === 0) {
          const reason = `the trace is longer than the limit of ${limit} bytes; raise the option limit to read it`;
          throw new PageAllocError("ERR_TRACE", `byte ${at}: ${reason}`);
        }
        if (block.length > room) block = block.subarray(0, room);
        at += block.length;
        return block;
      },
      close: source.close,
    };
  }

  /** Counts bytes of the source, and reports progress now and then. */
  #report(count: number): void {
    this.#bytesRead += count;
    const { onProgress } = this.#options;
    if (!onProgress) return;
    const total = this.#size === undefined ? undefined : this.#size * this.passes;
    const step = Math.min(PROGRESS_BYTES, (total ?? Infinity) / 100);
    if (this.#bytesRead - this.#bytesReported < step && this.#bytesRead !== total) return;
    this.#bytesReported = this.#bytesRead;
    onProgress(this.#bytesRead, total);
  }

  /** Throws the signal's reason if it is aborted. */
  #mustGoOn(): void {
    const { signal } = this.#options;
    if (signal?.aborted) throw signal.reason;
  }

  /** Waits for a promise, or rejects with the signal's reason as soon as it is aborted. */
  async #unlessAborted<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#options;
    if (!signal) return promise;
    let stop = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason);
      signal.addEventListener("abort", stop);
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}
