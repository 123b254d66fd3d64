// Which chunks are worth scavenging: Go 1.19 and 1.20 (mgcscavenge.go, scavengeIndex). A bit for each chunk says
// whether anything was freed in it since it was found to have nothing left.

import { CHUNK_PAGES } from "../../engine/layout.ts";
import type { Instance } from "../../store/regions.ts";
import { ChunkTable, GROUP } from "./chunk-table.ts";
import { Cursor } from "./cursor.ts";

/** The index. Pages and chunks are numbers; a chunk must have been grown. */
export class BitIndex {
  readonly cursor = new Cursor();
  readonly #table: ChunkTable;
  /** The lowest chunk that was grown. */
  #lowest = Infinity;

  constructor(instance: Instance) {
    this.#table = new ChunkTable(instance, 1);
  }

  /** Learns of new chunks [first, end). */
  grow(first: number, end: number): void {
    this.#table.cover(first, end);
    this.#lowest = Math.min(this.#lowest, first);
  }

  /** Marks the chunks of freed pages. */
  free(page: number, npages: number): void {
    const { u8 } = this.#table.memory;
    const last = page + npages - 1;
    for (let chunk = Math.floor(page / CHUNK_PAGES); chunk * CHUNK_PAGES <= last; chunk++) {
      u8[this.#byteOf(chunk)] |= 1 << (chunk % GROUP);
    }
    if (last > this.cursor.page) this.cursor.raise(last);
  }

  /**
   * Returns the page from which to look down in its chunk; -1 if there is none. The search begins with the whole byte
   * of the cursor's chunk, so it may find a chunk above that.
   */
  find(): number {
    const { cursor } = this;
    if (cursor.page < 0) return -1;
    const { u8 } = this.#table.memory;
    const start = Math.floor(cursor.page / CHUNK_PAGES);
    const lowest = this.#byteOf(this.#lowest);
    for (let byte = this.#byteOf(start); byte >= lowest; byte--) {
      if (u8[byte] === 0) continue;
      const chunk = this.#table.first + (byte - this.#table.at) * GROUP + (31 - Math.clz32(u8[byte]));
      if (chunk === start) return cursor.page;
      const last = chunk * CHUNK_PAGES + CHUNK_PAGES - 1;
      cursor.moveTo(last);
      return last;
    }
    cursor.clear();
    return -1;
  }

  /** Frees its memory, after its last use. */
  dispose(): void {
    this.#table.dispose();
  }

  /** Notes that a chunk has nothing to scavenge until some of it is freed. */
  setEmpty(chunk: number): void {
    this.#table.memory.u8[this.#byteOf(chunk)] &= ~(1 << (chunk % GROUP));
  }

  /** Reports whether a chunk is marked. */
  isMarked(chunk: number): boolean {
    return ((this.#table.memory.u8[this.#byteOf(chunk)] >>> (chunk % GROUP)) & 1) === 1;
  }

  #byteOf(chunk: number): number {
    const table = this.#table;
    return table.at + Math.floor((chunk - table.first) / GROUP);
  }
}
