// The scavengers of Go that find chunks by an index: 1.19 and later.

import { CHUNK_PAGES } from "../../engine/layout.ts";
import { firstOf, secondOf } from "../../engine/packed.ts";
import type { Core } from "../../heap/core.ts";
import type { Instance } from "../../store/regions.ts";
import { BitIndex } from "./bit-index.ts";
import { DensityIndex } from "./density-index.ts";
import { releaseIn } from "./release.ts";
import type { OnRelease, Scavenger } from "./scavenger.ts";

/** Releases runs where an index says. */
abstract class Indexed implements Scavenger {
  readonly #core: Core;
  /** Whether a look in a chunk begins at the page that the index gives, and not at the chunk's last. */
  readonly #fromPage: boolean;

  constructor(core: Core, fromPage: boolean) {
    this.#core = core;
    this.#fromPage = fromPage;
  }

  abstract nextGen(): void;
  protected abstract find(force: boolean): number;
  protected abstract setEmpty(chunk: number): void;

  scavenge(nbytes: number, force: boolean, onRelease: OnRelease | undefined): number {
    const core = this.#core;
    const { pageSize } = core;
    let released = 0;
    while (released < nbytes) {
      const found = this.find(force);
      if (found < 0) break;
      const chunk = Math.floor(found / CHUNK_PAGES);
      const first = chunk * CHUNK_PAGES;
      const maxPages = Math.min(CHUNK_PAGES, Math.ceil((nbytes - released) / pageSize));
      const hit = releaseIn(core, chunk, this.#fromPage ? found - first : CHUNK_PAGES - 1, maxPages);
      if (hit) {
        const bytes = secondOf(hit) * pageSize;
        released += bytes;
        onRelease?.((first + firstOf(hit)) * pageSize, bytes);
      } else {
        this.setEmpty(chunk);
      }
    }
    return released;
  }
}

/** Go 1.19 and 1.20. */
export class ByBits extends Indexed {
  readonly #index: BitIndex;

  constructor(core: Core, instance: Instance) {
    super(core, false);
    this.#index = new BitIndex(instance);
  }

  grown(page: number, npages: number): void {
    this.#index.grow(Math.floor(page / CHUNK_PAGES), Math.ceil((page + npages) / CHUNK_PAGES));
  }

  freed(page: number, npages: number): void {
    this.#index.free(page, npages);
  }

  nextGen(): void {}

  protected find(): number {
    return this.#index.find();
  }

  protected setEmpty(chunk: number): void {
    this.#index.setEmpty(chunk);
  }

  dispose(): void {
    this.#index.dispose();
  }
}

/** Go 1.21 and later. */
export class ByDensity extends Indexed {
  readonly #index: DensityIndex;

  constructor(core: Core, instance: Instance) {
    super(core, true);
    this.#index = new DensityIndex(instance);
  }

  grown(page: number, npages: number): void {
    this.#index.grow(Math.floor(page / CHUNK_PAGES), Math.ceil((page + npages) / CHUNK_PAGES));
  }

  taken(page: number, npages: number): void {
    this.#index.alloc(page, npages);
  }

  freed(page: number, npages: number): void {
    this.#index.free(page, npages);
  }

  cached(page: number, npages: number): void {
    this.#index.alloc(page, npages);
  }

  flushed(page: number, low: number, high: number): void {
    for (let bit = 0; bit < 64; bit++) {
      if (((bit < 32 ? low : high) >>> (bit & 31)) & 1) this.#index.free(page + bit, 1);
    }
  }

  nextGen(): void {
    this.#index.nextGen();
  }

  protected find(force: boolean): number {
    return this.#index.find(force);
  }

  protected setEmpty(chunk: number): void {
    this.#index.setEmpty(chunk);
  }

  dispose(): void {
    this.#index.dispose();
  }
}
