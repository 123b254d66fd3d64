// PallocChunks: many chunks in a row, for kernels that run on all of them in one call.

import { integer, powerOfTwo, refuse } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { capHugePages } from "../engine/pages.ts";
import type { Instance } from "../store/regions.ts";
import { ChunkData, checkCandidate, checkFind, type PallocData, standalone } from "./palloc-data.ts";

/** A kernel that `PallocChunks.scan` runs: the method of PallocData of that name. */
export type ScanKernel = "hasScavengeCandidate" | "findScavengeCandidate" | "find" | "summarize";

/** How many numbers a kernel gives for a chunk, by SCAN_ number. */
const WIDTHS = [1, 2, 2, 3];
const MAX_WIDTH = 3;

/**
 * Many chunks, one after the other in linear memory, for kernels that run on all of them in one call. A call into
 * WebAssembly takes longer than most kernels.
 */
export class PallocChunks {
  readonly #length: number;
  readonly #data: ChunkData;

  /** @internal Returns the engine of the chunks; set by the package's entries. */
  declare static readonly instance: () => Instance;
  /** @internal The class of chunk views. */
  declare static readonly PallocData: typeof PallocData;

  /**
   * Makes `length` chunks (1 to 2**20), all free and unscavenged. Takes 134 bytes for each, which are freed when this
   * object and the views from `at` are garbage-collected. Throws TypeError, RangeError, or PageAllocError
   * ERR_METADATA_FULL, ERR_WASM_UNAVAILABLE.
   */
  constructor(length: number) {
    this.#length = integer("length", length, 1, 2 ** 20);
    this.#data = standalone(new.target.instance(), length, 2 * MAX_WIDTH * length);
  }

  /** How many chunks there are. */
  get length(): number {
    return this.#length;
  }

  /** Returns a live view of chunk i (0 to length - 1). Throws TypeError or RangeError. */
  at(i: number): PallocData {
    const data = this.#data;
    const offset = integer("i", i, 0, this.#length - 1) * layout.DATA_BYTES;
    const { PallocData } = this.constructor as typeof PallocChunks;
    return new PallocData(new ChunkData(data.engine, () => data.address() + offset));
  }

  /**
   * The bits of all chunks: for each, eight words of `alloc`, then eight of `scavenged`. A live view, valid while this
   * object is in use and until memory grows: do not keep it.
   */
  get words(): BigUint64Array {
    const first = this.#data.address() >>> 3;
    return this.#data.engine.memory.u64.subarray(first, first + (this.#length * layout.DATA_BYTES) / 8);
  }

  /**
   * Runs a kernel on all chunks. `args` are those of the method of PallocData. Returns what the method returns for each
   * chunk, as numbers: 0 or 1; start, npages; index, searchIdx; start, max, end. The array is a live view, valid while
   * this object is in use, until the next scan, and until memory grows. Throws what the method throws, and RangeError
   * for an unknown kernel.
   * @example chunks.scan("findScavengeCandidate", 511, 8, 64)
   */
  scan(kernel: "hasScavengeCandidate", min: number): Int16Array;
  scan(
    kernel: "findScavengeCandidate",
    searchIdx: number,
    min: number,
    max: number,
    pagesPerHugePage?: number,
  ): Int16Array;
  scan(kernel: "find", npages: number, searchIdx: number): Int16Array;
  scan(kernel: "summarize"): Int16Array;
  scan(kernel: ScanKernel, ...args: number[]): Int16Array {
    const { engine, address } = this.#data;
    const to = address() + this.#length * layout.DATA_BYTES;
    let number = layout.SCAN_SUMMARIZE;
    let given = [0, 0, 0, 0];
    if (kernel === "hasScavengeCandidate") {
      number = layout.SCAN_HAS_CANDIDATE;
      given = [powerOfTwo("min", args[0], 1, layout.CHUNK_PAGES), 0, 0, 0];
    } else if (kernel === "findScavengeCandidate") {
      number = layout.SCAN_FIND_CANDIDATE;
      const [searchIdx, min, max, pagesPerHugePage = 0] = args;
      checkCandidate(searchIdx, min, max, pagesPerHugePage);
      given = [(searchIdx | 63) + 1, min, Math.min(max, layout.CHUNK_PAGES), capHugePages(pagesPerHugePage)];
    } else if (kernel === "find") {
      number = layout.SCAN_FIND;
      checkFind(args[0], args[1]);
      given = [args[0], args[1], 0, 0];
    } else if (kernel !== "summarize") {
      refuse("kernel", kernel, "hasScavengeCandidate, findScavengeCandidate, find or summarize", "string");
    }
    engine.scan(number, address(), this.#length, to, given[0], given[1], given[2], given[3]);
    return new Int16Array(engine.memory.i32.buffer, to, this.#length * WIDTHS[number]);
  }
}
