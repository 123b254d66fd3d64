// The zstd decoder. It is large and rarely needed, so the package has it as a file of its own.
//
// zstddec's decoder does not see damage, and may leave out the end. So its WebAssembly module is driven from here. Each
// decoder has an instance of its own, whose memory goes with it.

import { ZSTDDecoder } from "zstddec/stream";

/** What is used of the module's exports. Pointers are numbers. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  ZSTD_createDCtx(): number;
  /** Bytes that are worth giving at once, and the most that one block unpacks to. */
  ZSTD_DStreamInSize(): number;
  ZSTD_DStreamOutSize(): number;
  /** Returns 0 at the end of a frame, or a guess of the bytes to come; above ERRORS, the negative code of an error. */
  ZSTD_decompressStream(context: number, output: number, input: number): number;
}

/** Results above this are errors: there are 120 codes at most. */
const ERRORS = 2 ** 32 - 120;
/** The errors that people can do something about. */
const REASONS: Record<number, string> = {
  10: "what follows is not zstd",
  16: "its window is larger than 128 MiB; unpack it first, by zstd -d --long=31",
  22: "its checksum is wrong",
  32: "it needs a dictionary; unpack it first, by zstd -d -D",
  64: "there is not enough memory for its window",
};

/** Words of ZSTD_inBuffer and ZSTD_outBuffer, after the address. */
const SIZE = 1;
const POSITION = 2;
const BUFFER_WORDS = 3;

let compiled: WebAssembly.Module | undefined;

class Compiler extends ZSTDDecoder {
  override _init({ module }: WebAssembly.WebAssemblyInstantiatedSource): void {
    compiled = module;
  }
}

/** Returns a decoder. Rejects with the runtime's error where it does not allow WebAssembly. */
export async function openZstd(): Promise<ZstdDecoder> {
  if (!compiled) await new Compiler().init();
  const imports = { env: { emscripten_notify_memory_growth() {} } };
  const { exports } = await WebAssembly.instantiate(compiled as WebAssembly.Module, imports);
  return new ZstdDecoder(exports as unknown as Exports);
}

/** Unpacks frames that follow each other, piece by piece. */
export class ZstdDecoder {
  readonly #exports: Exports;
  readonly #context: number;
  /** Addresses of the two buffers, and of what tells the module about them. */
  readonly #input: number;
  readonly #output: number;
  readonly #buffers: number;
  /** Bytes that were given, and not yet copied into the module's memory. */
  #left: Uint8Array = new Uint8Array(0);
  /** Whether the module may hold bytes of the output, for want of room. */
  #isFull = false;
  /** Whether a frame has begun, and not ended. */
  #isInFrame = false;

  constructor(exports: Exports) {
    this.#exports = exports;
    this.#context = exports.ZSTD_createDCtx();
    this.#input = exports.malloc(exports.ZSTD_DStreamInSize());
    this.#output = exports.malloc(exports.ZSTD_DStreamOutSize());
    this.#buffers = exports.malloc(2 * BUFFER_WORDS * Uint32Array.BYTES_PER_ELEMENT);
    const [input] = this.#views();
    input[SIZE] = 0;
    input[POSITION] = 0;
  }

  /** Whether the data may end here. */
  get mayEnd(): boolean {
    return !this.#isInFrame;
  }

  /** Gives the next packed bytes. `read` must have returned undefined. They must not change until it does so again. */
  give(packed: Uint8Array): void {
    this.#left = packed;
  }

  /**
   * Returns the next unpacked bytes, which are valid until the next call; undefined if it needs more packed ones.
   * Throws an Error that says why when the data is damaged.
   */
  read(): Uint8Array | undefined {
    const { ZSTD_decompressStream, ZSTD_DStreamInSize, ZSTD_DStreamOutSize } = this.#exports;
    for (;;) {
      let [input, output] = this.#views();
      if (input[POSITION] === input[SIZE] && !this.#isFull) {
        if (this.#left.length === 0) return undefined;
        const piece = this.#left.subarray(0, ZSTD_DStreamInSize());
        this.#left = this.#left.subarray(piece.length);
        new Uint8Array(this.#exports.memory.buffer).set(piece, this.#input);
        input.set([this.#input, piece.length, 0]);
      }
      output.set([this.#output, ZSTD_DStreamOutSize(), 0]);
      const result = ZSTD_decompressStream(this.#context, output.byteOffset, input.byteOffset) >>> 0;
      if (result > ERRORS) throw new Error(REASONS[2 ** 32 - result] ?? "it is damaged");
      this.#isInFrame = result !== 0;
      // The memory may have grown.
      [input, output] = this.#views();
      const length = output[POSITION];
      this.#isFull = this.#isInFrame && length === output[SIZE];
      if (length > 0) return new Uint8Array(this.#exports.memory.buffer, this.#output, length);
    }
  }

  /** The words of ZSTD_inBuffer and ZSTD_outBuffer. */
  #views(): [input: Uint32Array, output: Uint32Array] {
    const { buffer } = this.#exports.memory;
    const input = new Uint32Array(buffer, this.#buffers, BUFFER_WORDS);
    return [input, new Uint32Array(buffer, this.#buffers + input.byteLength, BUFFER_WORDS)];
  }
}
