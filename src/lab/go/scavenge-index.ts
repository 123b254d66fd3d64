// The index of either kind by itself, for those who study it.

import type { PageAlloc } from "../../api/page-alloc.ts";
import { integer, refuse } from "../../base/arguments.ts";
import { CHUNK_PAGES } from "../../engine/layout.ts";
import { checkEngine } from "../../trace/replay/options.ts";
import { BitIndex } from "./bit-index.ts";
import { DensityIndex } from "./density-index.ts";
import { readVersion } from "./versions.ts";

/** The versions that have an index. */
export type IndexVersion = "1.19" | "1.21" | "1.22";

/** What an index holds. A cursor is [page, marked]; -1 is none. */
export interface ScavengeIndexState {
  /** 1.21 and later: of each chunk [inUse, lastInUse, gen, hasFree], the last 0 or 1. 1.19: 0 or 1. */
  chunks: number[] | Array<[inUse: number, lastInUse: number, gen: number, hasFree: number]>;
  /** 1.21 and later: cursors of the background scavenger, and of forced scavenging. */
  bg?: [page: number, isMarked: boolean];
  force?: [page: number, isMarked: boolean];
  /** 1.21 and later: the highest page freed in this generation, and the generation. */
  freeHWM?: number;
  gen?: number;
  /** 1.19: the cursor. */
  search?: [page: number, isMarked: boolean];
}

/** Most chunks of an index: 1 TiB in pages of 8 KiB. */
const CHUNKS_MAX = 2 ** 18;

/**
 * Says which chunks of a heap are worth scavenging, as the Go runtime does since 1.19 (mgcscavenge.go). Chunks count
 * from 0; a page's number is 512 times its chunk's, and its place in it. Versions 1.21 and 1.22 are the same here. It
 * lies in the linear memory of its engine.
 */
export class ScavengeIndex {
  readonly #chunks: number;
  readonly #density: DensityIndex | undefined;
  readonly #bits: BitIndex | undefined;

  /**
   * Makes the index of a heap with so many chunks (1 to 2^18), nothing of which is in use. Throws TypeError or
   * RangeError; PageAllocError ERR_METADATA_FULL.
   */
  constructor(engine: typeof PageAlloc, version: IndexVersion, chunks: number) {
    checkEngine(engine);
    readVersion("version", version, ["1.19", "1.21", "1.22"]);
    this.#chunks = integer("chunks", chunks, 1, CHUNKS_MAX);
    const instance = engine.instance();
    if (version === "1.19") this.#bits = new BitIndex(instance);
    else this.#density = new DensityIndex(instance);
    (this.#bits ?? this.#density)?.grow(0, chunks);
  }

  /**
   * Counts pages as in use. 1.19 does not care. Throws TypeError or RangeError, also if more pages of a chunk would be
   * in use than it has.
   */
  alloc(page: number, npages: number): void {
    this.#checkRange(page, npages);
    this.#checkCounts(page, npages, (inUse, count) => inUse + count <= CHUNK_PAGES, "free");
    this.#density?.alloc(page, npages);
  }

  /** Counts pages as free. 1.19: marks their chunks. Throws as `alloc` does. */
  free(page: number, npages: number): void {
    this.#checkRange(page, npages);
    this.#checkCounts(page, npages, (inUse, count) => inUse >= count, "in use");
    (this.#bits ?? this.#density)?.free(page, npages);
  }

  /** The collector has finished marking. 1.19 does not care. */
  nextGen(): void {
    this.#density?.nextGen();
  }

  /**
   * Returns the chunk to look in, and the page in it to begin at, going down; null if there is none. `force`: also what
   * the background scavenger leaves alone. 1.19 does not care. Throws TypeError.
   */
  find(force = false): { chunk: number; page: number } | null {
    if (typeof force !== "boolean") refuse("force", force, "a boolean");
    const found = this.#bits ? this.#bits.find() : (this.#density as DensityIndex).find(force);
    if (found < 0) return null;
    const chunk = Math.floor(found / CHUNK_PAGES);
    return { chunk, page: found - chunk * CHUNK_PAGES };
  }

  /** Notes that a chunk has nothing to scavenge until some of it is freed. Throws TypeError or RangeError. */
  setEmpty(chunk: number): void {
    integer("chunk", chunk, 0, this.#chunks - 1);
    (this.#bits ?? this.#density)?.setEmpty(chunk);
  }

  /** Returns what the index holds. Takes time for each chunk. */
  state(): ScavengeIndexState {
    const chunks = Array.from({ length: this.#chunks }, (_, chunk) => chunk);
    if (this.#bits) {
      const bits = this.#bits;
      return { chunks: chunks.map((chunk) => Number(bits.isMarked(chunk))), search: bits.cursor.state };
    }
    const index = this.#density as DensityIndex;
    return {
      chunks: chunks.map((chunk) => {
        const { inUse, lastInUse, gen, hasFree } = index.chunk(chunk);
        return [inUse, lastInUse, gen, Number(hasFree)] as [number, number, number, number];
      }),
      bg: index.background.state,
      force: index.forced.state,
      freeHWM: index.freeHWM,
      gen: index.gen >>> 0,
    };
  }

  #checkRange(page: number, npages: number): void {
    const pages = this.#chunks * CHUNK_PAGES;
    integer("page", page, 0, pages - 1);
    integer(`npages from page ${page} on`, npages, 1, pages - page);
  }

  /** Throws RangeError unless so many pages of each chunk are free, or in use. */
  #checkCounts(
    page: number,
    npages: number,
    holds: (inUse: number, count: number) => boolean,
    what: string,
  ): void {
    if (!this.#density) return;
    for (let first = page; first < page + npages; ) {
      const chunk = Math.floor(first / CHUNK_PAGES);
      const end = Math.min(page + npages, (chunk + 1) * CHUNK_PAGES);
      const { inUse } = this.#density.chunk(chunk);
      if (!holds(inUse, end - first)) {
        const reason = `${end - first} pages of chunk ${chunk} must be ${what}, and ${inUse} of its 512 are in use`;
        throw new RangeError(`npages from page ${page} on: ${reason}`);
      }
      first = end;
    }
  }
}
