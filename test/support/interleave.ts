// Actors on one shared heap, in every order in which their steps can be taken; and a ledger of what that does to each
// page, which objects to whatever must never happen.

import { HEADER_MIN_PAGES, HEADER_SCAV_END } from "../../src/engine/layout.ts";
import { CORE, type Core } from "../../src/heap/core.ts";
import { beginPass, type Pass } from "../../src/heap/scavenger.ts";
import { PAGE } from "./heaps.ts";
import { PAGES } from "./naive.ts";
import type { PageAlloc, PageCache, Palloc } from "./subject.ts";

/** Somebody at work, who does something each time, until done. */
export interface Actor {
  readonly done: boolean;
  step(): void;
}

/**
 * Runs actors in every order in which their steps can be taken, each order from the start again. `begin` gives them at
 * the start, and `after` is called after each step, with whether it is the first time that just these steps have been
 * taken. Returns how many orders there are.
 */
export function everyOrder(begin: () => readonly Actor[], after: (isNew: boolean) => void): number {
  const turns: { chosen: number; of: number }[] = [];
  for (let orders = 1; ; orders++) {
    const known = turns.length - 1;
    const actors = begin();
    for (let k = 0; ; k++) {
      const ready = actors.filter((actor) => !actor.done);
      if (!ready.length) break;
      turns[k] ??= { chosen: 0, of: ready.length };
      ready[turns[k].chosen].step();
      after(k >= known);
    }
    while (turns.length && turns[turns.length - 1].chosen + 1 === turns[turns.length - 1].of) turns.pop();
    if (!turns.length) return orders;
    turns[turns.length - 1].chosen++;
  }
}

/** Chunks that a heap has at the most, from chunk 0 on. */
const CHUNKS = 3;

// What a page is.
const HOLE = 0;
const IN_USE = 1;
const UNSCAVENGED = 2;
const SCAVENGED = 3;

/** Whose a page is that is in use, when no actor's hook runs on it. */
const USER = 1;
/** Whose it is when the hook of actor 0 does. */
const HOOK = 2;

/** What each page of a heap is, whose, and what has become of it. */
export class Ledger {
  readonly #core: Core;
  readonly #minPages: number;
  /** What each page is, as the bitmaps have it. */
  readonly #states = new Uint8Array(CHUNKS * PAGES);
  /** The bitmaps when they were looked at last, 32 words a chunk. */
  readonly #words = new Int32Array(CHUNKS * 32).fill(-1);
  /** Whose each page is: 0 nobody's, USER, or HOOK and up. */
  readonly #owners = new Uint8Array(CHUNKS * PAGES);
  /** Whether a page was a candidate at the last reset and has not changed since. */
  readonly #waiting = new Uint8Array(CHUNKS * PAGES);
  /** Whether a page has been released and not been used since. */
  readonly #released = new Uint8Array(CHUNKS * PAGES);
  /** Pages that the scavenger has released. */
  releases = 0;
  /** Page that scavAddr is just below. */
  scavEnd = 0;
  #scavEndBefore = 0;

