// The heap: chunks, five levels of packed summaries that are searched from the top, and a scavenger that walks chunk by
// chunk. One array has all chunks from the lowest that was grown, so heaps with large gaps take much memory.
import { CHUNK_PAGES, PallocData } from "./data.mjs";

const LEVELS = 5;
const LEVEL_SHIFT = 3;
const FANOUT = 1 << LEVEL_SHIFT;
const WORDS = CHUNK_PAGES / 64;
/** A count that does not fit into 21 bits. It occurs only if all pages are free, and has a bit of its own. */
const MOST = 2 ** 21;
const FIELD = BigInt(MOST - 1);
const ALL = 1n << 63n;

const pack = (start, max, end) =>
  max === MOST ? ALL : BigInt(start) | (BigInt(max) << 21n) | (BigInt(end) << 42n);
const startOf = (sum) => (sum === ALL ? MOST : Number(sum & FIELD));
const maxOf = (sum) => (sum === ALL ? MOST : Number((sum >> 21n) & FIELD));
const endOf = (sum) => (sum === ALL ? MOST : Number((sum >> 42n) & FIELD));

/** Returns how many pages an entry of a level covers. Level 0 is the top. */
const pagesAt = (level) => CHUNK_PAGES << (LEVEL_SHIFT * (LEVELS - 1 - level));

/** Returns the summary of neighbours: `sums` has theirs, and each covers `pages` pages. */
function merge(sums, pages) {
  let start = startOf(sums[0]);
  let max = maxOf(sums[0]);
  let end = endOf(sums[0]);
  for (let i = 1; i < sums.length; i++) {
    const first = startOf(sums[i]);
    if (start === i * pages) start += first;
    max = Math.max(max, end + first, maxOf(sums[i]));
    end = first === pages ? end + pages : endOf(sums[i]);
  }
  return pack(start, max, end);
}

/** A page allocator with the calls of palloc's PageAlloc that the benchmarks make. */
export class PageAlloc {
  engine = "BigInt";
  /** Relative to #first: [alloc, scavenged] of each chunk, 16 words. */
  #bits = new BigUint64Array(0);
  /** Whether a chunk was grown. There may be holes between those that were. */
  #mapped = new Uint8Array(0);
  #summaries = Array.from({ length: LEVELS }, () => new BigUint64Array(0));
  #first = 0;
  #count = 0;
  #searchAddr = Infinity;
  #scavAddr = -1;
  lastAllocScavenged = 0;

  constructor({ pageSize = 8192, physPageSize = 4096, physHugePageSize = 2 ** 21 } = {}) {
    this.pageSize = pageSize;
    this.chunkBytes = pageSize * CHUNK_PAGES;
    this.minPages = Math.max(1, physPageSize / pageSize);
    this.hugePages = physHugePageSize > Math.max(pageSize, physPageSize) ? physHugePageSize / pageSize : 0;
  }

  get scavAddr() {
    return this.#scavAddr;
  }

  grow(base, nbytes) {
    const start = Math.floor(base / this.chunkBytes);
    const end = Math.ceil((base + nbytes) / this.chunkBytes);
    this.#cover(start, end);
    for (let chunk = start - this.#first; chunk < end - this.#first; chunk++) {
      this.#mapped[chunk] = 1;
      this.#data(chunk).scavenged.setRange(0, CHUNK_PAGES);
    }
    this.#update(start - this.#first, end - this.#first);
    this.#searchAddr = Math.min(this.#searchAddr, start * this.chunkBytes);
  }

  alloc(npages) {
    const found = this.#findNear(npages) ?? this.#find(npages);
    if (found === undefined) {
      if (npages === 1) this.#searchAddr = Infinity;
      return -1;
    }
    this.lastAllocScavenged = this.#take(found.page, npages);
    this.#searchAddr = Math.max(this.#searchAddr, this.#addressOf(found.firstFree));
    return this.#addressOf(found.page);
  }

  allocRange(base, npages) {
    return this.#take(this.#pageOf(base), npages);
  }

  free(base, npages) {
    this.#searchAddr = Math.min(this.#searchAddr, base);
    const page = this.#pageOf(base);
    this.#eachPart(page, npages, (data, i, n) => data.freeRange(i, n));
    this.#update(Math.floor(page / CHUNK_PAGES), Math.ceil((page + npages) / CHUNK_PAGES));
  }

