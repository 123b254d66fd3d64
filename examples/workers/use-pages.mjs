// A worker that uses pages: allocates blocks of them, writes a number of its own in every word, finds it there when it
// frees them. Were a page handed out twice, one of its users would find what the other has written.
import { fill, MEMORY_BYTES, MiB, mustHold, SLOTS } from "./shared.mjs";

/** Blocks of up to that many pages are small: they come out of a page cache. */
const SMALL_PAGES = 4;
const LARGE_PAGES = 512;
/** How long to wait for pages when there is no room, in ms. */
const WAIT_MS = 5;

/** Uses pages until it shall stop, then frees them all. Returns its report. */
export function usePages(shared) {
  const user = new PageUser(shared);
  while (!shared.signals.stopped) user.turn(Math.floor(Math.random() * SLOTS));
  user.end();
  return user.report();
}

class PageUser {
  #heap;
  #memory;
  #signals;
  #ledger;
  #cache;
  /** What is written in the block of each slot. */
  #stamps = new Int32Array(SLOTS);
  #counts = { blocks: 0, fromCache: 0, pages: 0, zero: 0, grown: 0, waits: 0 };

  constructor({ heap, memory, signals, ledger }) {
    this.#heap = heap;
    this.#memory = memory;
    this.#signals = signals;
    this.#ledger = ledger;
    this.#cache = heap.allocToCache();
  }

  /** Fills a slot that is empty, and empties one that is not. */
  turn(slot) {
    const block = this.#ledger.get(slot);
    if (block) this.#giveBack(slot, block);
    else this.#take(slot, randomSize());
  }

  /** Frees all blocks, and what is left in the page cache. */
  end() {
    for (let slot = 0; slot < SLOTS; slot++) {
      const block = this.#ledger.get(slot);
      if (block) this.#giveBack(slot, block);
    }
    this.#cache.flush();
  }

  report() {
    const { blocks, fromCache, pages, zero, grown, waits } = this.#counts;
    return {
      blocks,
      "from cache": fromCache,
      "MiB written": Math.round((pages * this.#heap.pageSize) / MiB),
      "found zero": zero,
      grown,
      waits,
    };
  }

  #take(slot, npages) {
    const { base, scavenged } = this.#alloc(npages);
    if (base < 0) return;
    this.#ledger.set(slot, { base, npages });
    const nbytes = npages * this.#heap.pageSize;
    // Released as a whole, and so zeroed; when only part of it was, there is no telling which.
    if (scavenged === nbytes) {
      mustHold(this.#memory, base, nbytes, 0);
      this.#counts.zero++;
    }
    this.#counts.blocks++;
    this.#counts.pages += npages;
    this.#stamps[slot] = (this.#heap.owner << 24) | (this.#counts.blocks & 0xffffff);
    fill(this.#memory, base, nbytes, this.#stamps[slot]);
  }

  #giveBack(slot, { base, npages }) {
    mustHold(this.#memory, base, npages * this.#heap.pageSize, this.#stamps[slot]);
    // In this order: a worker that dies in between leaves pages that nobody uses, not pages that are freed twice.
    this.#ledger.clear(slot);
    this.#heap.free(base, npages);
    this.#signals.freed();
  }

  /** The address of npages pages, -1 when there is no room for them, and how many bytes of them had been released. */
  #alloc(npages) {
    // A refill takes the lock, once for up to 64 pages; an alloc from the cache takes none.
    if (npages <= SMALL_PAGES && this.#cache.refill()) {
      const base = this.#cache.alloc(npages);
      if (base >= 0) {
        this.#counts.fromCache++;
        return { base, scavenged: this.#cache.lastAllocScavenged };
      }
    }
    const base = this.#allocFromHeap(npages);
    return { base, scavenged: this.#heap.lastAllocScavenged };
  }

  /**
   * Allocates pages of the heap, and if there are none, grows it, and if it may not grow, waits for others to free
   * some.
   */
  #allocFromHeap(npages) {
    const seen = this.#signals.frees;
    const base = this.#heap.alloc(npages);
    if (base >= 0) return base;
    if (!this.#grow()) {
      this.#counts.waits++;
      this.#signals.waitForFree(seen, WAIT_MS);
    }
    return this.#heap.alloc(npages);
  }

  /** Grows the heap by a chunk, the most that a block takes. Returns false when all of the memory belongs to it. */
  #grow() {
    const end = this.#heap.bounds().end * this.#heap.chunkBytes;
    if (end === MEMORY_BYTES) return false;
    try {
      this.#heap.grow(end, this.#heap.chunkBytes);
      this.#counts.grown++;
    } catch (error) {
      // Another worker has grown it first, which is as good.
      if (error.code !== "ERR_OVERLAP") throw error;
    }
    return true;
  }
}

/** Pages for a block: mostly few, sometimes many. */
function randomSize() {
  const most = Math.random() < 0.8 ? SMALL_PAGES : LARGE_PAGES;
  return 1 + Math.floor(Math.random() * most);
}
