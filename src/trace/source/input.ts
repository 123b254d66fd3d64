// The input of a reader: the unpacked bytes of a source, with a limit, progress and a way to stop.

import { PageAllocError } from "../../base/errors.ts";
import type { Abort, ByteBlob } from "../../base/platform.ts";
import { type Blocks, blocksOf, blocksOfBytes, bytesNow, isBytes, type TraceSource } from "./source.ts";
import { firstBytes, startingWith, UnpackError, unpacked } from "./unpack.ts";

/** Bytes by which a format is recognised. */
const START_BYTES = 4096;
/** Most bytes to give at a time, so that a reader need not hold what comes of more. */
const BLOCK_BYTES = 2 ** 18;
/** Bytes of the source after which progress is reported again, unless a hundredth of it is less. */
const PROGRESS_BYTES = 2 ** 20;

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
  readonly #options: InputOptions;
  /** Bytes of the source, before unpacking; undefined for a stream. */
  readonly #size: number | undefined;
  #bytesRead = 0;
  /** Undefined until `open`, which is when the number of passes is known. */
  #bytesReported: number | undefined;
  #passesBegun = 0;
  /** Bytes that the reader has unpacked itself in this pass, beyond those that it was given. */
  #furtherBytes = 0;
  /** The current blocks, from the beginning if `start` has opened them. */
  #blocks: Blocks | undefined;
  #isAtStart = false;
  /** Rejects what is being waited for. */
  #interrupt: ((reason: unknown) => void) | undefined;

  /**
   * Opens the source, so that a wrong one is refused at once. `close` must be called in the end.
   *
   * @param name of the source, for messages
   * @param source an array is copied, since its owner may change it
   *
   * Throws TypeError for what is not a source, and for a locked stream.
   */
  constructor(name: string, source: TraceSource, options: InputOptions) {
    this.#options = options;
    if (isBytes(source)) {
      const bytes = bytesNow(name, source).slice();
      this.rereadable = true;
      this.#size = bytes.length;
      this.#open = () => blocksOfBytes(bytes, PROGRESS_BYTES);
    } else {
      const { size, stream } = Object(source) as Partial<ByteBlob>;
      this.rereadable = typeof stream === "function" && typeof size === "number";
      this.#size = this.rereadable ? size : undefined;
      this.#open = () => blocksOf(name, source);
    }
    this.#blocks = this.#open();
    options.signal?.addEventListener("abort", this.#stop);
  }

  /** Returns the first 4,096 unpacked bytes, or all if there are fewer. `open` gives them again. Rejects as it does. */
  async start(): Promise<Uint8Array> {
    const blocks = await this.#begin(this.#blocks as Blocks);
    // A copy, since the caller of openTrace gets control back before the next block is requested.
    const start = (await firstBytes(blocks, START_BYTES)).slice();
    this.#blocks = startingWith(start, blocks);
    this.#isAtStart = true;
    return start.slice(0, START_BYTES);
  }

  /**
   * Returns the unpacked bytes from the beginning. `start` comes before it. It can be called again only if the input is
   * rereadable, and closes the blocks before. The blocks reject with PageAllocError ERR_TRACE that names the byte where
   * packed data is damaged or the limit is exceeded, and with the signal's reason once it is aborted.
   */
  async open(): Promise<Blocks> {
    this.#mustGoOn();
    this.#bytesReported ??= 0;
    this.#report();
    if (!this.#isAtStart) {
      this.#blocks?.close();
      return this.#begin(this.#open());
    }
    this.#isAtStart = false;
    return this.#blocks as Blocks;
  }

  /**
   * Counts bytes that the reader unpacks itself toward the limit, before it does so.
   *
   * @param more bytes beyond those that it was given
   * @param at byte offset of the packed ones
   *
   * Throws PageAllocError ERR_TRACE that names the byte when the limit is exceeded.
   */
  countUnpacked(more: number, at: number): void {
    this.#furtherBytes += Math.max(0, more);
    const { limit } = this.#options;
    if (at + this.#furtherBytes > limit) throw overLimit(limit, at);
  }

  /** Tells the source to stop. */
  close(): void {
    this.#options.signal?.removeEventListener("abort", this.#stop);
    this.#blocks?.close();
    this.#blocks = undefined;
  }

  /** Called when the signal is aborted, even if nobody waits for a block then. */
  readonly #stop = () => {
    this.#interrupt?.(this.#options.signal?.reason);
    this.close();
  };

  /** Begins a pass over the source. */
  async #begin(source: Blocks): Promise<Blocks> {
    this.#passesBegun++;
    this.#furtherBytes = 0;
    const watched = this.#watched(source);
    this.#blocks = watched;
    const limited = this.#limited(await unpacked(watched));
    this.#blocks = limited;
    return limited;
  }

  /** Blocks of the source that report progress, and end when the signal is aborted. */
  #watched(source: Blocks): Blocks {
    return {
      next: async () => {
        this.#mustGoOn();
        const block = await this.#unlessAborted(source.next);
        if (block) this.#bytesRead += block.length;
        this.#report();
        return block;
      },
      close: source.close,
    };
  }

  /** Unpacked blocks of at most BLOCK_BYTES, whose errors name the byte. */
  #limited(source: Blocks): Blocks {
    const { limit } = this.#options;
    let at = 0;
    let isOver = false;
    /** What is left of the source's block. */
    let rest: Uint8Array = new Uint8Array(0);
    const piece = () => {
      const first = rest.subarray(0, BLOCK_BYTES);
      rest = rest.subarray(BLOCK_BYTES);
      at += first.length;
      return first;
    };
    return {
      next: async () => {
        this.#mustGoOn();
        if (rest.length > 0) return piece();
        if (isOver) throw overLimit(limit);
        let block: Uint8Array | undefined;
        try {
          block = await source.next();
        } catch (error) {
          if (!(error instanceof UnpackError)) throw error;
          throw new PageAllocError("ERR_TRACE", `byte ${at}: ${error.message}`, { cause: error });
        }
        if (!block) {
          this.#endPass();
          return undefined;
        }
        const room = limit - at;
        isOver = block.length > room;
        if (isOver && room === 0) throw overLimit(limit);
        rest = isOver ? block.subarray(0, room) : block;
        return piece();
      },
      close: source.close,
    };
  }

  /** Counts the whole source as read: a gunzipper may leave out what follows the packed data. */
  #endPass(): void {
    this.#bytesRead = Math.max(this.#bytesRead, (this.#size ?? 0) * this.#passesBegun);
    this.#report(true);
  }

  /** Reports progress now and then, and at the end of a pass. */
  #report(isEnd = false): void {
    const { onProgress } = this.#options;
    const reported = this.#bytesReported;
    if (!onProgress || reported === undefined) return;
    const total = this.#size === undefined ? undefined : this.#size * this.passes;
    const read = Math.min(this.#bytesRead, total ?? Infinity);
    const step = isEnd || read === total ? 1 : Math.min(PROGRESS_BYTES, (total ?? Infinity) / 100);
    if (read - reported < step) return;
    this.#bytesReported = read;
    onProgress(read, total);
  }

  /** Throws the signal's reason if it is aborted. */
  #mustGoOn(): void {
    const { signal } = this.#options;
    if (signal?.aborted) throw signal.reason;
  }

  /** Waits for a call, or rejects with the signal's reason as soon as it is aborted: even by the call itself. */
  #unlessAborted<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      call().then(resolve, reject);
    });
  }
}

function overLimit(limit: number, byte = limit): PageAllocError {
  const reason = `the trace is longer than the limit of ${limit} bytes; raise the option limit to read it`;
  return new PageAllocError("ERR_TRACE", `byte ${byte}: ${reason}`);
}
