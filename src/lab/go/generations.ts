// The scavenger of Go 1.15 to 1.18 (mpagealloc.go, mgcscavenge.go). In each generation it goes once over the address
// space below where there may be something, and takes a part of it at a time.

import { CHUNK_PAGES } from "../../engine/layout.ts";
import { firstOf, secondOf } from "../../engine/packed.ts";
import type { Core } from "../../heap/core.ts";
import { type Range, Ranges } from "../../trace/ranges.ts";
import { releaseIn } from "./release.ts";
import type { OnRelease, Scavenger } from "./scavenger.ts";

/** A pass takes one in so many bytes of the address space at a time. */
const SHARDS = 64;

/** A scavenger with generations. All that it keeps is in bytes. */
export class Generations implements Scavenger {
  readonly #core: Core;
  /** The address space of the heap, and the part of it that is left to search in this generation. */
  readonly #mapped = new Ranges();
  #left = new Ranges();
  #reservation = 0;
  /** The address of the highest byte freed in this generation, and the lowest address released. */
  #freeHWM = -1;
  #scavLWM = Infinity;

  constructor(core: Core) {
    this.#core = core;
  }

  grown(page: number, npages: number): void {
    const { pageSize } = this.#core;
    this.#mapped.add(page * pageSize, (page + npages) * pageSize);
  }

  unmapped(page: number, npages: number): void {
    const { pageSize } = this.#core;
    this.#mapped.remove(page * pageSize, (page + npages) * pageSize);
    this.#left.remove(page * pageSize, (page + npages) * pageSize);
  }

  freed(page: number, npages: number): void {
    this.#freeHWM = Math.max(this.#freeHWM, (page + npages) * this.#core.pageSize - 1);
  }

  nextGen(): void {
    const { chunkBytes } = this.#core;
    const end = this.#scavLWM < this.#freeHWM ? this.#freeHWM : this.#scavLWM;
    this.#left = new Ranges();
    let bytes = 0;
    for (const [start, limit] of this.#mapped.parts(0, Infinity)) {
      bytes += limit - start;
      if (start < end) this.#left.add(start, Math.min(limit, end));
    }
    this.#reservation = Math.floor((Math.ceil(bytes / chunkBytes) * chunkBytes) / SHARDS);
    this.#freeHWM = -1;
    this.#scavLWM = Infinity;
  }

  scavenge(nbytes: number, _force: boolean, onRelease: OnRelease | undefined): number {
    let work: Range = [0, 0];
    let released = 0;
    while (released < nbytes) {
      if (work[0] >= work[1]) work = this.#reserve();
      if (work[0] >= work[1]) break;
      const [bytes, limit] = this.#releaseOne(work, nbytes - released, onRelease);
      released += bytes;
      work = [work[0], limit];
    }
    if (work[0] < work[1]) this.#left.add(...work);
    return released;
  }

  /** Takes the highest part of what is left. It begins with a chunk. */
  #reserve(): Range {
    const left = this.#left;
    const { end } = left;
    const [last] = left.parts(0, end).slice(-1);
    if (!last) return [0, 0];
    const from = Math.max(last[0], end - this.#reservation);
    if (from === end) return [0, 0];
    const base = from - (from % this.#core.chunkBytes);
    left.remove(base, end);
    return [base, end];
  }

  /** Releases the highest run of a part. Returns its bytes, and where to go on downward. */
  #releaseOne([base, limit]: Range, nbytes: number, onRelease: OnRelease | undefined): Range {
    const { chunkBytes, pageSize } = this.#core;
    const maxPages = Math.min(CHUNK_PAGES, Math.ceil(nbytes / pageSize));
    let top = Math.ceil(limit / pageSize) - 1;
    for (let chunk = Math.floor(top / CHUNK_PAGES); chunk * chunkBytes >= base; chunk--) {
      const first = chunk * CHUNK_PAGES;
      const hit = releaseIn(this.#core, chunk, top - first, maxPages);
      if (hit) {
        const bytes = secondOf(hit) * pageSize;
        const address = (first + firstOf(hit)) * pageSize;
        this.#scavLWM = Math.min(this.#scavLWM, address);
        onRelease?.(address, bytes);
        return [bytes, address];
      }
      top = first - 1;
    }
    return [0, base];
  }
}
