// A table of the heap's chunks, in the linear memory of its engine, so that it is the same bytes with both engines.

import type { Memory, Region } from "../../engine/memory.ts";
import type { Instance } from "../../store/regions.ts";

/** Chunks of a group. A table covers whole groups. */
export const GROUP = 8;

/** Some bytes for each group of eight chunks, at first 0. */
export class ChunkTable {
  /** The chunks that it covers. */
  first = 0;
  end = 0;
  readonly memory: Memory;
  readonly #regions: Instance["regions"];
  readonly #groupBytes: number;
  #region: Region | undefined;

  /** @param groupBytes bytes for each group; a multiple of 4 if words are read */
  constructor({ engine, regions }: Instance, groupBytes: number) {
    this.memory = engine.memory;
    this.#regions = regions;
    this.#groupBytes = groupBytes;
  }

  /** Address of the group of the first chunk. It changes when the table grows. */
  get at(): number {
    return this.#region?.at ?? 0;
  }

  /** Covers the chunks [first, end) too. Throws PageAllocError ERR_METADATA_FULL when there is no memory. */
  cover(first: number, end: number): void {
    const isEmpty = this.first === this.end;
    let from = Math.floor((isEmpty ? first : Math.min(first, this.first)) / GROUP);
    const to = Math.ceil((isEmpty ? end : Math.max(end, this.end)) / GROUP);
    if (from * GROUP >= this.first && to * GROUP <= this.end) return;
    // Room for half as much again, so that a heap that grows by single chunks is not copied each time.
    const spare = isEmpty ? 0 : (this.end - this.first) / GROUP / 2;
    if (from * GROUP < this.first && !isEmpty) from = Math.max(0, Math.floor(from - spare));
    this.#move(from, to * GROUP > this.end && !isEmpty ? Math.ceil(to + spare) : to);
  }

  /** Frees its memory. It covers nothing then. */
  dispose(): void {
    if (this.#region) this.#regions.free(this.#region);
    this.#region = undefined;
    this.first = 0;
    this.end = 0;
  }

  /** Moves the table to a region for the groups [from, to). */
  #move(from: number, to: number): void {
    const region = this.#regions.alloc((to - from) * this.#groupBytes);
    const { u8 } = this.memory;
    u8.fill(0, region.at, region.at + region.bytes);
    const old = this.#region;
    if (old) {
      const offset = (this.first / GROUP - from) * this.#groupBytes;
      const length = ((this.end - this.first) / GROUP) * this.#groupBytes;
      u8.copyWithin(region.at + offset, old.at, old.at + length);
      this.#regions.free(old);
    }
    this.#regions.freeWith(this, region);
    this.#region = region;
    this.first = from * GROUP;
    this.end = to * GROUP;
  }
}