  scavenge(nbytes = Infinity) {
    let released = 0;
    while (released < nbytes) {
      const bytes = this.scavengeOne(nbytes - released);
      if (bytes === 0) break;
      released += bytes;
    }
    return released;
  }

  scavengeOne(maxBytes = Infinity) {
    const max = Math.min(Math.ceil(maxBytes / this.pageSize), CHUNK_PAGES);
    const top = Math.floor(this.#scavAddr / this.chunkBytes) - this.#first;
    if (this.#scavAddr < 0 || top < 0) return 0;
    const index = Math.floor((this.#scavAddr % this.chunkBytes) / this.pageSize);
    if (this.#mayHaveCandidate(top)) {
      const released = this.#scavengeChunk(top, index, max);
      if (released > 0) return released;
    }
    for (let chunk = top - 1; chunk >= 0; chunk--) {
      if (!this.#mayHaveCandidate(chunk)) continue;
      if (!this.#data(chunk).hasScavengeCandidate(this.minPages)) continue;
      return this.#scavengeChunk(chunk, CHUNK_PAGES - 1, max);
    }
    this.#scavAddr = -1;
    return 0;
  }

  resetScavengeAddr() {
    this.#scavAddr = this.#count > 0 ? (this.#first + this.#count) * this.chunkBytes - 1 : -1;
  }

  /** Returns the whole state, for restore. */
  snapshot() {
    const { pageSize, minPages, hugePages } = this;
    const options = { pageSize, physPageSize: minPages * pageSize, physHugePageSize: hugePages * pageSize };
    const state = [this.#bits, this.#mapped, this.#summaries].map((part) => structuredClone(part));
    return { options, state, rest: [this.#first, this.#count, this.#searchAddr, this.#scavAddr] };
  }

  static restore({ options, state, rest }) {
    const heap = new PageAlloc(options);
    [heap.#bits, heap.#mapped, heap.#summaries] = structuredClone(state);
    [heap.#first, heap.#count, heap.#searchAddr, heap.#scavAddr] = rest;
    return heap;
  }

  /** Does nothing: the heap's memory is garbage-collected. */
  [Symbol.dispose]() {}

  #pageOf(address) {
    return address / this.pageSize - this.#first * CHUNK_PAGES;
  }

  #addressOf(page) {
    return (page + this.#first * CHUNK_PAGES) * this.pageSize;
  }

  #data(chunk) {
    const at = chunk * 2 * WORDS;
    return new PallocData(
      this.#bits.subarray(at, at + WORDS),
      this.#bits.subarray(at + WORDS, at + 2 * WORDS),
    );
  }

  /** Calls visit(data, i, n) for the part of pages [page, page + npages) in each chunk. */
  #eachPart(page, npages, visit) {
    for (let at = page; at < page + npages; ) {
      const i = at % CHUNK_PAGES;
      const n = Math.min(CHUNK_PAGES - i, page + npages - at);
      visit(this.#data(Math.floor(at / CHUNK_PAGES)), i, n);
      at += n;
    }
  }

  /** Extends the arrays to chunks [start, end). */
  #cover(start, end) {
    const first = this.#count > 0 ? Math.min(start, this.#first) : start;
    const count = Math.max(end, this.#first + this.#count) - first;
    const moved = this.#count > 0 ? this.#first - first : 0;
    const capacity = Math.ceil(count / FANOUT) * FANOUT;
    if (moved > 0 || capacity > this.#mapped.length) {
      const room = Math.max(capacity, moved > 0 ? 0 : 2 * this.#mapped.length);
      const bits = new BigUint64Array(room * 2 * WORDS);
      bits.set(this.#bits.subarray(0, this.#count * 2 * WORDS), moved * 2 * WORDS);
      const mapped = new Uint8Array(room);
      mapped.set(this.#mapped.subarray(0, this.#count), moved);
      this.#bits = bits;
      this.#mapped = mapped;
      for (let level = LEVELS - 1, entries = room; level >= 0; level--) {
        this.#summaries[level] = new BigUint64Array(entries);
        entries = Math.ceil(entries / FANOUT / FANOUT) * FANOUT;
      }
      this.#update(moved, moved + this.#count);
    }
    this.#first = first;
    this.#count = count;
  }

  /** Sets the alloc bits of some pages. Returns how many of their bytes were scavenged. */
  #take(page, npages) {
    let scavenged = 0;
    this.#eachPart(page, npages, (data, i, n) => {
      scavenged += data.scavenged.popcntRange(i, n);
      data.allocRange(i, n);
    });
    this.#update(Math.floor(page / CHUNK_PAGES), Math.ceil((page + npages) / CHUNK_PAGES));
    return scavenged * this.pageSize;
  }

  /** Recomputes the summaries of chunks [from, to), and those above until nothing changes. */
  #update(from, to) {
    const leaves = this.#summaries[LEVELS - 1];
    for (let chunk = from; chunk < to; chunk++) {
      const { start, max, end } = this.#data(chunk).summarize();
      leaves[chunk] = this.#mapped[chunk] ? pack(start, max, end) : 0n;
    }
    let changed = to > from;
    for (let level = LEVELS - 2; level >= 0 && changed; level--) {
      const shift = LEVEL_SHIFT * (LEVELS - 1 - level);
      const below = this.#summaries[level + 1];
      changed = false;
      for (let entry = from >> shift; entry <= (to - 1) >> shift; entry++) {
        const parts = below.subarray(entry * FANOUT, (entry + 1) * FANOUT);
        const sum = merge(parts, pagesAt(level + 1));
        if (this.#summaries[level][entry] === sum) continue;
        this.#summaries[level][entry] = sum;
        changed = true;
      }
    }
  }

  /** Looks for room in the chunk at searchAddr. */
  #findNear(npages) {
    if (this.#searchAddr === Infinity) return undefined;
    const searchPage = this.#pageOf(this.#searchAddr);
    const chunk = Math.floor(searchPage / CHUNK_PAGES);
    const index = searchPage % CHUNK_PAGES;
    if (index + npages > CHUNK_PAGES || maxOf(this.#summaries[LEVELS - 1][chunk]) < npages) return undefined;
    const { index: at, searchIdx } = this.#data(chunk).find(npages, index);
    if (at < 0) return undefined;
    return { page: chunk * CHUNK_PAGES + at, firstFree: chunk * CHUNK_PAGES + searchIdx };
  }

  /** Looks for room in the summaries, from the top level down. Narrows down where the first free page is. */
  #find(npages) {
    let free = { from: 0, to: Infinity };
    let parent = -1;
    for (let level = 0; level < LEVELS; level++) {
      const pages = pagesAt(level);
      const sums = this.#summaries[level];
      const end = parent < 0 ? sums.length : (parent + 1) * FANOUT;
      let run = 0;
      let next = -1;
      for (let entry = Math.max(0, parent * FANOUT); entry < end && next < 0; entry++) {
        const sum = sums[entry];
        const from = entry * pages;
        if (sum !== 0n && from >= free.from && from + pages <= free.to) free = { from, to: from + pages };
        if (run + startOf(sum) >= npages) return { page: from - run, firstFree: free.from };
        if (maxOf(sum) >= npages) next = entry;
        run = startOf(sum) === pages ? run + pages : endOf(sum);
      }
      if (next < 0) return undefined;
      parent = next;
    }
    return this.#findIn(parent, npages, free.from);
  }

  /** Looks for room in a chunk whose summary says that there is some. */
  #findIn(chunk, npages, firstFree) {
    const { index, searchIdx } = this.#data(chunk).find(npages, 0);
    const base = chunk * CHUNK_PAGES;
    return { page: base + index, firstFree: firstFree === base ? base + searchIdx : firstFree };
  }

  #mayHaveCandidate(chunk) {
    return maxOf(this.#summaries[LEVELS - 1][chunk] ?? 0n) >= this.minPages;
  }

  /** Scavenges the highest candidate of a chunk, from page `index` down. Returns its bytes. */
  #scavengeChunk(chunk, index, max) {
    const data = this.#data(chunk);
    const { start, npages } = data.findScavengeCandidate(index, this.minPages, max, this.hugePages);
    if (npages === 0) return 0;
    data.scavenged.setRange(start, npages);
    this.#scavAddr = this.#addressOf(chunk * CHUNK_PAGES + start) - 1;
    return npages * this.pageSize;
  }
}
