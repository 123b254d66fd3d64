// A page allocator and scavenger with no cleverness in it: two arrays of booleans a chunk, and every question
// answered by looking at all of them. What a heap does is right when this does the same.
import { type Bits, every, findScavengeCandidate, noBits, PAGES } from "./naive.ts";

const CACHE_PAGES = 64;

type Ranges = Readonly<Record<number, readonly (readonly [first: number, count: number])[]>>;
interface Chunk {
  readonly index: number;
  /** What is not is a hole. */
  readonly mapped: Bits;
  readonly alloc: Bits;
  readonly scavenged: Bits;
}
export interface ModelCache {
  /** Address of the block, -1 when the heap had no page to give. */
  readonly base: number;
  readonly cache: boolean[];
  readonly scav: boolean[];
}
export interface ModelOptions {
  pageSize: number;
  physPageSize: number;
  physHugePageSize: number;
}

export class Model {
  readonly pageSize: number;
  readonly minPages: number;
  readonly hugePages: number;
  /** Mapped chunks, ascending. */
  readonly chunks: Chunk[] = [];
  scavAddr = -1;
  /** Whether scavAddr has been reset. */
  wasReset = false;
  /**
   * Bytes of what alloc or allocRange took last that had been scavenged; undefined after a batch, which leaves it open.
   */
  lastAllocScavenged: number | undefined = 0;
  allocs = 0;
  frees = 0;
  scavenges = 0;
  scavengedTotal = 0;
  peakInUse = 0;
  peakRetained = 0;

  constructor({ pageSize, physPageSize, physHugePageSize }: ModelOptions) {
    this.pageSize = pageSize;
    this.minPages = Math.max(1, physPageSize / pageSize);
    this.hugePages = physHugePageSize > Math.max(pageSize, physPageSize) ? physHugePageSize / pageSize : 0;
  }

  /** As `PageAlloc.from`. */
  static from(state: { alloc: Ranges; scavenged: Ranges }, options: ModelOptions): Model {
    const model = new Model(options);
    for (const index of Object.keys(state.alloc))
      model.grow(Number(index) * model.chunkBytes, model.chunkBytes);
    for (const { index, alloc, scavenged } of model.chunks) {
      scavenged.fill(false);
      for (const [first, count] of state.scavenged[index] ?? []) scavenged.fill(true, first, first + count);
      for (const [first, count] of state.alloc[index] ?? []) {
        alloc.fill(true, first, first + count);
        scavenged.fill(false, first, first + count);
      }
    }
    return model;
  }

  get chunkBytes(): number {
    return PAGES * this.pageSize;
  }

  /** The chunks that [base, base + nbytes) touches: first, and the one after the last. */
  touched(base: number, nbytes: number): [start: number, end: number] {
    return [Math.floor(base / this.chunkBytes), Math.ceil((base + nbytes) / this.chunkBytes)];
  }

  grow(base: number, nbytes: number): void {
    const [start, end] = this.touched(base, nbytes);
    for (let index = start; index < end; index++) {
      if (this.chunks.some((chunk) => chunk.index === index)) continue;
      this.chunks.push({ index, mapped: noBits(), alloc: noBits(), scavenged: noBits() });
    }
    this.chunks.sort((a, b) => a.index - b.index);
    for (const chunk of this.chunks) {
      const first = base / this.pageSize - chunk.index * PAGES;
      const last = first + nbytes / this.pageSize;
      if (last > 0 && first < PAGES) {
        chunk.mapped.fill(true, Math.max(0, first), Math.min(PAGES, last));
        chunk.scavenged.fill(true, Math.max(0, first), Math.min(PAGES, last));
      }
    }
    if (!this.wasReset) this.#toTop();
    this.#peaks();
  }

