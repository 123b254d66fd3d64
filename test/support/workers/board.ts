// What actors on one heap and their overseer share besides the heap: who owns each page, and what each actor is about
// to do and has done. It is all in shared memory, so it outlives the workers.
import { PAGES } from "../naive.ts";

/** Address space that actors grow into, in chunks. */
export const CHUNKS = 8192;
/** Chunks that a heap begins with. */
export const FIRST_CHUNKS = 8;

// Words of the board.
/** Odd while actors are to stand still; goes up with every change. */
const PAUSE = 0;
/** Not 0 once they are to give back all that they own and end. */
const STOP = 1;
/** Calls that take or give pages or chunks, made so far by all. */
const CALLS = 2;
/** Chunks that somebody has grown over, or is about to. */
const NEXT_CHUNK = 3;
/** Chunks that nobody may grow beyond. */
const CHUNK_LIMIT = 4;
/** Where the actors' own words begin, and how many each has. */
const ACTORS = 16;
const ACTOR_WORDS = 16;
const MOST_ACTORS = 16;

// Words of an actor.
export const OWNER = 0;
/** The pause that it stands still for. */
const PARKED = 1;
/** One of the intents. */
export const INTENT = 2;
/** What the intent is for: the first page, -1 while it is not known, and how many. */
export const PAGE = 3;
export const NPAGES = 4;
// What it has done, as the heap counts it.
export const ALLOCS = 5;
export const FREES = 6;
export const SCAVENGES = 7;
export const SCAVENGED = 8;
export const TALLIES = [ALLOCS, FREES, SCAVENGES, SCAVENGED] as const;

/** What an actor is about to do. */
export const Intent = { none: 0, alloc: 1, free: 2, cache: 3, scavenge: 4, grow: 5 } as const;

/** What a page is to the actor that has put its stamp on it. */
export const Kind = { own: 1, cached: 2, inHook: 3 } as const;

/** The stamp of a page, 0 for nobody's. */
export const stampOf = (owner: number, kind: number): number => owner * 4 + kind;

/** Memory that is posted to actors. */
export interface BoardMemory {
  words: SharedArrayBuffer;
  stamps: SharedArrayBuffer;
}

/** What is shared. */
export class Board {
  readonly memory: BoardMemory;
  readonly #words: Int32Array;
  /** A stamp for each page. */
  readonly stamps: Int32Array;

  constructor(memory = newMemory()) {
    this.memory = memory;
    this.#words = new Int32Array(memory.words);
    this.stamps = new Int32Array(memory.stamps);
  }

  /** The words of an actor. */
  actor(slot: number): Int32Array {
    const at = ACTORS + slot * ACTOR_WORDS;
    return this.#words.subarray(at, at + ACTOR_WORDS);
  }

  /** Changes the stamp on each of the pages, all of which must have the stamp `from`. */
  restamp(page: number, npages: number, from: number, to: number): void {
    const { stamps } = this;
    for (let at = page; at < page + npages; at++) {
      const seen = Atomics.compareExchange(stamps, at, from, to);
      if (seen !== from) throw new Error(`page ${at} has the stamp ${seen}, want ${from} to make it ${to}`);
    }
  }

  /** Reserves chunks to grow over. Returns the first, or -1 when there are not so many left. */
  takeChunks(count: number): number {
    const words = this.#words;
    const first = Atomics.load(words, NEXT_CHUNK);
    if (first + count > Atomics.load(words, CHUNK_LIMIT)) return -1;
    return Atomics.compareExchange(words, NEXT_CHUNK, first, first + count) === first ? first : -1;
  }

  /** Lets actors grow the heap up to that many chunks. */
  limitChunks(count: number): void {
    Atomics.store(this.#words, CHUNK_LIMIT, Math.min(count, CHUNKS));
  }

  /** Chunks that have been given so far. */
  get chunks(): number {
    return Atomics.load(this.#words, NEXT_CHUNK);
  }

  get calls(): number {
    return Atomics.load(this.#words, CALLS);
  }

  addCalls(count: number): void {
    Atomics.add(this.#words, CALLS, count);
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, STOP) !== 0;
  }

  stop(): void {
    Atomics.store(this.#words, STOP, 1);
  }

  /** Stands still for as long as there is a pause. For actors. */
  park(actor: Int32Array): void {
    for (;;) {
      const pause = Atomics.load(this.#words, PAUSE);
      if (!(pause & 1)) return;
      Atomics.store(actor, PARKED, pause);
      Atomics.wait(this.#words, PAUSE, pause);
    }
  }

  /** Begins a pause. */
  pause(): void {
    Atomics.add(this.#words, PAUSE, 1);
  }

  /** Whether an actor stands still. */
  isParked(slot: number): boolean {
    return Atomics.load(this.actor(slot), PARKED) === Atomics.load(this.#words, PAUSE);
  }

  /** Ends a pause. */
  resume(): void {
    Atomics.add(this.#words, PAUSE, 1);
    Atomics.notify(this.#words, PAUSE);
  }
}

function newMemory(): BoardMemory {
  return {
    words: new SharedArrayBuffer(4 * (ACTORS + MOST_ACTORS * ACTOR_WORDS)),
    stamps: new SharedArrayBuffer(4 * CHUNKS * PAGES),
  };
}
