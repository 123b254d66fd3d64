// What the threads share besides the heap: the memory that its pages are of, two words to stop and wake one another by,
// and for each worker a ledger of what it has allocated. All of it is plain SharedArrayBuffers, posted to the workers.

export const MiB = 2 ** 20;

/** Bytes of the memory whose pages are handed out. */
export const MEMORY_BYTES = 64 * MiB;

/**
 * The hooks of a heap over `memory`: to release pages is to zero them. All threads that scavenge bring the same ones.
 */
export function zeroing(memory) {
  const bytes = new Uint8Array(memory);
  return {
    unused: (base, nbytes) => {
      bytes.fill(0, base, base + nbytes);
    },
  };
}

/** Writes `value` in every 32-bit word of nbytes bytes from `base` on. */
export function fill(memory, base, nbytes, value) {
  new Int32Array(memory, base, nbytes / 4).fill(value);
}

/** Throws unless every 32-bit word of nbytes bytes from `base` on is `value`. */
export function mustHold(memory, base, nbytes, value) {
  const words = new Int32Array(memory, base, nbytes / 4);
  for (let i = 0; i < words.length; i++) {
    if (words[i] === value) continue;
    throw new Error(`the word at ${base + 4 * i} must be ${value}, but somebody has written ${words[i]}`);
  }
}

const STOP = 0;
const FREES = 1;

/** How threads without an event loop to wait in are told to stop, and that pages have been freed. */
export class Signals {
  #words;

  constructor(buffer = new SharedArrayBuffer(8)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  get stopped() {
    return Atomics.load(this.#words, STOP) !== 0;
  }

  stop() {
    Atomics.store(this.#words, STOP, 1);
    Atomics.notify(this.#words, STOP);
  }

  /** Blocks the thread for that many ms, or until it shall stop. */
  sleep(ms) {
    Atomics.wait(this.#words, STOP, 0, ms);
  }

  /** How often pages have been freed. */
  get frees() {
    return Atomics.load(this.#words, FREES);
  }

  /** Wakes one of those who wait for pages. */
  freed() {
    Atomics.add(this.#words, FREES, 1);
    Atomics.notify(this.#words, FREES, 1);
  }

  /** Blocks the thread until pages are freed after the count of `seen`, at most that many ms. */
  waitForFree(seen, ms) {
    Atomics.wait(this.#words, FREES, seen, ms);
  }
}

/** Blocks of pages that a ledger has room for. */
export const SLOTS = 48;

/**
 * What a worker has allocated. The heap knows which pages are in use, and not by whom: should the worker die, its
 * ledger tells another thread what to free.
 */
export class Ledger {
  /** For each slot the address of a block, and its pages, 0 when there is none. */
  #words;

  constructor(buffer = new SharedArrayBuffer(8 * SLOTS)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** The block in a slot, if there is one. */
  get(slot) {
    const npages = Atomics.load(this.#words, 2 * slot + 1);
    return npages ? { base: this.#words[2 * slot], npages } : undefined;
  }

  set(slot, { base, npages }) {
    this.#words[2 * slot] = base;
    Atomics.store(this.#words, 2 * slot + 1, npages);
  }

  clear(slot) {
    Atomics.store(this.#words, 2 * slot + 1, 0);
  }

  /** All blocks. */
  blocks() {
    return Array.from({ length: SLOTS }, (_, slot) => this.get(slot)).filter(Boolean);
  }
}