  /** Makes holes of pages that are mapped and free. */
  unmap(base: number, nbytes: number): number {
    const npages = nbytes / this.pageSize;
    const unscavenged = this.count(base, npages, ({ scavenged }, i) => !scavenged[i]);
    this.#eachPage(base, npages, ({ mapped, scavenged }, i) => {
      mapped[i] = false;
      scavenged[i] = false;
    });
    const left = this.chunks.filter(({ mapped }) => mapped.includes(true));
    this.chunks.splice(0, this.chunks.length, ...left);
    this.scavAddr = Math.min(this.scavAddr, (this.mappedRanges().at(-1)?.[1] ?? 0) - 1);
    return unscavenged * this.pageSize;
  }

  /** The free runs, lowest first. */
  freeRuns(): { base: number; nbytes: number; scavenged: number }[] {
    const runs: { base: number; nbytes: number; scavenged: number }[] = [];
    for (const { index, mapped, alloc, scavenged } of this.chunks) {
      for (let i = 0; i < PAGES; i++) {
        if (!mapped[i] || alloc[i]) continue;
        const base = index * this.chunkBytes + i * this.pageSize;
        const last = runs.at(-1);
        if (last && last.base + last.nbytes === base) last.nbytes += this.pageSize;
        else runs.push({ base, nbytes: this.pageSize, scavenged: 0 });
        if (scavenged[i]) runs[runs.length - 1].scavenged += this.pageSize;
      }
    }
    return runs;
  }

  /** The mapped address ranges, ascending, neighbours merged. */
  mappedRanges(): [base: number, limit: number][] {
    const ranges: [number, number][] = [];
    for (const { index, mapped } of this.chunks) {
      for (let i = 0; i < PAGES; i++) {
        if (!mapped[i]) continue;
        const base = index * this.chunkBytes + i * this.pageSize;
        const last = ranges.at(-1);
        if (last?.[1] === base) last[1] += this.pageSize;
        else ranges.push([base, base + this.pageSize]);
      }
    }
    return ranges;
  }

  /** Where npages free pages in a row are, from a multiple of align pages on, lowest first; -1 for nowhere. */
  findRun(npages: number, align = 1): number {
    let run = 0;
    let neighbour = -1;
    for (const { index, mapped, alloc } of this.chunks) {
      if (index !== neighbour) run = 0;
      neighbour = index + 1;
      for (let i = 0; i < PAGES; i++) {
        run = alloc[i] || !mapped[i] ? 0 : run + 1;
        const first = index * PAGES + i + 1 - npages;
        if (run >= npages && first % align === 0) return first * this.pageSize;
      }
    }
    return -1;
  }

  alloc(npages: number, { align = 1 } = {}): number {
    const base = this.findRun(npages, align);
    this.lastAllocScavenged = 0;
    if (base !== -1) this.allocRange(base, npages);
    return base;
  }

  allocRange(base: number, npages: number): number {
    const scavenged = this.count(base, npages, ({ scavenged }, i) => scavenged[i]);
    this.#eachPage(base, npages, (chunk, i) => {
      chunk.alloc[i] = true;
      chunk.scavenged[i] = false;
    });
    this.allocs++;
    const bytes = scavenged * this.pageSize;
    this.lastAllocScavenged = bytes;
    this.#peaks();
    return bytes;
  }

  free(base: number, npages: number): void {
    this.#eachPage(base, npages, (chunk, i) => {
      chunk.alloc[i] = false;
    });
    this.frees++;
  }

  resetScavengeAddr(): void {
    this.#toTop();
    this.wasReset = true;
  }

  #toTop(): void {
    this.scavAddr = (this.mappedRanges().at(-1)?.[1] ?? 0) - 1;
  }

  scavengeOne(maxBytes: number): number {
    if (this.chunks.length === 0 || this.scavAddr < this.chunks[0].index * this.chunkBytes) return 0;
    const top = Math.floor(this.scavAddr / this.chunkBytes);
    for (const { index, mapped, alloc, scavenged } of this.chunks.toReversed()) {
      if (index > top) continue;
      const searchIdx =
        index === top ? Math.floor((this.scavAddr % this.chunkBytes) / this.pageSize) : PAGES - 1;
      const max = Math.ceil(maxBytes / this.pageSize);
      const run = findScavengeCandidate(
        alloc.map((used, i) => used || !mapped[i]),
        scavenged,
        searchIdx,
        this.minPages,
        max,
        this.hugePages,
      );
      if (run.npages === 0) continue;
      scavenged.fill(true, run.start, run.start + run.npages);
      this.scavAddr = index * this.chunkBytes + run.start * this.pageSize - 1;
      this.scavenges++;
      this.scavengedTotal += run.npages * this.pageSize;
      return run.npages * this.pageSize;
    }
    this.scavAddr = -1;
    return 0;
  }

  scavenge(nbytes: number): number {
    let released = 0;
    let got = -1;
    while (released < nbytes && got !== 0) {
      got = this.scavengeOne(nbytes - released);
      released += got;
    }
    return released;
  }

  scavengeRange(base: number, npages: number): number {
    let released = 0;
    let chunks = 0;
    for (const chunk of this.chunks) {
      const before = released;
      this.#eachPage(base, npages, (each, i) => {
        if (each !== chunk || chunk.alloc[i] || chunk.scavenged[i]) return;
        chunk.scavenged[i] = true;
        released++;
      });
      if (released > before) chunks++;
    }
    this.scavenges += chunks;
    this.scavengedTotal += released * this.pageSize;
    return released * this.pageSize;
  }

  allocToCache(): ModelCache {
    const page = this.findRun(1);
    if (page === -1) return { base: -1, cache: [], scav: [] };
    const base = page - (page % (CACHE_PAGES * this.pageSize));
    const cache: boolean[] = new Array(CACHE_PAGES).fill(false);
    const scav: boolean[] = new Array(CACHE_PAGES).fill(false);
    this.#eachPage(base, CACHE_PAGES, (chunk, i) => {
      cache[i % CACHE_PAGES] = !chunk.alloc[i];
      scav[i % CACHE_PAGES] = chunk.scavenged[i];
      chunk.alloc[i] = true;
      chunk.scavenged[i] = false;
    });
    this.allocs++;
    this.#peaks();
    return { base, cache, scav };
  }

  cacheAlloc({ base, cache, scav }: ModelCache, npages: number): [base: number, scavenged: number] {
    for (let i = 0; i + npages <= cache.length; i++) {
      if (!every(i, npages, (k) => cache[k])) continue;
      const scavenged = scav.slice(i, i + npages).filter(Boolean).length;
      cache.fill(false, i, i + npages);
      scav.fill(false, i, i + npages);
      return [base + i * this.pageSize, scavenged * this.pageSize];
    }
    return [-1, 0];
  }

  flush({ base, cache, scav }: ModelCache): void {
    if (!cache.includes(true)) return;
    this.#eachPage(base, CACHE_PAGES, (chunk, i) => {
      if (cache[i % CACHE_PAGES]) chunk.alloc[i] = false;
      if (scav[i % CACHE_PAGES]) chunk.scavenged[i] = true;
    });
    this.frees++;
    cache.fill(false);
    scav.fill(false);
  }

  /** What stats() gives, except for the metadata. */
  stats() {
    const pages = (test: (chunk: Chunk, i: number) => boolean) =>
      this.chunks.reduce((sum, { index }) => sum + this.count(index * this.chunkBytes, PAGES, test), 0);
    const sys = pages(() => true) * this.pageSize;
    const inUse = pages(({ alloc }, i) => alloc[i]) * this.pageSize;
    const released = pages(({ scavenged }, i) => scavenged[i]) * this.pageSize;
    const { allocs, frees, scavenges, scavengedTotal, peakInUse, peakRetained } = this;
    const totals = { allocs, frees, scavenges, scavengedTotal, peakInUse, peakRetained };
    return { sys, inUse, free: sys - inUse, released, retained: sys - released, ...totals };
  }

  /** How many of these pages are mapped and pass the test. */
  count(base: number, npages: number, test: (chunk: Chunk, i: number) => boolean): number {
    let count = 0;
    this.#eachPage(base, npages, (chunk, i) => {
      if (test(chunk, i)) count++;
    });
    return count;
  }

  #eachPage(base: number, npages: number, visit: (chunk: Chunk, i: number) => void): void {
    const first = base / this.pageSize;
    for (const chunk of this.chunks) {
      const start = Math.max(0, first - chunk.index * PAGES);
      const end = Math.min(PAGES, first + npages - chunk.index * PAGES);
      for (let i = start; i < end; i++) if (chunk.mapped[i]) visit(chunk, i);
    }
  }

  #peaks(): void {
    const { inUse, retained } = this.stats();
    this.peakInUse = Math.max(this.peakInUse, inUse);
    this.peakRetained = Math.max(this.peakRetained, retained);
  }
}