  /** The ledger of a heap that nobody has touched since its last reset. */
  constructor(heap: PageAlloc) {
    this.#core = heap[CORE];
    this.#minPages = this.#core.get(HEADER_MIN_PAGES);
    this.#read(() => {});
    this.#states.forEach((state, page) => {
      if (state === IN_USE) this.#owners[page] = USER;
    });
    this.reset();
  }

  /** Notes that a user has got pages. */
  take(page: number, npages: number): void {
    for (let i = page; i < page + npages; i++) {
      if (this.#owners[i]) throw new Error(`page ${i} was given twice`);
      this.#owners[i] = USER;
      this.#released[i] = 0;
    }
  }

  /** Notes that a user gives pages back. */
  give(page: number, npages: number): void {
    this.#owners.fill(0, page, page + npages);
  }

  /** Notes that `sys.unused` of an actor runs on pages. */
  hook(actor: number, page: number, npages: number): void {
    if (!all(this.#owners, page, npages, HOOK + actor))
      throw new Error(`the hook runs on pages ${page} to ${page + npages}, which are not all held`);
  }

  /** Notes a reset of scavAddr. */
  reset(): void {
    this.#read(() => {});
    this.#waiting.fill(0);
    this.#eachCandidate((page) => this.#waiting.fill(1, page, page + this.#minPages));
  }

  /** Notes what a step of the scavenger of that number has changed, or a call, which has said so already. */
  step(scavenger = -1): void {
    this.#read((page, was) => {
      this.#waiting[page] = 0;
      if (scavenger >= 0) this.#scavenged(page, was, scavenger);
    });
    // A first look takes in all of scavAddr's word.
    const most = Math.ceil(this.#scavEndBefore / 64) * 64;
    if (this.scavEnd > most) throw new Error(`scavAddr went up to page ${this.scavEnd} without a reset`);
  }

  /**
   * Throws unless the pages in use are those that somebody has, and nothing that waits for the scavenger was passed
   * over.
   */
  check(): void {
    for (let page = 0; page < this.#states.length; page++) {
      const inUse = this.#states[page] === IN_USE;
      if (inUse !== this.#owners[page] > 0) throw new Error(`page ${page} is ${inUse ? "nobody's" : "lost"}`);
    }
    const from = Math.ceil(this.scavEnd / this.#minPages) * this.#minPages;
    for (let page = from; page < this.#states.length; page += this.#minPages) {
      if (all(this.#waiting, page, this.#minPages, 1))
        throw new Error(`page ${page} waits for the scavenger, who is below ${this.scavEnd}`);
    }
  }

  /** Throws if a pass that has found nothing has moved scavAddr below a candidate. */
  checkNothingFound(): void {
    if (this.scavEnd === this.#scavEndBefore) return;
    this.#eachCandidate((page) => {
      const missed = page + this.#minPages <= this.#scavEndBefore;
      if (missed && page >= this.scavEnd) throw new Error(`a pass found nothing, and page ${page} is there`);
    });
  }

  /** Candidates that there are. */
  get candidates(): number {
    let count = 0;
    this.#eachCandidate(() => count++);
    return count;
  }

  #eachCandidate(visit: (page: number) => void): void {
    for (let page = 0; page < this.#states.length; page += this.#minPages) {
      if (all(this.#states, page, this.#minPages, UNSCAVENGED)) visit(page);
    }
  }

  /** What a step of a scavenger does to a page. */
  #scavenged(page: number, was: number, actor: number): void {
    const state = this.#states[page];
    const owner = this.#owners[page];
    if (owner === USER) throw new Error(`page ${page} is in use, and the scavenger had it`);
    if (owner && owner !== HOOK + actor) throw new Error(`page ${page} is another's, whose hook runs on it`);
    this.#owners[page] = state === IN_USE ? HOOK + actor : 0;
    if (was === SCAVENGED || (state === SCAVENGED && this.#released[page])) {
      throw new Error(`page ${page} is released twice`);
    }
    if (state !== SCAVENGED) return;
    this.#released[page] = 1;
    this.releases++;
  }

  /** Takes over what the heap's bits are now, and says which pages have changed. */
  #read(changed: (page: number, was: number) => void): void {
    const core = this.#core;
    const { i32 } = core.engine.memory;
    this.#scavEndBefore = this.scavEnd;
    this.scavEnd = core.getF64(HEADER_SCAV_END);
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const data = core.dataOf(chunk) >>> 2;
      for (let word = 0; word < 16; word++) {
        const alloc = data ? i32[data + word] : -1;
        const scavenged = data ? i32[data + word + 16] : -1;
        this.#readWord(chunk * 32 + word, alloc, scavenged, changed);
      }
    }
  }

  #readWord(
    at: number,
    alloc: number,
    scavenged: number,
    changed: (page: number, was: number) => void,
  ): void {
    const words = this.#words;
    const first = (at >>> 5) * PAGES + (at & 15) * 32;
    if (words[at] === alloc && words[at + 16] === scavenged) return;
    words[at] = alloc;
    words[at + 16] = scavenged;
    for (let i = 0; i < 32; i++) {
      const was = this.#states[first + i];
      const isScavenged = (scavenged >>> i) & 1;
      const state = (alloc >>> i) & 1 ? (isScavenged ? HOLE : IN_USE) : isScavenged ? SCAVENGED : UNSCAVENGED;
      this.#states[first + i] = state;
      if (state !== was) changed(first + i, was);
    }
  }
}

/** Whether count values, from the first on, are all the same. */
function all(values: Uint8Array, first: number, count: number, value: number): boolean {
  for (let i = first; i < first + count; i++) if (values[i] !== value) return false;
  return true;
}

/** An actor that has still to be put to work on a heap object of its own. */
export interface Role {
  readonly name: string;
  /** The most passes of a scavenger. */
  readonly passes?: number;
  /** What the heap object's `sys.unused` does: nothing if there is none. */
  readonly hook?: Hook;
  start(heap: PageAlloc, stage: Stage, id: number): Actor;
}
/** What `sys.unused` does: accepts, declines the first time, or always, or throws. */
export type Hook = "accepts" | "declines once" | "declines" | "throws";

const WHIM = new Error("a hook's whim");

/** A shared heap and the heap objects of some actors, to be put back to its start any number of times. */
export class Stage {
  ledger: Ledger;
  readonly #heap: PageAlloc;
  readonly #roles: readonly Role[];
  readonly #heaps: PageAlloc[];
  /** The heap's bytes at the start. */
  readonly #start: Int32Array;
  /** Calls of hooks in this run. */
  #hooks = 0;
  /** Steps of this run. */
  #log: string[] = [];

  /** @param engines in turn of the heap itself and of the actors */
  constructor(make: (palloc: Palloc) => PageAlloc, roles: readonly Role[], engines: readonly Palloc[]) {
    this.#heap = make(engines[0]);
    this.#roles = roles;
    this.#heaps = roles.map(({ hook }, id) => {
      const { PageAlloc } = engines[(id + 1) % engines.length];
      const sys = hook && { unused: (base: number, nbytes: number) => this.#hook(hook, id, base, nbytes) };
      return PageAlloc.attach(this.#heap.handle, { sys });
    });
    const { at, engine } = this.#heap[CORE];
    this.#start = engine.memory.i32.slice(at >>> 2, (at + this.#heap.stats().metadata) >>> 2);
    this.ledger = new Ledger(this.#heap);
  }

  /**
   * Puts the actors to work at the start, in every order, and checks after each step. Calls `atEnd` at the end of each
   * order. Returns how many there are.
   */
  explore(atEnd: (ledger: Ledger) => void): number {
    let actors: readonly Actor[] = [];
    const begin = () => {
      actors = this.#begin();
      return actors;
    };
    const after = (isNew: boolean) => {
      const done = actors.every((actor) => actor.done);
      if (!isNew) return;
      this.#orSay(() => {
        this.ledger.check();
        this.#heap.check();
        if (done) this.#end(atEnd);
      });
    };
    return everyOrder(begin, after);
  }

  #begin(): readonly Actor[] {
    const { at, engine } = this.#heap[CORE];
    engine.memory.i32.set(this.#start, at >>> 2);
    this.ledger = new Ledger(this.#heap);
    this.#log = [];
    this.#hooks = 0;
    return this.#roles.map((role, id) => {
      const actor = role.start(this.#heaps[id], this, id);
      return {
        get done() {
          return actor.done;
        },
        step: () => {
          this.#log.push(`${id} (${role.name})`);
          this.#orSay(() => actor.step());
        },
      };
    });
  }

  /** All actors are done: what they have passed over is found after a reset, and nothing else is there. */
  #end(atEnd: (ledger: Ledger) => void): void {
    const heap = this.#heap;
    const released = heap.stats().scavengedTotal / PAGE;
    if (released !== this.ledger.releases) throw new Error(`${released} pages are counted as released`);
    atEnd(this.ledger);
    heap.resetScavengeAddr();
    heap.scavenge();
    this.ledger.step();
    if (this.ledger.candidates) throw new Error("a reset and a scavenge leave candidates");
  }

  #hook(hook: Hook, id: number, base: number, nbytes: number): boolean {
    this.ledger.hook(id, base / PAGE, nbytes / PAGE);
    this.#hooks++;
    if (hook === "throws") throw WHIM;
    return hook === "accepts" || (hook === "declines once" && this.#hooks > 1);
  }

  /** Runs `work`, and says what steps led to an error. */
  #orSay(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw new Error(`after ${this.#log.join(", ")}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** The scavenger: passes of at most maxPages pages each, at most that many, until one finds nothing. */
export function scavenger(passes = Infinity, maxPages = PAGES, hook?: Hook): Role {
  const start = (heap: PageAlloc, stage: Stage, id: number): Actor => {
    const core = heap[CORE];
    let left = passes;
    let pass: Pass | undefined;
    /** What the pass has released once it is done. */
    const advance = (): number | undefined => {
      if (!pass) {
        const begun = beginPass(core, maxPages);
        if (typeof begun === "number") return begun;
        pass = begun;
        return undefined;
      }
      return pass.step();
    };
    const step = () => {
      let released: number | undefined = 0;
      try {
        released = advance();
      } catch (error) {
        if (error !== WHIM) throw error;
      }
      stage.ledger.step(id);
      if (released === undefined) return;
      pass = undefined;
      left--;
      if (released || hook === "throws") return;
      stage.ledger.checkNothingFound();
      left = 0;
    };
    return {
      get done() {
        return left === 0;
      },
      step,
    };
  };
  const times = passes === 1 ? "a pass" : `${passes === Infinity ? "all" : passes} passes`;
  const name = `${times} of ${maxPages} pages${hook ? ` with a hook that ${hook}` : ""}`;
  return { name, passes, hook, start };
}

/** One call. */
export type Call = (heap: PageAlloc, ledger: Ledger, kept: { cache?: PageCache }) => void;

/** Somebody who makes these calls. */
export function caller(name: string, ...calls: Call[]): Role {
  const start = (heap: PageAlloc, stage: Stage): Actor => {
    const kept = {};
    let next = 0;
    return {
      get done() {
        return next === calls.length;
      },
      step: () => {
        calls[next++](heap, stage.ledger, kept);
        stage.ledger.step();
      },
    };
  };
  return { name, start };
}
